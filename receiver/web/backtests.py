"""Runs one backtest of our own log at a time, in a child process, and keeps its report.

The report lies in a file without a name: it is gone when another takes its place, and when this
process ends, however it does.
"""

import json
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from tempfile import TemporaryFile
from typing import IO, Any

from receiver.core.durations import show_duration
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock
from receiver.telemetry import log
from receiver.web.problems import Problem

COMMAND = (sys.executable, "-m", "receiver.backtest.own_log")
"""Another layer, which is above ours: it is started, not imported."""

LONGEST = timedelta(minutes=10)

LINE = 4096
"""Bytes of a line of the child that are read at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the last backtest ended.

    Attributes:
        found: What the child says of it; empty if there is no report.
        problem: Why there is none; empty if there is one.
        report: A file without a name.

    """

    ended_at: datetime
    found: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    report: IO[bytes] | None = None


@dataclass(frozen=True, slots=True)
class BacktestsSeen:
    """What a page shows of it.

    Attributes:
        running_since: None if none is running.
        doing: What the one that runs does now.
        last: How the one before ended.
        reported: The last one that left a report, which is still there.

    """

    running_since: datetime | None
    doing: str
    last: Outcome | None
    reported: Outcome | None


class Backtests:
    """The backtest that runs, and the report of the last."""

    def __init__(self, command: tuple[str, ...] = COMMAND, longest: timedelta = LONGEST) -> None:
        self._command = command
        self._longest = longest
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._following: threading.Thread | None = None
        self._closed = False
        self._since: datetime | None = None
        self._doing = ""
        self._last: Outcome | None = None
        self._reported: Outcome | None = None

    def seen(self) -> BacktestsSeen:
        """How it stands now."""
        with self._lock:
            return BacktestsSeen(self._since, self._doing, self._last, self._reported)

    def begin(self, url: str, policy_set: PolicySet, clock: Clock) -> bool:
        """Begin one. False if one is running already. Raises `Problem` 503 if none can begin."""
        now = clock.now()
        asked = pickle.dumps({"url": url, "policy_set": policy_set, "now": now})
        with self._lock:
            if self._closed:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the receiver is about to end")
            if self._since is not None:
                return False
            self._child, report = self._start()
            self._since, self._doing = now, "starting"
            self._following = threading.Thread(
                target=self._follow, args=(self._child, asked, report, clock), name="backtest"
            )
            self._following.start()
        return True

    def report(self) -> tuple[bytes, str] | None:
        """The last report, and the hash of its style; None if there is none."""
        with self._lock:
            last = self._reported
            if last is None or last.report is None:
                return None
            last.report.seek(0)
            return last.report.read(), str(last.found["style"])

    def close(self) -> None:
        """End the one that runs, and forget the report."""
        with self._lock:
            self._closed = True
            following = self._following
            if self._child is not None:
                self._child.kill()
        if following is not None:
            following.join()
        with self._lock:
            self._last = None
            self._keep(None)

    def _start(self) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        """The child, and the file that it writes its report to."""
        try:
            with ExitStack() as stack:
                report = stack.enter_context(TemporaryFile())
                child = subprocess.Popen(  # noqa: S603  our own program
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=report,
                    stderr=subprocess.PIPE,
                    # Its own session: signals for us, also from a terminal, are not for it.
                    start_new_session=True,
                )
                stack.pop_all()
                return child, report
        except OSError as error:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the child process can't be started ({error.strerror}): try again later",
            ) from error

    def _follow(
        self, child: subprocess.Popen[bytes], asked: bytes, report: IO[bytes], clock: Clock
    ) -> None:
        """Listen to the child until it has ended, at the latest when its time is up."""
        timer = threading.Timer(self._longest.total_seconds(), child.kill)
        began = clock.elapsed()
        timer.start()
        try:
            said = self._listen(child, asked)
        finally:
            timer.cancel()
        status = child.wait()
        found, problem = said.found, said.problem
        if status != 0 or not found:
            late = clock.elapsed() - began >= self._longest
            found, problem = {}, problem or self._why(status, late=late)
            log().warning("backtest_failed", detail=problem, said=said.words)
            report.close()
        self._end(Outcome(clock.now(), found, problem, report if found else None))

    def _listen(self, child: subprocess.Popen[bytes], asked: bytes) -> "Said":
        """Ask, then hear what it says. Its standard input stays open: it ends when we do."""
        said = Said()
        if child.stdin is None or child.stderr is None:
            raise AssertionError("both are pipes")
        with child.stderr as lines:
            with suppress(BrokenPipeError):  # it has died; its status says so
                child.stdin.write(asked)
                child.stdin.flush()
            while line := lines.readline(LINE):
                said.hear(line)
                with self._lock:
                    self._doing = said.doing
            child.wait()
        with suppress(BrokenPipeError):  # what it never read is still to be written
            child.stdin.close()
        return said

    def _why(self, status: int, *, late: bool) -> str:
        """Why a child ended that did not say it."""
        if late:
            return f"it took longer than {show_duration(self._longest)}: {ELSEWHERE}"
        if status < 0:
            return f"its process was killed ({signal.Signals(-status).name}): {ELSEWHERE}"
        return f"its process failed with exit status {status}: our log says more"

    def _end(self, outcome: Outcome) -> None:
        with self._lock:
            self._child = self._since = None
            self._last = outcome
            if outcome.report is not None:
                self._keep(outcome)

    def _keep(self, outcome: Outcome | None) -> None:
        """Keep this report, and no other."""
        if self._reported is not None and self._reported.report is not None:
            self._reported.report.close()
        self._reported = outcome


@dataclass(slots=True)
class Said:
    """What the child has said.

    Attributes:
        words: Its last line that is none of ours, such as a traceback's end.

    """

    doing: str = "starting"
    found: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    words: str = ""

    def hear(self, line: bytes) -> None:
        """Take one line."""
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        match told:
            case {"doing": str(doing)}:
                self.doing = doing
            case {"found": dict(found)}:
                self.found = found
            case {"problem": str(problem)}:
                self.problem = problem
            case _:
                self.words = line.decode(errors="replace").strip()[:LINE] or self.words


ELSEWHERE = "export the log, and use `retrain-receiver backtest --alerts` where there is room"
