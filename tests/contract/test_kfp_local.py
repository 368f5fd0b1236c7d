"""The local dispatcher with the real kfp SDK in an environment of its own."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from threading import enumerate as all_threads

import pytest

from receiver.core.dispatches import Failure
from receiver.core.runs import Absent, Run, RunState
from receiver.dispatchers import kfp_child
from receiver.dispatchers.kfp_local import CHILD, KfpLocalDispatcher
from receiver.dispatchers.pipelines import run_id
from tests.contract import kfp_setup
from tests.contract.kfp_setup import DISPATCH_ID, TINY, failure_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python():
    """Find the interpreter that has the kfp SDK."""
    if not (ROOT / ".venv-kfp" / ".installed").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no kfp SDK: make .venv-kfp/.installed")
        pytest.skip("no kfp SDK: make .venv-kfp/.installed")
    return ROOT / ".venv-kfp" / "bin" / "python"


@pytest.fixture
def gate(tmp_path):
    """Hold the pipeline's task until something is written here, which waits for the task."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    # A test that failed must not leave a task waiting: not at the gate, and not before it.
    opened = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    path.unlink()
    os.close(opened)


def dispatcher(runs, python, **changes):
    settings = {"lookup_window": timedelta(0), "run_timeout": timedelta(hours=24), **changes}
    return KfpLocalDispatcher(python=Path(python), runs_dir=runs, **settings)


def order(attempt=1, *, pipeline=TINY, **inputs):
    """A dispatch that makes this attempt; all attempts so far are in doubt."""
    return kfp_setup.order(
        "local",
        place={"pipeline": str(pipeline)},
        inputs={"word": "churn", **inputs},
        attempt=attempt,
        in_doubt=tuple(range(1, attempt + 1)),
        run_id=run_id(DISPATCH_ID, attempt),
    )


def folder_of(runs, attempt=1):
    return runs / run_id(DISPATCH_ID, attempt)


def wait_for_end(folder):
    """Wait until neither the child nor a task of it lives."""
    with (folder / "started").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def child_of(folder):
    return int((folder / "started").read_text())


def test_a_run_succeeds_in_clean_surroundings(python, tmp_path, monkeypatch):
    """Arguments arrive typed; our PYTHONPATH, folder and kfp.py do not; no zombie is left.

    What the task writes to a relative path stays out of the files of the run.
    """
    (tmp_path / "kfp.py").write_text("raise ImportError('not the SDK')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    one, dispatch = dispatcher(runs, python), order(number=0.25)

    run = one.start(dispatch)

    assert run == Run(run_id(DISPATCH_ID, 1), None, shows_id=True)
    child = child_of(folder_of(runs))
    wait_for_end(folder_of(runs))
    status = one.poll(dispatch)
    assert status.state is RunState.SUCCEEDED
    assert str(folder_of(runs) / "log.txt") in status.detail
    result = json.loads((folder_of(runs) / "result.json").read_text())
    assert result["outputs"] == {"Output": f"churn 0.25 {DISPATCH_ID}"}
    assert datetime.fromisoformat(result["ended_at"]).tzinfo is not None
    for thread in all_threads():
        if thread.name == f"kfp-local-{run.id}":
            thread.join()
    assert not Path(f"/proc/{child}").exists()
    assert {path.name for path in runs.iterdir()} == {run.id}


def test_a_run_fails_with_its_reason(python, tmp_path):
    """The task that failed is named in one line, without colours."""
    one, dispatch = dispatcher(tmp_path, python), order(word="fail")
    one.start(dispatch)
    wait_for_end(folder_of(tmp_path))

    status = one.poll(dispatch)

    assert status.state is RunState.FAILED
    assert "no data to train on" in status.detail
    assert "x1b" not in status.detail


def test_a_killed_child_has_failed_when_its_task_is_over(python, tmp_path, gate):
    """While an orphaned task still trains, the model counts as being retrained."""
    runs = tmp_path / "runs"
    one, dispatch = dispatcher(runs, python), order(gate=str(gate))
    one.start(dispatch)
    with gate.open("w") as task:
        os.kill(child_of(folder_of(runs)), signal.SIGKILL)
        for thread in all_threads():
            if thread.name == f"kfp-local-{dispatch.run_id}":
                thread.join()
        while_training = one.poll(dispatch).state
        task.write("go")
    wait_for_end(folder_of(runs))

    status = one.poll(dispatch)

    assert while_training is RunState.RUNNING
    assert status.state is RunState.FAILED
    assert "died without a result" in status.detail


RECEIVER = """
import os, signal, sys
sys.path[:0] = [{root!r}, {here!r}]
from test_kfp_local import *
dispatcher({runs!r}, {python!r}).start(order(gate={gate!r}))
os.killpg(0, signal.SIGKILL)
"""


def test_a_killed_receiver_finds_its_run_again(python, tmp_path, gate):
    """The run lives in a session of its own; the next receiver follows it to its end."""
    runs = tmp_path / "runs"
    script = RECEIVER.format(
        root=str(ROOT), here=str(Path(__file__).parent), runs=runs, python=python, gate=str(gate)
    ).replace("PosixPath", "Path")
    killed = subprocess.run(
        [sys.executable, "-c", script], start_new_session=True, check=False
    ).returncode
    one, dispatch = dispatcher(runs, python), order(gate=str(gate))

    found = one.find(dispatch)

    assert killed == -signal.SIGKILL
    assert found is not None
    assert one.poll(replace(dispatch, run_id=found.id)).state is RunState.RUNNING
    gate.write_text("go")
    wait_for_end(folder_of(runs))
    assert one.poll(replace(dispatch, run_id=found.id)).state is RunState.SUCCEEDED


def test_a_second_start_of_one_attempt_joins_the_first(python, tmp_path, gate):
    """Two at once and one later: three children were started, one ran."""
    runs = tmp_path / "runs"
    one, dispatch, ids = dispatcher(runs, python), order(gate=str(gate)), []
    racers = [Thread(target=lambda: ids.append(one.start(dispatch).id)) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    ids.append(dispatcher(runs, python).start(dispatch).id)
    gate.write_text("go")
    wait_for_end(folder_of(runs))

    assert ids == [dispatch.run_id] * 3
    assert (folder_of(runs) / "log.txt").read_text().count("Running pipeline") == 1
    assert one.poll(dispatch).state is RunState.SUCCEEDED


def test_a_child_that_comes_too_late_refuses(python, tmp_path):
    """The receiver died before it started one; the look-up withdrew the run for ever."""
    one, dispatch = dispatcher(tmp_path, python), order()
    one._prepare(dispatch.run_id, TINY, {"arguments": {"word": "churn"}})
    assert one.find(dispatch) == Absent()

    late = subprocess.run([python, "-I", CHILD, folder_of(tmp_path)], check=False)

    assert late.returncode == 0
    assert not (folder_of(tmp_path) / "started").exists()
    assert not (folder_of(tmp_path) / "result.json").exists()
    assert one.find(dispatch) == Absent()


def test_a_starter_that_comes_too_late_starts_nothing(python, tmp_path):
    """It hung before it had made the folder; the look-up took its place."""
    one, dispatch = dispatcher(tmp_path, python), order()
    assert one.find(dispatch) == Absent()

    error = failure_of(one.start, dispatch)

    assert error.failure is Failure.UNAVAILABLE
    assert not (folder_of(tmp_path) / "started").exists()
    assert one.find(dispatch) == Absent()
    assert one.poll(dispatch).state is RunState.GONE


def test_of_claim_and_withdrawal_one_wins(tmp_path):
    """Whoever renames `ready` first: the other one sees it, and a second claim fails."""
    one, first, second = dispatcher(tmp_path, "unused"), order(1), order(2)
    for dispatch in (first, second):
        one._prepare(dispatch.run_id, TINY, {})

    claimed = kfp_child.claim(folder_of(tmp_path, 1))
    try:
        assert kfp_child.claim(folder_of(tmp_path, 1)) is None
        assert one.find(first) == Run(first.run_id, None, shows_id=True)
        assert one.poll(first).state is RunState.RUNNING
        # Attempt 1 runs: it is found, and attempt 2 is withdrawn all the same.
        assert one.find(second) == Run(first.run_id, None, shows_id=True)
        assert kfp_child.claim(folder_of(tmp_path, 2)) is None
    finally:
        os.close(claimed)
    assert one.poll(first).state is RunState.FAILED


def test_a_result_that_cannot_be_read_is_a_failure(tmp_path):
    """A broken file neither stops the follower nor counts as success."""
    one, dispatch = dispatcher(tmp_path, "unused"), order()
    one._prepare(dispatch.run_id, TINY, {})
    os.close(kfp_child.claim(folder_of(tmp_path)))
    (folder_of(tmp_path) / "result.json").write_text("{")

    assert one.poll(dispatch).state is RunState.FAILED


def test_a_missing_sdk_is_named(tmp_path):
    """The interpreter is fine, only the SDK is not there."""
    assert "no kfp SDK" in str(failure_of(dispatcher(tmp_path, sys.executable).start, order()))


@pytest.mark.parametrize(
    "python", ["/nowhere/python", "/etc/hostname", "/bin/false", sys.executable]
)
def test_an_interpreter_that_cannot_run_pipelines_is_refused(tmp_path, python):
    """Missing, no program, no Python, without the SDK: refused with the cure, and nothing runs."""
    one = dispatcher(tmp_path, python)

    error = failure_of(one.start, order())

    assert error.failure is Failure.REFUSED
    assert python in str(error)
    assert "make .venv-kfp/.installed" in str(error)
    assert one.find(order()) == Absent()


def test_a_child_that_does_not_begin_is_given_up(tmp_path, gate):
    """The wait has a limit; what was given up is withdrawn, and tried again as unavailable."""
    stuck = tmp_path / "python"
    stuck.write_text(f"#!/bin/sh\nexec cat {gate}\n")
    stuck.chmod(0o755)
    one = dispatcher(tmp_path / "runs", stuck, patience=timedelta(seconds=0.2))

    error = failure_of(one.start, order())

    assert error.failure is Failure.UNAVAILABLE
    assert one.find(order()) == Absent()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"number": "many"}, "'number' is NUMBER_DOUBLE"),
        ({"wrod": "a"}, "does not declare 'wrod'"),
        ({"pipeline": Path("/nowhere.yaml")}, "/nowhere.yaml"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_starts(tmp_path, changes, named):
    """The sentence names what to mend, and no folder is left."""
    error = failure_of(dispatcher(tmp_path, "unused").start, order(**changes))

    assert error.failure is Failure.REFUSED
    assert named in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_runs_folder_that_cannot_be_used(tmp_path):
    """Before the child nothing ran; afterwards trouble with the disk tells nothing."""
    (tmp_path / "runs").write_text("not a folder")
    one = dispatcher(tmp_path / "runs", "unused")

    assert failure_of(one.start, order()).failure is Failure.UNAVAILABLE
    assert failure_of(one.find, order()).failure is Failure.UNKNOWN
