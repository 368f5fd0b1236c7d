"""A target that starts nothing: no run is said to go on, and everybody is told why, once."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from receiver.config import TargetSettings
from receiver.core.announcements import Kind, Subscriber
from receiver.core.dispatches import DispatchError, DispatchState, Failure
from receiver.core.models import ModelState
from receiver.core.target_health import QUIET, TargetRecord, TargetStanding, TargetState, cure
from receiver.core.targets import Target, TargetKind
from receiver.flows.worker.dispatching import dispatch_next
from receiver.gauges import StoreGauges
from receiver.web.targets import credential_problem
from tests.examples import DRIFT, alert, resolved
from tests.fakes import (
    NOON,
    Killed,
    accepted_then_cut,
    cut_before_accepting,
    killed_before,
    refused,
    unavailable,
)
from tests.histories import TARGET
from tests.posts import entry, post
from tests.serving import NO_AUTH, host

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SOMEBODY = Subscriber("somebody")


def limited(_target, _dispatch):
    """An answer: the request has reached the target, and surely started nothing."""
    raise DispatchError("429", Failure.UNAVAILABLE, status_code=429, retry_after=MINUTE)


def locked_out(_target, _dispatch):
    raise DispatchError("401 Bad credentials", Failure.REFUSED, status_code=401)


def broken(_target, _dispatch):
    raise DispatchError("the server answered 503", Failure.UNKNOWN, status_code=503)


def told(peer, name="42"):
    return peer.get(f"/models/{name}").json()


def target(peer):
    (found,) = peer.get("/targets").json()["targets"]
    return found


class TestWords:
    """What a model whose target is down is said to do."""

    def test_it_waits_and_does_not_run(self, history, peer):
        """Ordered when, what the target does since when, tried again when."""
        history.deliver(alert())
        assert told(peer)["state"] == "running"
        history.clock.pass_(2 * MINUTE)
        history.target.accidents = [unavailable] * 2

        history.send()

        seen = told(peer)
        assert seen["state"] == "waiting"
        assert seen["explain"]["detail"] == (
            f"dispatch {history.dispatches()[0].id} is pending: ordered 12:00 UTC; "
            "the target refuses connections since 12:02 UTC; "
            "tried again at 12:02 UTC: connection refused"
        )
        (row,) = peer.get("/models").json()["models"]
        assert (row["state"], row["dispatch"]["state"]) == ("waiting", "pending")
        history.clock.pass_(3 * MINUTE)
        history.send()
        (dispatch,) = history.dispatches()
        assert dispatch.attempt == 2
        assert dispatch.failing_since == NOON + 2 * MINUTE, "since it failed first"
        assert "since 12:02 UTC" in told(peer)["explain"]["detail"]

    def test_once_it_is_accepted_it_runs(self, history, peer):
        """Nothing is left of what was."""
        history.target.accidents = [unavailable]
        history.deliver(alert())
        history.send()
        history.clock.pass_(MINUTE)
        history.send()

        assert told(peer)["state"] == "running"
        assert history.dispatches()[0].failing_since is None
        assert target(peer)["state"] == "ok"

    def test_while_it_is_asked_again_it_waits(self, history, peer):
        """An attempt that hangs at a dead target is no run either."""
        history.target.accidents = [unavailable, killed_before]
        history.deliver(alert())
        history.send()
        history.clock.pass_(MINUTE)
        with pytest.raises(Killed):
            history.send()

        seen = told(peer)

        assert (seen["dispatch"]["state"], seen["state"]) == ("sending", "waiting")
        assert "tried again now" in seen["explain"]["detail"]

    def test_a_first_attempt_is_pending_since_it_was_ordered(self, history, peer):
        """However often it is looked at."""
        history.deliver(alert())
        history.clock.pass_(HOUR)

        assert told(peer)["explain"]["detail"].endswith("is pending since 12:00 UTC")

    def test_what_is_in_doubt_does_not_wait(self, history, peer):
        """It may run."""
        history.target.accidents = [accepted_then_cut]
        history.deliver(alert())
        history.send()

        assert told(peer)["state"] == "running"

    def test_a_dispatch_of_an_earlier_release_waits_too(self, history, peer):
        """It was stored without the moment since which it fails."""
        history.target.accidents = [unavailable]
        history.deliver(alert())
        history.send()
        (dispatch,) = history.dispatches()
        with history.store.begin() as tx:
            tx.save_dispatch(replace(dispatch, failing_since=None), at=tx.now(), moved=False)

        seen = told(peer)

        assert seen["state"] == "waiting"
        assert "the target refuses connections; tried again" in seen["explain"]["detail"]


class TestSent:
    """`sent_at` says when a request may have reached the target."""

    def test_never_by_a_refused_connection(self, history):
        """Neither by the first nor by the ninth."""
        history.target.accidents = [unavailable] * 9
        history.deliver(alert())
        for _ in range(9):
            assert history.send()
            history.clock.pass_(6 * MINUTE)

        (dispatch,) = history.dispatches()

        assert (dispatch.attempt, dispatch.sent_at) == (9, None)
        assert history.model().latest.sent_at is None
        assert "was sent" not in "".join(row.detail for row in history.log())

    def test_nor_does_its_cooldown_grow(self, history):
        """It is counted from the commit, and anew from what may have arrived."""
        history.target.accidents = [unavailable] * 3
        history.deliver(alert())
        for _ in range(3):
            assert history.model().cooldown_until == NOON + DRIFT.cooldown
            assert history.send()
            history.clock.pass_(6 * MINUTE)
        assert history.model().cooldown_until == NOON + DRIFT.cooldown

        arrived = history.now()
        assert history.send()

        assert history.model().cooldown_until == arrived + DRIFT.cooldown

    @pytest.mark.parametrize("accident", [limited, cut_before_accepting])
    def test_what_may_have_arrived_takes_its_cooldown(self, history, accident):
        """Answered or not; a refused connection after it gives back its own alone."""
        history.target.accidents = [accident, unavailable]
        history.deliver(alert())
        history.clock.pass_(MINUTE)
        history.send()

        assert history.model().cooldown_until == NOON + MINUTE + DRIFT.cooldown
        history.clock.pass_(HOUR)
        history.send()
        assert history.model().cooldown_until == NOON + MINUTE + DRIFT.cooldown

    @pytest.mark.parametrize(
        "accident", [limited, accepted_then_cut, cut_before_accepting, refused]
    )
    def test_by_whatever_may_have_arrived(self, history, accident):
        """An answer, and no answer after the connection."""
        history.target.accidents = [unavailable, accident]
        history.deliver(alert())
        history.send()
        history.clock.pass_(MINUTE)
        history.send()

        assert history.dispatches()[0].sent_at == NOON + MINUTE

    def test_a_refused_connection_leaves_what_arrived_before(self, history):
        """The attempt before was answered."""
        history.target.accidents = [limited, unavailable]
        history.deliver(alert())
        history.send()
        history.clock.pass_(2 * MINUTE)
        history.send()

        assert history.dispatches()[0].sent_at == NOON


class TestTargets:
    """`GET /targets`."""

    def test_nothing_is_known_before_it_was_asked(self, peer):
        """Neither good nor bad."""
        seen = target(peer)

        assert (seen["name"], seen["state"], seen["kind"]) == (TARGET, "unknown", "kfp")
        assert seen["policies"] == ["drift"]
        assert (seen["error"], seen["cure"], seen["failing_since"]) == (None, None, None)

    def test_one_that_fails_says_since_when_and_who_waits(self, history, peer):
        """The error, the cure, the models behind it."""
        history.target.accidents = [unavailable] * 3
        history.deliver(alert("1"), alert("2"))
        history.clock.pass_(MINUTE)
        history.send()
        history.send()

        seen = target(peer)

        assert seen["state"] == "failing"
        assert seen["failing_since"] == "2026-11-22T12:01:00Z"
        assert seen["error"] == "connection refused"
        assert "http://127.0.0.1:9" in seen["cure"]
        assert (seen["waiting"], sorted(seen["models"])) == (2, ["1", "2"])
        assert seen["retry_at"] == "2026-11-22T12:01:05Z"
        history.clock.pass_(MINUTE)
        history.send()
        assert target(peer)["failing_since"] == "2026-11-22T12:01:00Z"

    def test_one_answer_and_it_is_well(self, history, peer):
        """Others may still wait for their next attempt."""
        history.target.accidents = [unavailable, unavailable]
        history.deliver(alert("1"), alert("2"))
        history.send()
        history.send()
        history.clock.pass_(MINUTE)

        history.send()

        seen = target(peer)
        assert (seen["state"], seen["waiting"]) == ("ok", 1)
        assert (seen["error"], seen["failing_since"]) == (None, None)

    def test_a_poll_that_gets_no_connection_counts(self, history, peer):
        """The target went away after it had accepted."""
        history.deliver(alert())
        history.send()
        history.target.poll_fails = DispatchError("connection refused", Failure.UNAVAILABLE)
        history.clock.pass_(MINUTE)
        assert history.follow()

        assert (target(peer)["state"], told(peer)["state"]) == ("failing", "running")
        history.target.poll_fails = None
        history.clock.pass_(MINUTE)
        history.follow()
        assert target(peer)["state"] == "ok"

    def test_a_poll_that_is_answered_badly_does_not(self, history, peer):
        """An answer about one run says little of the others."""
        history.deliver(alert())
        history.send()
        history.target.poll_fails = DispatchError("500", Failure.UNKNOWN, status_code=500)
        history.clock.pass_(MINUTE)
        history.follow()

        assert target(peer)["state"] == "ok"

    def test_a_request_that_is_refused_is_not_the_targets_fault(self, history, peer):
        """It answered."""
        history.target.accidents = [refused]
        history.deliver(alert())
        history.send()

        assert target(peer)["state"] == "ok"

    def test_a_credential_is(self, history, peer):
        """It is told as what it is."""
        history.target.accidents = [locked_out]
        history.deliver(alert())
        history.send()

        seen = target(peer)

        assert (seen["state"], seen["credential"]) == ("failing", "401 Bad credentials")
        assert "credential" in seen["cure"]

    def test_a_credential_that_cannot_be_read_is_told_unasked(self, history, tmp_path):
        """Before any run needs it."""
        secret = tmp_path / "token"
        secret.write_text("abc")
        config = NO_AUTH.replace(
            "      pipeline: retrain\n", "      pipeline: retrain\n      token_file: token\n"
        )
        with host(history, tmp_path, config) as peer:
            assert target(peer)["credential"] is None
            secret.unlink()

            assert "can't read" in target(peer)["credential"]

    @pytest.mark.parametrize("setting", ["password_file", "secret_file"])
    def test_neither_is_a_password_or_a_signing_secret(self, tmp_path, setting):
        """An HTTP target may have these instead of a token, or beside it."""
        target = Target("api", TargetKind.HTTP, {}, {})
        path = tmp_path / "secret"
        path.write_text("abc")
        settings = TargetSettings(target, HOUR, HOUR, **{setting: path})
        assert credential_problem(settings, TargetRecord("api")) is None
        path.unlink()

        assert "can't read" in credential_problem(settings, TargetRecord("api"))

    def test_what_nobody_waits_for_is_not_said_to_fail(self, history, peer):
        """It was not asked since: it may be well again."""
        history.target.accidents = [unavailable]
        history.deliver(alert())
        history.send()
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(MINUTE)
        history.send()

        seen = target(peer)

        assert history.states() == [DispatchState.SUPERSEDED]
        assert (seen["state"], seen["waiting"]) == ("unknown", 0)
        assert (seen["failing_since"], seen["error"]) == (None, "connection refused")


class TestTold:
    """A target that fails is told once, not for each model."""

    @pytest.fixture
    def heard(self, history):
        history.policy_set = replace(history.policy_set, subscribers=(SOMEBODY,))

        def heard():
            with history.store.view() as view:
                rows = view.announcements.page({}, limit=500).rows[::-1]
            return [row for row in rows if row.kind is Kind.TARGET_FAILING]

        return heard

    @pytest.mark.parametrize("accident", [unavailable, locked_out, broken])
    def test_once(self, history, heard, accident):
        """However many models meet it, and however often."""
        history.target.accidents = [accident] * 20
        history.deliver(*(alert(str(number)) for number in range(5)))
        history.wait(30 * MINUTE, step=5 * MINUTE)

        (one,) = heard()

        assert (one.data["target"], one.data["failing_since"]) == (TARGET, "2026-11-22T12:05:00Z")
        assert one.data["cure"]
        assert one.data["detail"].startswith(f"target {TARGET}: ")

    def test_not_for_one_lost_answer(self, history, heard):
        """That may be an accident; if it goes on, dispatches are parked, and that is told."""
        history.target.accidents = [cut_before_accepting]
        history.deliver(alert())
        history.send()

        assert heard() == []

    def test_again_if_it_fails_again_but_not_every_minute(self, history, heard):
        """One that comes and goes would be a noise."""
        for number in range(3):
            history.target.accidents = [unavailable]
            history.deliver(alert(str(number)))
            history.send()
            history.clock.pass_(QUIET / 2 + SECOND)
            history.send()

        assert len(heard()) == 2


def test_metrics_tell_the_target(history):
    """And the models by state."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    history.target.accidents = [unavailable]
    history.deliver(alert())
    history.clock.pass_(MINUTE)
    history.send()

    shown = CollectorRegistry()
    shown.register(StoreGauges(history.store.snapshot, lambda: None, 0))

    labels = {"target": TARGET}
    assert shown.get_sample_value("retrain_target_up", labels) == 0
    assert shown.get_sample_value("retrain_target_waiting_models", labels) == 1
    since = shown.get_sample_value("retrain_target_failing_since_timestamp_seconds", labels)
    assert since == (NOON + MINUTE).timestamp()
    assert shown.get_sample_value("retrain_models", {"state": ModelState.WAITING.value}) == 1
    history.clock.pass_(MINUTE)
    history.send()
    assert shown.get_sample_value("retrain_target_up", labels) == 1
    assert shown.get_sample_value("retrain_target_failing_since_timestamp_seconds", labels) is None


def test_the_page_has_one_banner_for_a_target(history, tmp_path):
    """Above all models, with since when, the error, the cure and how many wait."""
    history.target.accidents = [unavailable] * 2
    with host(history, tmp_path) as peer:
        peer.post("/webhook", post(entry("1"), entry("2")))
        history.send()
        history.send()

        page = peer.get("/").text

    assert page.count("Target pipeline fails") == 1
    assert "connection refused" in page
    assert "2 models wait" in page
    assert "To mend it: start http://127.0.0.1:9" in page
    assert page.index("Target pipeline fails") < page.index('id="models"')


TWO_TARGETS = f"""\
{NO_AUTH}\
  - name: age
    match: ['alertname="ModelTooOld"']
    model: {{name: "{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: other
""".replace(
    "policies:", "  other: {kfp: {endpoint: http://127.0.0.1:9, pipeline: another}}\npolicies:"
)


def test_a_banner_leads_to_the_models_of_its_target(history, tmp_path):
    """Where two targets fail, each to its own."""
    history.target.accidents = [unavailable] * 2
    with host(history, tmp_path, TWO_TARGETS) as peer:
        peer.post("/webhook", post(entry("1"), entry("2", name="ModelTooOld")))
        for name in ("pipeline", "other"):
            dispatch_next(history.store, name, history.target, history.policy_set, history.watch)

        page = unescape(peer.get("/").text)

        for target, model in (("pipeline", "1"), ("other", "2")):
            there = f"/?state=waiting&target={target}"
            assert f'<a href="{there}">1 model waits</a>' in page
            listed = re.findall(r'<h3><a href="/ui/models/([^"]*)"', peer.get(there).text)
            assert listed == [model]


@pytest.mark.parametrize(
    ("kind", "error", "status", "said"),
    [
        (TargetKind.KFP, "the token is empty", None, "credential"),
        (TargetKind.GITHUB, "403", 403, "credential"),
        (TargetKind.GITHUB, "GitHub limits our rate", 403, "credential"),
        (TargetKind.GITHUB, "GitHub limits our rate", 429, "wait"),
        (TargetKind.KFP_LOCAL, "no interpreter", None, "doctor"),
        (TargetKind.KFP, "503", 503, "it answers, but with 503"),
        (TargetKind.KFP, "connection refused", None, "start http://kfp"),
    ],
)
def test_each_error_has_a_cure(kind, error, status, said):
    """One sentence that says what a human can do."""
    assert said in cure(kind, {"endpoint": "http://kfp"}, error, status)


def test_one_that_was_refused_by_waits_for_a_human():
    """It is failing although nothing of it is live."""
    record = TargetRecord("t", failing_since=NOON)

    assert TargetStanding(record, stuck=1).state is TargetState.FAILING
    assert TargetStanding(record).state is TargetState.UNKNOWN
    assert not record.answered(NOON).is_to_be_told(NOON)
