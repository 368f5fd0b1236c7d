"""The worker's loops, one thread each; the only place that waits."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TypeVar

from receiver.core.policy_set import PolicySet
from receiver.core.ports import AlertSource, Announcer, Clock, Dispatcher
from receiver.flows.sweeping import sweep_next
from receiver.flows.worker.announcing import announce_next
from receiver.flows.worker.bugs import unless_bug
from receiver.flows.worker.dispatching import dispatch_next
from receiver.flows.worker.following import follow_next
from receiver.flows.worker.mending import StepWatch, mend
from receiver.flows.worker.polling import Asked, poll_next
from receiver.flows.worker.rechecking import due_models, postpone, recheck
from receiver.flows.worker.reconciling import DoubtTimer
from receiver.flows.worker.releasing import release_shared
from receiver.flows.worker.reports import read_next_report
from receiver.flows.worker.reruns import RerunPace, look_for_rerun
from receiver.flows.worker.retention import Ages, JumpWatch, forget
from receiver.store.store import Store, StoreUnavailable
from receiver.telemetry import log, worker_errors

T = TypeVar("T")

TICK = 1.0
"""Seconds between looks at the store; a hint from the committer only comes sooner."""

RETENTION_TICK = 600.0

TURN = 0.02
"""Seconds between the transactions of a long step: whoever waits for the store comes in."""

PUT_OFF = timedelta(minutes=1)
"""How long a model that can't be decided waits for the next try."""

LAST_STEPS = timedelta(seconds=5)
"""How long a shutdown waits for what the loops are doing."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a configuration gives to the loops; a reload puts another in its place."""

    policy_set: PolicySet
    dispatchers: Mapping[str, Dispatcher]
    ages: Ages
    announcers: Mapping[str, Announcer] = field(default_factory=dict)
    sources: Mapping[str, Asked] = field(default_factory=dict)
    prometheus: AlertSource | None = None


class LaneKind(StrEnum):
    """What a loop does; logs and metrics call it so."""

    TIMER = "timer"
    CLOCK = "clock"
    RETENTION = "retention"
    SEND = "send"
    FOLLOW = "follow"
    ANNOUNCE = "announce"
    ASK = "ask"


HINTED = frozenset({LaneKind.TIMER, LaneKind.SEND, LaneKind.ANNOUNCE})
"""Those for which a commit may bring something to do at once."""


@dataclass(frozen=True, slots=True)
class LaneName:
    """Which loop it is: its kind and the target or subscriber that it works for, if any."""

    kind: LaneKind
    subject: str = ""

    def __str__(self) -> str:
        """As logs and threads are told."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind.value


class Lane:
    """One loop in a thread of its own: works while there is something to do, then waits."""

    def __init__(self, name: LaneName, step: Callable[[], bool], tick: float = TICK) -> None:
        self.name = name
        self._step = step
        self._tick = tick
        self._hint = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=str(name), daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hint(self) -> None:
        """There may be something to do."""
        self._hint.set()

    def stopping(self) -> bool:
        """Whether the loop was asked to end."""
        return self._stopping.is_set()

    def rest(self) -> None:
        """Let others have their turn in the middle of a long step."""
        self._stopping.wait(TURN)

    def stop(self) -> None:
        """End after the step that is under way."""
        self._stopping.set()
        self._hint.set()

    def join(self, within: timedelta) -> None:
        """Wait for the end, but no longer."""
        self._thread.join(max(within.total_seconds(), 0))

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._once():
                self._hint.wait(self._tick)
                self._hint.clear()

    def _once(self) -> bool:
        try:
            return unless_bug(self._step, self._met_bug)
        except StoreUnavailable as error:
            log().warning("store_unavailable", loop=str(self.name), detail=str(error))
            return False

    def _met_bug(self) -> bool:
        log().exception("worker_error", loop=str(self.name))
        worker_errors.labels(self.name.kind.value).inc()
        return False


class Worker:
    """Runs the timer, the clock's watch, the retention, and a loop for each subscriber.

    For each target there are two. A source has one too. So one slow target, subscriber or source
    never holds the others.
    """

    def __init__(
        self, store: Store, clock: Clock, setup: Setup, missing: Callable[[str], Dispatcher]
    ) -> None:
        self._store = store
        self._clock = clock
        self._watch = DoubtTimer(clock)
        self._steps = StepWatch(clock)
        self._pace = RerunPace(clock)
        self._jumps = JumpWatch(clock)
        self._setup = setup
        self._missing = missing
        self._lanes: dict[LaneName, Lane] = {}
        self._started = False
        self._released_at: timedelta | None = None
        self._passed_over: dict[str, timedelta] = {}

    def start(self, targets: set[str], subscribers: Collection[str] = ()) -> None:
        """Begin. They are those that the store still has dispatches and announcements for."""
        self._started = True
        self._add(LaneName(LaneKind.TIMER), self._recheck)
        self._add(LaneName(LaneKind.CLOCK), self._mend)
        self._add(LaneName(LaneKind.RETENTION), self._forget, RETENTION_TICK)
        self._add_targets({*targets, *self._setup.dispatchers})
        self._add_subscribers({*subscribers, *self._setup.announcers})
        self._add_sources()

    def hint(self) -> None:
        """Something was committed."""
        for lane in list(self._lanes.values()):
            if lane.name.kind in HINTED:
                lane.hint()

    def change(self, setup: Setup) -> None:
        """Put a new configuration in place of the old; loops of targets that went stay."""
        self._setup = setup
        if self._started:
            self._add_targets(set(setup.dispatchers))
            self._add_subscribers(set(setup.announcers))
            self._add_sources()
        self.hint()

    def stop(self, within: timedelta = LAST_STEPS) -> None:
        """End all loops after the step that each is in.

        A call that hangs at a target is not waited for: its dispatch is stored as `sending`, and
        whoever comes next looks it up.
        """
        ends = self._clock.elapsed() + within
        for lane in self._lanes.values():
            lane.stop()
        for lane in self._lanes.values():
            lane.join(ends - self._clock.elapsed())

    def _add_targets(self, targets: set[str]) -> None:
        for target in sorted(targets):
            self._add(LaneName(LaneKind.SEND, target), partial(self._send, target))
            self._add(LaneName(LaneKind.FOLLOW, target), partial(self._follow, target))

    def _add_subscribers(self, subscribers: set[str]) -> None:
        for subscriber in sorted(subscribers):
            name = LaneName(LaneKind.ANNOUNCE, subscriber)
            self._add(name, partial(self._announce, subscriber))

    def _add_sources(self) -> None:
        for source in sorted(self._setup.sources):
            self._add(LaneName(LaneKind.ASK, source), partial(self._ask, source))

    def _add(self, name: LaneName, step: Callable[[], bool], tick: float = TICK) -> None:
        if name not in self._lanes:
            self._lanes[name] = Lane(name, step, tick)
            self._lanes[name].start()

    def _dispatcher(self, target: str) -> Dispatcher:
        return self._setup.dispatchers.get(target) or self._missing(target)

    def _send(self, target: str) -> bool:
        return dispatch_next(
            self._store,
            target,
            self._dispatcher(target),
            self._setup.policy_set,
            self._watch,
            prometheus=self._setup.prometheus,
        )

    def _follow(self, target: str) -> bool:
        dispatcher = self._dispatcher(target)
        book = self._setup.policy_set
        followed = follow_next(self._store, target, dispatcher, book, self._watch)
        looked = look_for_rerun(self._store, target, dispatcher, book, self._pace)
        # All in turn: where many runs are followed, reports must be read as well.
        return read_next_report(self._store, target, dispatcher) or followed or looked

    def _announce(self, subscriber: str) -> bool:
        return announce_next(self._store, subscriber, self._setup.announcers.get(subscriber))

    def _ask(self, source: str) -> bool:
        asked = self._setup.sources.get(source)
        if asked is None:
            return False
        rest = self._lanes[LaneName(LaneKind.ASK, source)].rest
        if poll_next(self._store, asked, self._setup.policy_set, rest):
            self.hint()
        return False

    def _recheck(self) -> bool:
        swept = unless_bug(self._sweep, self._sweep_blindly)
        self._release()
        names = due_models(self._store, self._undecidable())
        if not names:
            self._released_at = None
            return swept
        # If one of them can't be decided, find out which.
        if unless_bug(partial(self._decide, names), partial(self._recheck_each, names)):
            self.hint()
        return True

    def _sweep(self) -> bool:
        return sweep_next(self._store, self._setup.policy_set)

    def _sweep_blindly(self) -> bool:
        """No row that can't be read may stop the timer."""
        _count_bug("sweep_failed")
        return sweep_next(self._store, self._setup.policy_set, blindly=True)

    def _mend(self) -> bool:
        mend(self._store, self._setup.policy_set, self._steps)
        return False

    def _release(self) -> None:
        """Before a group of due models, and of many groups only before one in each TICK."""
        now = self._clock.elapsed()
        if self._released_at is not None and now < self._released_at + timedelta(seconds=TICK):
            return
        self._released_at = now
        unless_bug(
            lambda: release_shared(self._store, self._setup.policy_set),
            lambda: _count_bug("release_failed"),
        )

    def _decide(self, names: list[str]) -> bool:
        return recheck(self._store, self._setup.policy_set, names)

    def _recheck_each(self, names: list[str]) -> bool:
        triggered = False
        for name in names:
            triggered |= unless_bug(partial(self._decide, [name]), partial(self._put_off, name))
        return triggered

    def _put_off(self, name: str) -> bool:
        """Keep a model that can't be decided from holding up the others."""
        _count_bug("recheck_failed", model=name)
        self._passed_over[name] = self._clock.elapsed() + PUT_OFF
        postpone(self._store, name, PUT_OFF)
        return False

    def _undecidable(self) -> Collection[str]:
        """Models that could not be decided within the last minute.

        The store is told too, but an alert that nobody confirms makes its model due all the same.
        """
        now = self._clock.elapsed()
        self._passed_over = {
            name: until for name, until in self._passed_over.items() if now < until
        }
        return self._passed_over

    def _forget(self) -> bool:
        lane = self._lanes[LaneName(LaneKind.RETENTION)]
        if self._jumps.may_be_ahead(self._store, self._setup.ages):
            return False
        forget(self._store, self._setup.ages, lane.stopping)
        return False


def _count_bug(event: str, **told: str) -> None:
    """Tell of a bug that the timer met and goes on after."""
    log().exception(event, **told)
    worker_errors.labels(LaneKind.TIMER.value).inc()
