"""Stand-ins with a memory: a clock that the test moves, and a target that has accidents."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.reports import Report
from receiver.core.runs import Absent, Look, NotSeen, Repeatable, Run, RunState, RunStatus

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process dies here; no `except` sees it."""


class HandClock:
    """Time moves because the test says so."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._elapsed = timedelta(0)

    def now(self) -> datetime:
        return self._now

    def elapsed(self) -> timedelta:
        return self._elapsed

    def pass_(self, span: timedelta) -> None:
        """Let real time go by."""
        self._now += span
        self._elapsed += span

    def jump(self, span: timedelta) -> None:
        """Set the wall clock; no time goes by."""
        self._now += span


Accident = Callable[["FakeTarget", Dispatch], Run]


class FakeTarget:
    """A target that remembers which runs it was asked for.

    Attributes:
        starts: The ids of the dispatches whose run was really started, in order.
        inputs: What the last `start` sent.
        asked: How often `start` was called.
        looks: How often `find` was called.
        known: The control that it was given last.
        polls: How often `poll` was called.
        lists_nothing: The listing is broken: it shows no run at all, and is seen to.
        counts_attempts: It says how often somebody started a run anew.
        promises: It lists nothing, but starts one run only for a dispatch, however often asked.

    """

    def __init__(self, *accidents: Accident) -> None:
        self.lookup_window = timedelta(minutes=5)
        self.run_timeout = timedelta(hours=24)
        self.always_shows_id = True
        self.accidents = list(accidents)
        self.starts: list[str] = []
        self.inputs: dict[str, str | float] = {}
        self.asked = 0
        self.looks = 0
        self.listed = True
        self.lists_nothing = False
        self.promises = False
        self.note = ""
        self.find_fails: DispatchError | None = None
        self.known: Dispatch | None = None
        self.states: dict[str, RunState] = {}
        self.attempts: dict[str, int] = {}
        self.counts_attempts = True
        self.reports: dict[str, Report | Exception] = {}
        self.reads = 0
        self.polls = 0
        self.poll_fails: DispatchError | None = None

    def run_of(self, dispatch: Dispatch) -> Run:
        return Run(id=f"run-{dispatch.id}", url=None, shows_id=True)

    def begin(self, dispatch: Dispatch) -> Run:
        """The run really starts."""
        if self.promises and dispatch.id in self.starts:
            return self.run_of(dispatch)
        self.starts.append(dispatch.id)
        self.states.setdefault(dispatch.id, RunState.RUNNING)
        return self.run_of(dispatch)

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        self.looks += 1
        self.known = known
        if self.find_fails is not None:
            raise self.find_fails
        if self.promises:
            return Repeatable()
        if self.lists_nothing:
            return NotSeen("the listing shows no run at all")
        return self.run_of(dispatch) if self.listed and dispatch.id in self.starts else Absent()

    def start(self, dispatch: Dispatch) -> Run:
        self.asked += 1
        self.inputs = dict(dispatch.inputs)
        if self.accidents:
            return self.accidents.pop(0)(self, dispatch)
        return self.begin(dispatch)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        self.polls += 1
        if self.poll_fails is not None:
            raise self.poll_fails
        state = self.states[dispatch.id]
        attempt = self.attempts.get(dispatch.id, 1) if self.counts_attempts else None
        return RunStatus(state, state.value, shows_id=True, note=self.note, attempt=attempt)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        self.reads += 1
        report = self.reports.get(dispatch.id)
        if isinstance(report, Exception):
            raise report
        return report

    def start_anew(self, dispatch_id: str, state: RunState = RunState.RUNNING) -> None:
        """Somebody starts an ended run again, under its old id."""
        self.states[dispatch_id] = state
        self.attempts[dispatch_id] = self.attempts.get(dispatch_id, 1) + 1

    def finish(self, state: RunState = RunState.SUCCEEDED) -> None:
        """End every run that has not ended."""
        for dispatch_id, known in self.states.items():
            if known in {RunState.RUNNING, RunState.GONE}:
                self.states[dispatch_id] = state


def accepted_then_cut(target: FakeTarget, dispatch: Dispatch) -> Run:
    """The run starts, the answer is lost."""
    target.begin(dispatch)
    raise DispatchError("cut", Failure.UNKNOWN)


def cut_before_accepting(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    """Nothing starts, and nobody can tell."""
    raise DispatchError("cut", Failure.UNKNOWN)


def unavailable(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    raise DispatchError("connection refused", Failure.UNAVAILABLE)


def refused(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    raise DispatchError("422", Failure.REFUSED, status_code=422)


def accepted_without_id(target: FakeTarget, dispatch: Dispatch) -> Run:
    """A 204: yes, without the run's id."""
    target.begin(dispatch)
    return Run(id=None, url=None)


def killed_before(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    raise Killed


def killed_after(target: FakeTarget, dispatch: Dispatch) -> Run:
    target.begin(dispatch)
    raise Killed
