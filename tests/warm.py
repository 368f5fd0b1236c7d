"""Forks receivers from a process that has read all modules: a start costs a tenth of a cold one.

What is forked is the real command in a process of its own, with its own pid to be killed by.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Self

from tests.processes import ROOT

MODULES = (
    "receiver.cli",
    "receiver.cli.commands",
    "receiver.dispatchers.github",
    "receiver.store.migrate",
    "receiver.wiring",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)


LEASE = "TEST_LEASE_SECONDS"


class Warm:
    """The process that forks; to be used with `with`, and called as `tests.processes.Start`.

    `lease`: how long a claim lasts, if a test can't wait until a dead replica's own has ended.
    """

    def __init__(self, lease: timedelta | None = None) -> None:
        self._asking = Lock()
        self._settings = {LEASE: str(lease.total_seconds())} if lease else {}

    def __enter__(self) -> Self:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.warm"],
            cwd=ROOT,
            env={**os.environ, **self._settings, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._parent.stdin, self._parent.stdout):
            assert pipe is not None
            pipe.close()
        self._parent.wait()

    def __call__(self, arguments: list[str], log: Path) -> "Forked":
        """Fork one receiver."""
        return Forked(self, self.ask(["start", arguments, str(log)]))

    def ask(self, question: Sequence[Any]) -> Any:
        """Put one question to the parent."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with self._asking:
            self._parent.stdin.write(json.dumps(question) + "\n")
            self._parent.stdin.flush()
            return json.loads(self._parent.stdout.readline())


class Forked:
    """A receiver that was forked."""

    def __init__(self, warm: Warm, pid: int) -> None:
        self.pid = pid
        self._warm = warm
        self._ended: int | None = None

    def poll(self) -> int | None:
        """Tell the exit code, None while it runs."""
        if self._ended is None:
            self._ended = self._warm.ask(["wait", self.pid, os.WNOHANG])
        return self._ended

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002  asked after a signal only
        """Wait for the end, and tell the exit code."""
        if self._ended is None:
            self._ended = self._warm.ask(["wait", self.pid, 0])
        assert self._ended is not None
        return self._ended


def serve_questions() -> None:
    """Start and await receivers until the questions end; then none may be left."""
    for module in MODULES:
        importlib.import_module(module)
    if LEASE in os.environ:
        for name in (
            "transitions",
            "worker.dispatching",
            "worker.following",
            "worker.reconciling",
        ):
            lease = timedelta(seconds=float(os.environ[LEASE]))
            sys.modules[f"receiver.flows.{name}"].LEASE = lease
    living: set[int] = set()
    for line in sys.stdin:
        match json.loads(line):
            case ["start", arguments, log]:
                answer: int | None = os.fork()
                if answer == 0:
                    become(arguments, log)
                    return
                living.add(answer)
            case ["wait", pid, options]:
                ended, status = os.waitpid(pid, options)
                living.discard(ended)
                answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)  # noqa: T201  the pipe to our parent
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def become(arguments: list[str], log: str) -> None:
    """Let go of the parent's pipes, and be the command."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["retrain-receiver", *arguments]
    sys.modules["receiver.cli"].main()


if __name__ == "__main__":
    serve_questions()
