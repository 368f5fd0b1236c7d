"""What a run that goes on waits for is said wherever its model is asked about."""

from datetime import timedelta
from html import unescape

import pytest

from tests.examples import alert
from tests.serving import host

MINUTE = timedelta(minutes=1)
APPROVAL = "waits for an approval of environment production at GitHub"


@pytest.fixture
def plain(history, tmp_path):
    with host(history, tmp_path) as plain:
        yield plain


def test_an_approval_is_told_by_explain_page_and_decision(history, plain):
    """A model that is held by a run says what that run waits for; afterwards no more."""
    history.deliver(alert())
    history.send()
    history.target.note = APPROVAL
    history.wait(MINUTE)
    (dispatch,) = history.dispatches()
    said = f"is running as run {dispatch.run_id} since 12:00 UTC: {APPROVAL}"

    (decision,) = history.deliver(alert(name="LowModelR2"))

    assert (decision.reason.value, decision.detail) == (
        "in_flight",
        f"dispatch {dispatch.id} {said}",
    )
    assert said in plain.get("/models/42").json()["explain"]["detail"]
    assert said in unescape(plain.get("/ui/models/42").text)

    history.target.note = ""
    history.wait(MINUTE)
    assert plain.get("/models/42").json()["explain"]["detail"] == (
        f"dispatch {dispatch.id} is running as run {dispatch.run_id} since 12:00 UTC"
    )
