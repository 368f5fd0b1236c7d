"""A run that can't be followed is told as such: by itself, and as its target's failure."""

from datetime import timedelta
from html import unescape

import pytest

from receiver.core.dispatches import DispatchError, DispatchState, Failure
from receiver.core.target_health import bars_every_run, cure
from receiver.core.targets import TargetKind
from tests.contract import github_setup, http_setup, kfp_setup
from tests.examples import alert
from tests.peers.github import GithubPeer
from tests.peers.github_wire import answering
from tests.peers.http_apis import BridgePeer
from tests.peers.http_apis import Fault as HttpFault
from tests.peers.kfp import KfpPeer
from tests.peers.kfp_wire import Fault as KfpFault
from tests.serving import host

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

POLICIES = """
policies:
  - name: drift
    match: ['alertname="HighModelMAE"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
"""


@pytest.fixture
def github(history, tmp_path):
    """A history whose target is GitHub."""
    token = github_setup.token_file(tmp_path)
    with GithubPeer() as peer:
        history.target = github_setup.dispatcher_with(token)
        settings = (
            f"{{base_url: '{peer.base_url}', repository: acme/models, "
            "workflow: retrain-model.yaml, token_file: github-token, "
            "inputs: {user_id: '{user_id}'}}"
        )
        config = f"storage: {{min_free: 0}}\ntargets: {{pipeline: {{github: {settings}}}}}"
        with host(history, tmp_path, config + POLICIES) as peer.told:
            history.deliver(alert())
            history.send()
            yield peer


def target(plain):
    (found,) = plain.get("/targets").json()["targets"]
    return found


def test_a_repository_that_was_renamed_while_its_run_goes_on_is_told(history, github):
    """By the dispatch, by `GET /targets` with the cure, and above all models on the page."""
    github.renamed_to = "acme/ml-models"
    github.finish(8001, "success")
    history.wait(30 * MINUTE, step=5 * MINUTE)

    (row,) = history.dispatches()
    told = "write `repository: acme/ml-models`"
    assert row.state == "running"
    assert row.detail.startswith("run 8001: can't be followed: GitHub answered 301")
    assert told in row.detail
    seen = target(github.told)
    assert (seen["state"], "`repository`" in seen["cure"]) == ("failing", True)
    assert told in seen["error"]
    page = unescape(github.told.get("/").text)
    assert "Target pipeline fails" in page
    assert "acme/ml-models" in page


def test_its_time_is_over_with_the_last_error_and_not_with_a_run_that_goes_on(history, github):
    """Nobody has seen it going on."""
    github.renamed_to = "acme/ml-models"
    github.finish(8001, "success")
    history.wait(26 * HOUR, step=HOUR)

    row = history.dispatches()[0]
    assert row.state == "parked"
    assert "goes on" not in row.detail
    assert "was not said to be over after run_timeout (1d), for it can't be followed" in row.detail
    assert "write `repository: acme/ml-models`" in row.detail


def test_once_it_can_be_followed_again_that_is_told(history, github):
    """Nothing is left of the error."""
    github.renamed_to = "acme/ml-models"
    history.wait(5 * MINUTE)
    assert target(github.told)["state"] == "failing"

    github.renamed_to = None
    history.wait(2 * MINUTE)

    (row,) = history.dispatches()
    assert (row.state, row.detail) == ("running", "run 8001: it runs")
    assert target(github.told)["state"] == "ok"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_is_let_in_no_more_is_told(history, github, status):
    """A token that expired, lost its rights, or sees the repository no more."""
    if status == 401:
        github.tokens.clear()
    else:
        for phase in ("poll", "repository"):
            github.answer_always(answering(status), phase=phase)
    history.wait(5 * MINUTE)

    (row,) = history.dispatches()
    seen = target(github.told)
    assert row.detail.startswith(f"run 8001: can't be followed: GitHub answered {status}")
    assert seen["state"] == "failing"
    assert "credential" in seen["cure"]


@pytest.mark.parametrize("status", [301, 401, 403])
def test_so_it_is_at_kubeflow(history, tmp_path, status):
    """The flow is the same."""
    with KfpPeer() as peer:
        history.target = kfp_setup.dispatcher()
        settings = f"{{endpoint: '{peer.url}', pipeline: {kfp_setup.TINY}, inputs: {{word: a}}}}"
        settings = settings.replace("inputs", "parameters")
        config = f"storage: {{min_free: 0}}\ntargets: {{pipeline: {{kfp: {settings}}}}}"
        with host(history, tmp_path, config + POLICIES) as plain:
            history.deliver(alert())
            history.send()
            assert history.states() == [DispatchState.RUNNING]
            peer.answer_next(KfpFault(status), to="get_run", times=100)
            history.wait(5 * MINUTE)

            assert f"can't be followed: the KFP server answered {status}" in (
                history.dispatches()[0].detail
            )
            assert target(plain)["state"] == "failing"


@pytest.mark.parametrize("status", [301, 401, 403])
def test_so_it_is_at_any_http_api(history, tmp_path, status):
    """The flow is the same."""
    with BridgePeer() as peer:
        history.target = http_setup.dispatcher()
        config = http_setup.BRIDGE.replace("PEER", peer.url).replace("bridge", "pipeline")
        with host(history, tmp_path, config + "storage: {min_free: 0}\n") as plain:
            history.deliver(alert())
            history.send()
            assert history.states() == [DispatchState.RUNNING]
            peer.answer_next(HttpFault(status), to="read", times=100)
            history.wait(5 * MINUTE)

            assert f"answered {status}" in history.dispatches()[0].detail
            assert target(plain)["state"] == "failing"


def test_a_500_is_told_of_the_run_alone(history, github):
    """An answer about one run says little of the others."""
    github.answer_always(answering(500), phase="poll")
    history.wait(5 * MINUTE)

    (row,) = history.dispatches()
    assert row.detail.startswith("run 8001: can't be followed: GitHub answered 500")
    assert target(github.told)["state"] == "ok"


@pytest.mark.parametrize(
    ("status", "wait", "bars"),
    [
        (None, None, True),
        (301, None, True),
        (307, None, True),
        (401, None, True),
        (403, None, True),
        (403, MINUTE, False),
        (None, MINUTE, False),
        (404, None, True),
        (410, None, True),
        (429, MINUTE, False),
        (500, None, False),
        (200, None, False),
    ],
)
def test_which_answers_bar_every_run(status, wait, bars):
    error = DispatchError("no", Failure.UNAVAILABLE, status_code=status, retry_after=wait)

    assert bars_every_run(error) is bars


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (TargetKind.GITHUB, "`repository`"),
        (TargetKind.KFP, "`endpoint`"),
        (TargetKind.HTTP, "`base_url`"),
    ],
)
def test_what_moved_or_is_not_there_is_mended_in_the_configuration(kind, setting):
    for status in (301, 404):
        assert setting in cure(kind, {}, "it points elsewhere; or `token_file`", status)
