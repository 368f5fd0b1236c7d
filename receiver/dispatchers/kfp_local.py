"""Runs compiled pipelines on this machine, each in a child process that outlives us.

A run lives in a folder named by its id. One file in it says how far it came, by its name: `ready`
becomes `started` (by the child) or `withdrawn` (by a look-up). A rename has one winner, so either
the child runs or the look-up has proven that it never will, at once and for ever.
"""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from select import POLLIN, poll
from tempfile import mkdtemp
from threading import Thread
from time import monotonic
from typing import Any

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.policies import shown
from receiver.core.reports import BadReport, Report, parse_report
from receiver.core.runs import Absent, Look, Run, RunState, RunStatus
from receiver.dispatchers.pipelines import fill_parameters, read_package, refusal, run_id
from receiver.dispatchers.run_folders import forget_ended, is_locked, sync, write

CHILD = Path(__file__).with_name("kfp_child.py")
NO_KFP = 3
"""The child's exit status without the kfp SDK."""

NO_PROGRAM = frozenset(
    {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.EPERM}
)

CURE = (
    "prepare it with `make .venv-kfp/.installed`, or name one that has kfp in the setting `python`"
)
REPORT = "retrain_verdict"
"""The pipeline's output parameter that holds its report."""

OURS = ("PYTHON", "VIRTUAL_ENV", "RETRAIN_RECEIVER_")
"""Variables that describe our own interpreter and service: the child's are others."""


class KfpLocalDispatcher:
    """Starts and watches child processes that run pipelines through `kfp.local`.

    Attributes:
        lookup_window: May be zero: a look-up that finds nothing has made sure that nothing comes.

    """

    always_shows_id = True

    def __init__(
        self,
        *,
        python: Path,
        runs_dir: Path,
        lookup_window: timedelta,
        run_timeout: timedelta,
        patience: timedelta = timedelta(seconds=30),
    ) -> None:
        self.lookup_window = lookup_window
        self.run_timeout = run_timeout
        self._python = python
        self._runs_dir = runs_dir.absolute()
        self._patience = patience

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:  # noqa: ARG002
        """Look for a run that has begun, and withdraw those that have not: they never will."""
        ids = [run_id(dispatch.id, attempt) for attempt in dispatch.in_doubt]
        with _meaning(Failure.UNKNOWN):
            begun = [name for name in ids if not self._withdraw(name)]
        return _run(begun[-1]) if begun else Absent()

    def start(self, dispatch: Dispatch) -> Run:
        """Start a child, and wait until it has begun the run or surely never will.

        Asked twice for one attempt, two children start, and one of them begins the run.
        """
        name = run_id(dispatch.id, dispatch.attempt)
        source = Path(dispatch.place["pipeline"])
        arguments = fill_parameters(read_package(source).spec, dispatch)
        with _meaning(Failure.UNAVAILABLE):
            self._prepare(name, source, {"arguments": arguments, "pipeline": str(source)})
            forget_ended(self._runs_dir / name)
        try:
            self._spawn(name)
        except DispatchError:
            with _meaning(Failure.UNKNOWN):
                if self._withdraw(name):
                    raise
        return _run(name)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run stands now."""
        folder = self._runs_dir / (dispatch.run_id or "")
        log = folder / "log.txt"
        with _meaning(Failure.UNKNOWN):
            if not dispatch.run_id or not (folder / "started").exists():
                return RunStatus(RunState.GONE, f"there is no run in {folder}", shows_id=True)
            # In this order: a child that ends in between has written its result before.
            alive = is_locked(folder / "started")
            result = _read_result(folder)
        match result:
            case {"state": "succeeded"}:
                state, detail = RunState.SUCCEEDED, "the pipeline succeeded"
            case {"error": str(error)}:
                state, detail = RunState.FAILED, _last_line(error)
            case _ if alive:
                state, detail = RunState.RUNNING, "the child process runs"
            case _:
                state, detail = RunState.FAILED, "the child process died without a result"
        return RunStatus(state, f"{detail}; see {log}", shows_id=True)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """Read it from the pipeline's output parameter of that name."""
        with _meaning(Failure.UNKNOWN):
            result = _read_result(self._runs_dir / (dispatch.run_id or ""))
        outputs = result.get("outputs") if isinstance(result, dict) else None
        said = outputs.get(REPORT) if isinstance(outputs, dict) else None
        if said is not None and not isinstance(said, str):
            raise BadReport(f"{shown(str(said))} is no text; declare {REPORT} as a string")
        return parse_report(said) if said else None

    def _prepare(self, name: str, source: Path, request: Mapping[str, Any]) -> None:
        """Make the run's folder, whole or not at all."""
        with self._new_folder(name) as folder:
            write(folder / "request.json", json.dumps(request).encode())
            write(folder / "pipeline.yaml", source.read_bytes())
            write(folder / "ready", b"")

    def _withdraw(self, name: str) -> bool:
        """Make sure that no child ever begins this run. False if one has."""
        folder = self._runs_dir / name
        if not folder.exists():
            # A starter that was slow must find this one when it comes.
            with self._new_folder(name) as new:
                write(new / "withdrawn", b"")
        try:
            (folder / "ready").rename(folder / "withdrawn")
        except FileNotFoundError:
            return (folder / "withdrawn").exists()
        sync(folder)
        return True

    @contextmanager
    def _new_folder(self, name: str) -> Iterator[Path]:
        """Make a folder that takes its name when it is complete, unless there is one already."""
        self._runs_dir.mkdir(parents=True, exist_ok=True)
        new = Path(mkdtemp(prefix=".new-", dir=self._runs_dir))
        try:
            yield new
            sync(new)
            try:
                # Onto a folder that is not empty, which each of ours is, this fails.
                new.rename(self._runs_dir / name)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            sync(self._runs_dir)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _spawn(self, name: str) -> None:
        """Start a child and wait for its claim. Raises `DispatchError` if it did not get there."""
        folder = self._runs_dir / name
        with _meaning(Failure.UNAVAILABLE), (folder / "log.txt").open("ab") as log:
            reading, writing = os.pipe()
            with os.fdopen(reading):
                with os.fdopen(writing, "w"):
                    child = self._start_child(folder, writing, log.fileno())
                ended = _ends_within(reading, self._patience)
            if (folder / "started").exists():
                # Somebody must collect its exit status; its result is in the folder.
                Thread(target=child.wait, name=f"kfp-local-{name}", daemon=True).start()
                return
            if not ended:
                child.kill()
            status = child.wait()
        if status == NO_KFP:
            raise refusal(f"{self._python} has no kfp SDK: {CURE}")
        if status > 0:
            raise refusal(
                f"{self._python} failed with exit status {status} before it began the run; "
                f"see {folder / 'log.txt'}: {CURE}"
            )
        raise DispatchError(
            "the child process ended before it began the run"
            if ended
            else f"the child process did not begin the run within {self._patience}",
            Failure.UNAVAILABLE,
        )

    def _start_child(self, folder: Path, begun: int, log: int) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        try:
            return subprocess.Popen(  # noqa: S603  our script and a configured interpreter
                # -I: our folder, whose kfp.py is not the SDK, stays out of its way.
                [self._python, "-I", "-u", CHILD, folder],
                stdin=subprocess.DEVNULL,
                stdout=begun,
                stderr=log,
                cwd=folder,
                env=environment,
                # Its own session: signals for us, also from a terminal, are not for it.
                start_new_session=True,
            )
        except OSError as error:
            if error.errno not in NO_PROGRAM:
                raise
            raise refusal(
                f"cannot run {self._python}: {error.strerror or error}: {CURE}"
            ) from error


def _ends_within(pipe: int, patience: timedelta) -> bool:
    """Read a pipe to its end. False if that takes too long."""
    ready, ends = poll(), monotonic() + patience.total_seconds()
    ready.register(pipe, POLLIN)
    while ready.poll(max(ends - monotonic(), 0) * 1000):
        if not os.read(pipe, 4096):
            return True
    return False


def _read_result(folder: Path) -> Any:
    try:
        return json.loads((folder / "result.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        return {"error": f"result.json cannot be read: {error}"}


def _run(name: str) -> Run:
    return Run(name, None, shows_id=True)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return shown(lines[-1] if lines else "no reason given", 200)


@contextmanager
def _meaning(failure: Failure) -> Iterator[None]:
    """Say what trouble with the disk or the machine tells about the run."""
    try:
        yield
    except OSError as error:
        raise DispatchError(
            f"cannot use the runs folder: {shown(str(error), 200)}", failure
        ) from error
