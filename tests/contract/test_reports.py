"""Each kind of target gives its run's report where the documentation says that it lies."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from receiver.core.dispatches import DispatchError
from receiver.core.reports import BadReport, Report, Verdict
from receiver.dispatchers.kfp_local import KfpLocalDispatcher
from receiver.dispatchers.unconfigured import UnconfiguredTarget
from tests.contract import github_setup, kfp_setup
from tests.peers.github import GithubPeer
from tests.peers.github_wire import TRUNCATED, answering
from tests.peers.kfp import Fault, KfpPeer


@pytest.fixture
def github(tmp_path):
    """A peer with one run, and a function that reads its report."""
    with GithubPeer() as peer:
        run = peer.start_run("retrain churn")
        one = github_setup.dispatcher_with(github_setup.token_file(tmp_path))
        dispatch = github_setup.dispatch_to(peer, run_id=str(run.id))
        yield peer, run, lambda: one.read_report(dispatch)


def test_github_shows_the_report_in_a_steps_name(github):
    """Names of steps around it say nothing."""
    peer, run, read = github
    peer.report(run.id, "Set up job", "retrain-verdict: promoted mae=0.41", "Complete job")

    assert read() == Report(Verdict.PROMOTED, {"mae": 0.41})
    assert peer.requests("jobs")[0].query["filter"] == "latest"


def test_github_shows_the_report_in_a_jobs_name(github):
    """A job that needs another may carry the other's outputs in its name."""
    _, run, read = github
    run.jobs = [{"name": "retrain-verdict: rejected", "conclusion": "success", "steps": None}]

    assert read() == Report(Verdict.REJECTED)


@pytest.mark.parametrize("conclusion", ["skipped", "cancelled", None])
def test_what_did_not_run_on_github_reports_nothing(github, conclusion):
    """Its name was written before anything was known."""
    peer, run, read = github
    peer.report(run.id, "retrain-verdict: promoted", conclusion=conclusion)

    assert read() is None


def test_a_report_behind_the_first_page_of_jobs_is_found(github):
    """A matrix of many jobs may stand before it; what stands behind 300 is not looked for."""
    peer, run, read = github
    run.jobs = [{"name": f"shard {n}", "conclusion": "success"} for n in range(150)]
    peer.report(run.id, "retrain-verdict: promoted")
    assert read() == Report(Verdict.PROMOTED)
    run.jobs = [{"name": f"shard {n}", "conclusion": "success"} for n in range(301)]

    assert read() is None
    assert len(peer.requests("jobs")) == 2 + 3


@pytest.mark.parametrize(
    "behaviour",
    [
        answering(404),
        answering(403),
        answering(200, {"jobs": "none"}),
        answering(200, b"<html>log in</html>"),
        answering(307, headers={"Location": "http://elsewhere.example"}),
        TRUNCATED,
    ],
)
def test_whatever_github_answers_instead_is_no_report(github, behaviour):
    """It is an error that the flow may try again, never a verdict."""
    peer, run, read = github
    peer.report(run.id, "retrain-verdict: promoted")
    peer.answer_always(behaviour, phase="jobs")

    with pytest.raises(DispatchError):
        read()


def test_strange_entries_among_githubs_jobs_are_passed_over(github):
    """Only objects with a name and a conclusion can carry a report."""
    _, run, read = github
    run.jobs = [
        "x",
        None,
        {"conclusion": "success"},
        {"conclusion": ["success"], "steps": [1, {}]},
    ]

    assert read() is None


@pytest.fixture
def kfp():
    """A peer with one run, its id, and a function that reads its report."""
    with KfpPeer() as peer:
        dispatch = kfp_setup.order(peer.url, run_id=kfp_setup.run_of(1))
        one = kfp_setup.dispatcher()
        one.start(dispatch)
        yield peer, dispatch.run_id, lambda: one.read_report(dispatch)


def tasks(**states):
    details = [{"display_name": name.replace("_", "-"), "state": s} for name, s in states.items()]
    odd = {"display_name": ["retrain-verdict-promoted"], "state": "SUCCEEDED"}
    return {"task_details": [*details, "x", {}, odd]}


@pytest.mark.parametrize(
    ("details", "report"),
    [
        (None, None),
        ({}, None),
        ({"task_details": "x"}, None),
        (tasks(train="SUCCEEDED"), None),
        (tasks(retrain_verdict_promoted="SUCCEEDED"), Report(Verdict.PROMOTED)),
        (
            tasks(retrain_verdict_promoted="SKIPPED", retrain_verdict_rejected="SUCCEEDED"),
            Report(Verdict.REJECTED),
        ),
        (
            tasks(retrain_verdict_promoted="FAILED", retrain_verdict_promoted_driver="SUCCEEDED"),
            None,
        ),
    ],
)
def test_kfp_shows_the_verdict_in_a_tasks_name(kfp, details, report):
    """Only a task that succeeded has run to its end."""
    peer, run_id, read = kfp
    peer.runs[run_id]["run_details"] = details

    assert read() == report


def test_two_verdicts_of_one_kfp_run_are_none(kfp):
    """Nobody guesses which one is meant."""
    peer, run_id, read = kfp
    both = tasks(retrain_verdict_promoted="SUCCEEDED", retrain_verdict_rejected="SUCCEEDED")
    peer.runs[run_id]["run_details"] = both

    with pytest.raises(BadReport):
        read()


def test_a_kfp_server_that_does_not_answer_is_an_error(kfp):
    """The flow may try again; a run that is gone reports nothing."""
    peer, run_id, read = kfp
    peer.answer_next(Fault(503), to="get_run")
    with pytest.raises(DispatchError):
        read()
    del peer.runs[run_id]

    assert read() is None


def local(folder, result):
    """What a local run reports that left this result."""
    dispatch = kfp_setup.order("local", run_id="the-run")
    if result is not None:
        (folder / "the-run").mkdir()
        (folder / "the-run" / "result.json").write_text(result)
    one = KfpLocalDispatcher(
        python=Path("python"),
        runs_dir=folder,
        lookup_window=timedelta(0),
        run_timeout=timedelta(hours=1),
    )
    return one.read_report(dispatch)


@pytest.mark.parametrize(
    ("result", "report"),
    [
        (None, None),
        ("{", None),
        ("[]", None),
        (json.dumps({"state": "failed", "error": "x"}), None),
        (json.dumps({"outputs": {"Output": "promoted"}}), None),
        (json.dumps({"outputs": {"retrain_verdict": ""}}), None),
        (
            json.dumps({"outputs": {"retrain_verdict": "promoted mae=3.1"}}),
            Report(Verdict.PROMOTED, {"mae": 3.1}),
        ),
    ],
)
def test_a_local_run_gives_its_report_as_an_output(tmp_path, result, report):
    """The child wrote it to its result file."""
    assert local(tmp_path, result) == report


@pytest.mark.parametrize("said", [True, {"verdict": "promoted"}, "deployed"])
def test_an_output_of_another_form_is_told(tmp_path, said):
    """The pipeline's author learns what to write."""
    with pytest.raises(BadReport):
        local(tmp_path, json.dumps({"outputs": {"retrain_verdict": said}}))


def test_a_target_that_is_gone_can_give_no_report():
    """As with everything else that could be asked of it."""
    with pytest.raises(DispatchError):
        UnconfiguredTarget("gone").read_report(kfp_setup.order("local"))
