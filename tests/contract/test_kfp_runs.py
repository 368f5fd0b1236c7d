"""The REST dispatcher finds runs in doubt and follows runs to their end."""

import socket
from contextlib import closing
from dataclasses import replace

import pytest

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.runs import Absent, NotSeen, Run, RunState
from tests.contract.kfp_setup import (
    LOGIN,
    dispatcher,
    failure_of,
    order,
    peer,
    run_of,
)
from tests.peers.kfp import Fault, KfpPeer

__all__ = ["peer"]


def test_find_looks_for_every_attempt_in_doubt(peer):
    """The run of the first attempt is found in the third by its id; others' runs are not taken."""
    one = dispatcher()
    one.start(order(peer.url, id="01jd9xk3v0q8z5m7n2b4c6d8ff"))
    doubtful = order(peer.url, in_doubt=(1, 2, 3), attempt=3)
    assert one.find(doubtful) == Absent()

    peer.answer_next(Fault(accept=True))
    failure_of(one.start, order(peer.url))
    peer.runs[run_of(1)]["display_name"] = "renamed by somebody"

    assert one.find(doubtful) == Run(run_of(1), None, shows_id=True)


def test_absence_is_proven_beside_a_run_that_is_known_to_exist(peer):
    """A server whose runs were lost shows its experiment still, and no run at all."""
    one, known = dispatcher(), order(peer.url, id="01jd9xk3v0q8z5m7n2b4c6d8ff")
    known = replace(known, run_id=one.start(known).id)
    peer.answer_next(Fault(accept=True))
    failure_of(one.start, order(peer.url))
    doubtful = order(peer.url, in_doubt=(1,))
    ours = peer.runs.pop(run_of(1))
    assert one.find(doubtful, known) == Absent()

    peer.runs.clear()
    look = one.find(doubtful, known)
    assert isinstance(look, NotSeen)
    assert f"does not show run {known.run_id} either" in look.why
    peer.runs[run_of(1)] = ours
    assert one.find(doubtful, known).id == run_of(1)


def test_a_control_that_can_not_be_asked_for_proves_nothing(peer):
    """Neither the server nor something in front of it said that it is there."""
    one, known = dispatcher(), order(peer.url, id="01jd9xk3v0q8z5m7n2b4c6d8ff")
    known = replace(known, run_id=one.start(known).id)
    peer.answer_next(Fault(404), to="get_run")  # KFP's own no, about the run in doubt
    peer.answer_next(Fault(503), to="get_run")

    with pytest.raises(DispatchError, match="503"):
        one.find(order(peer.url, in_doubt=(1,)), known)


def test_find_reads_the_listing_to_its_end(peer):
    """An empty page that names a next one is not the end, and a list without one is an error."""
    peer.ignores_ids = True
    run = dispatcher().start(order(peer.url))
    more = Fault(change={"runs": [], "next_page_token": "0"})
    peer.answer_next(more, to="list_runs", times=2)

    assert dispatcher().find(order(peer.url, in_doubt=(1,))) == run
    peer.answer_next(more, to="list_runs", times=99)
    error = failure_of(dispatcher().find, order(peer.url, in_doubt=(1,)))
    assert error.failure is Failure.UNKNOWN


@pytest.mark.parametrize("operation", ["get_run", "list_runs"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(),
        Fault(403),
        Fault(500),
        Fault(429),
        Fault(302, headers={"Location": "/dex"}),
        Fault(404, body=LOGIN),
        Fault(404, body=b'{"message": "no route"}'),
        Fault(200, body=LOGIN),
        Fault(200, body=b"null"),
    ],
)
def test_a_look_that_failed_proves_nothing(peer, operation, fault):
    """Absence comes from KFP itself or not at all: a proxy's 404 is no proof."""
    peer.answer_next(fault, to=operation)

    error = failure_of(dispatcher().find, order(peer.url, in_doubt=(1,)))

    assert error.failure is Failure.UNKNOWN
    assert peer.starts == 0


def test_a_look_at_nobody_proves_nothing():
    """Not reaching the server tells nothing about the run."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    assert failure_of(dispatcher().find, order(url, in_doubt=(1,))).failure is Failure.UNKNOWN
    assert failure_of(dispatcher().poll, order(url, run_id="a")).failure is Failure.UNKNOWN


def test_an_empty_object_is_not_a_run(peer):
    """An answer without the run's id neither shows a run nor its absence."""
    peer.answer_next(Fault(200, body=b"{}"), to="get_run", times=2)
    dispatch = order(peer.url, in_doubt=(1,), run_id=run_of(1))

    assert failure_of(dispatcher().find, dispatch).failure is Failure.UNKNOWN
    assert failure_of(dispatcher().poll, dispatch).failure is Failure.UNKNOWN


def test_find_in_a_profile_asks_for_its_namespace():
    """In multi-user mode a listing without a namespace is refused."""
    with KfpPeer(multi_user=True) as peer:
        dispatch = order(peer.url, place={"namespace": "team-a"}, in_doubt=(1,))
        assert isinstance(dispatcher().find(dispatch), NotSeen)

        dispatcher().start(dispatch)

        assert dispatcher().find(dispatch).id == run_of(1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("SUCCEEDED", RunState.SUCCEEDED),
        ("FAILED", RunState.FAILED),
        ("CANCELED", RunState.CANCELLED),
        ("SKIPPED", RunState.CANCELLED),
        ("PENDING", RunState.RUNNING),
        ("RUNNING", RunState.RUNNING),
        ("CANCELING", RunState.RUNNING),
        ("PAUSED", RunState.RUNNING),
        ("RUNTIME_STATE_UNSPECIFIED", RunState.RUNNING),
        ("A_STATE_OF_TOMORROW", RunState.RUNNING),
        (None, RunState.RUNNING),
    ],
)
def test_poll_translates_every_state(peer, word, state):
    """The target's own word is kept beside ours."""
    run = dispatcher().start(order(peer.url))
    peer.finish(run.id, word)

    status = dispatcher().poll(order(peer.url, run_id=run.id))

    assert status.state is state
    assert status.detail == (word or "RUNTIME_STATE_UNSPECIFIED")


def test_poll_quotes_the_error_of_a_failed_run(peer):
    """It is a stranger's text: escaped, one line, short."""
    run = dispatcher().start(order(peer.url))
    peer.finish(run.id, "FAILED", error="no data\n\x1b[31m" + "x" * 5000)

    status = dispatcher().poll(order(peer.url, run_id=run.id))

    assert status.detail.startswith(r"FAILED: 'no data\n\x1b[31mxxx")
    assert len(status.detail) < 300


def task(name, state="FAILED", message=""):
    error = {"error": {"code": 2, "message": message}} if message else {}
    return {"display_name": name, "state": state, **error}


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (
            [task("root"), task("load", "SUCCEEDED", "x"), task("train", message="no\x1b data")],
            r"FAILED: 'train' failed: 'no\x1b data'",
        ),
        ([task("root"), task("train")], "FAILED: 'train' failed"),
        ([task("load", "SUCCEEDED")], "FAILED"),
        ([], "FAILED"),
    ],
)
def test_poll_quotes_the_step_that_failed(peer, tasks, said):
    """What a workflow says of a step is not in the run's own error."""
    run = dispatcher().start(order(peer.url))
    peer.finish(run.id, "FAILED")
    peer.runs[run.id]["run_details"] = {"task_details": tasks}

    assert dispatcher().poll(order(peer.url, run_id=run.id)).detail == said


def test_a_run_that_kfp_forgot_is_gone(peer):
    """But a proxy that knows nothing says nothing about it."""
    dispatch = order(peer.url, run_id=run_of(1))

    assert dispatcher().poll(dispatch).state is RunState.GONE
    peer.answer_next(Fault(404, body=LOGIN), to="get_run")
    assert failure_of(dispatcher().poll, dispatch).failure is Failure.UNKNOWN


def test_a_server_without_the_experiment_proves_nothing(peer):
    """It was there before the POST: the database was lost, or this is another server."""
    place = {"experiment": "drift"}
    doubtful = order(peer.url, place=place, in_doubt=(1,), run_id=run_of(1))

    look = dispatcher().find(doubtful)
    assert isinstance(look, NotSeen)
    assert "experiment" in look.why
    assert "nor its experiment" in str(failure_of(dispatcher().poll, doubtful))

    peer.add_experiment("drift")
    assert dispatcher().find(doubtful) == Absent()
    assert dispatcher().poll(doubtful).state is RunState.GONE


@pytest.mark.parametrize("fault", [Fault(500), Fault(404, body=LOGIN), Fault(200, body=LOGIN)])
def test_a_404_counts_only_while_the_experiment_answers(peer, fault):
    """What stands in front of KFP, or a server in trouble, says nothing about the run."""
    peer.answer_next(fault, to="list_experiments", times=2)
    dispatch = order(peer.url, in_doubt=(1,), run_id=run_of(1))

    assert failure_of(dispatcher().find, dispatch).failure is Failure.UNKNOWN
    assert failure_of(dispatcher().poll, dispatch).failure is Failure.UNKNOWN
