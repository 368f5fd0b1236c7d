"""Mends what a clock that was ahead has stored: every deadline is within its own rule again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from receiver.core.alerts import Source
from receiver.core.deadlines import (
    LEASE,
    SLACK,
    Spans,
    is_believable,
    mend_alert,
    mend_dispatch,
    mend_model,
    mend_pause,
    spans_of,
)
from receiver.core.decisions import Decision, Reason
from receiver.core.durations import show_duration
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock
from receiver.core.sweeps import Sweep
from receiver.core.times import clock_time
from receiver.flows.intake.counting import count_one
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.bugs import unless_bug
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.clock_rows import Ahead
from receiver.store.store import Store
from receiver.store.views.view import View
from receiver.telemetry import clock_steps_back, log, worker_errors

LEAST_STEP = timedelta(seconds=1)
"""A smaller step is none: the clock is slowed down and sped up all the time."""

AGAIN = timedelta(minutes=1)
"""How often is looked for the length of a lease after a step back, and while the log has decisions
of a time that is still to come: a call that was under way when the clock was set writes down what
it was told before."""

AT_ONCE = 200
"""Models or rows in one transaction: intake hardly waits."""


@dataclass(slots=True)
class StepWatch:
    """Notices that the deciding clock was set back, by the clock that never jumps.

    At the start nobody knows: the clock may have been set while no process ran. And what was
    decided by a time that is still to come tells it too.
    """

    clock: Clock
    _began: datetime | None = None
    _looked: timedelta = timedelta(0)
    _newest: datetime | None = None
    _calls_until: timedelta = timedelta(0)
    _is_due: bool = False

    def step_back(self, asked: timedelta, now: datetime, newest: datetime) -> timedelta | None:
        """How far the clock was set back; None if there is no reason to look for harm.

        `newest` is the newest moment that the log knows. Whoever was asked at `asked` for the
        time and answered late is no measure.
        """
        elapsed = self.clock.elapsed()
        if elapsed - asked > LEAST_STEP:
            return None
        ahead = max(newest - now, timedelta(0))
        back = ahead if self._began is None else self._began - (now - elapsed)
        is_due = self._began is None or back > LEAST_STEP
        if self._began is not None and is_due:
            self._calls_until = elapsed + LEASE
        self._began = now - elapsed
        if ahead > SLACK:
            unseen = self._newest is None or newest > self._newest + SLACK
            back = max(back, ahead) if unseen else back
            is_due = is_due or unseen
        if ahead > SLACK or self._looked < self._calls_until:
            is_due = is_due or elapsed - self._looked >= AGAIN
        self._is_due |= is_due  # also if the store failed last time
        if not self._is_due:
            return None
        self._looked, self._newest = elapsed, newest
        return max(back, timedelta(0))

    def done(self) -> None:
        """What lay too far ahead was mended."""
        self._is_due = False


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies too far ahead, by these spans.

    Attributes:
        pauses: Whether one began so.
        checks: Models that would be decided too late.

    """

    spans: Spans
    dispatches: Sequence[str]
    models: Sequence[str]
    columns: Sequence[Ahead]
    pauses: bool
    checks: Sequence[str]

    @property
    def is_nothing(self) -> bool:
        """Whether every moment is where it belongs."""
        return not (self.dispatches or self.models or self.columns or self.pauses or self.checks)


def mend(store: Store, policy_set: PolicySet, watch: StepWatch) -> None:
    """If the clock was set back, put what lies too far ahead where it belongs."""
    asked = watch.clock.elapsed()
    with store.view() as view:
        now = view.now
        back = watch.step_back(asked, now, view.decisions.newest_moment() or now)
        if back is None:
            return
        if not is_believable(now):
            watch.done()
            return
        found = _find(view, spans_of(policy_set.policies))
    if back > SLACK:
        clock_steps_back.inc()
        log().warning("clock_went_back", seconds=round(back.total_seconds(), 1))
    _mend_all(store, policy_set, found)
    watch.done()
    if found.is_nothing:
        return
    models = len({*found.models, *found.checks})
    log().warning("moments_mended", dispatches=len(found.dispatches), models=models)
    if back > SLACK:
        _note(store, policy_set, back)


def _find(view: View, spans: Spans) -> _Found:
    ahead = view.ahead
    return _Found(
        spans,
        dispatches=ahead.dispatches(spans),
        models=ahead.models(spans),
        columns=ahead.columns(spans),
        pauses=ahead.pauses(),
        checks=ahead.checks(),
    )


def _mend_all(store: Store, policy_set: PolicySet, found: _Found) -> None:
    if found.pauses:
        _mend_pauses(store)
    for few in _batches(found.checks):
        with store.begin() as tx:
            tx.make_due(few, tx.now())
    for column in found.columns:
        _mend_column(store, column)
    _mend_each(found.dispatches, lambda ids: _mend_dispatches(store, policy_set, ids, found.spans))
    _mend_each(found.models, lambda names: _mend_models(store, policy_set, names, found.spans))


def _mend_each(names: Sequence[str], mend_few: Callable[[Sequence[str]], None]) -> None:
    """In batches; where one meets a row that can't be read, each by itself."""
    for few in _batches(names):
        unless_bug(partial(mend_few, few), partial(_mend_one_by_one, few, mend_few))


def _mend_one_by_one(names: Sequence[str], mend_few: Callable[[Sequence[str]], None]) -> None:
    for name in names:
        unless_bug(partial(mend_few, [name]), partial(_leave, name))


def _leave(name: str) -> None:
    """Tell of a row that can't be mended; it stays as it is until the clock is set again."""
    log().exception("mend_failed", row=name)
    worker_errors.labels("clock").inc()


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))


def _mend_dispatches(
    store: Store, policy_set: PolicySet, ids: Sequence[str], spans: Spans
) -> None:
    with store.begin() as tx:
        locked = {dispatch.model for dispatch in tx.dispatches_of(ids)}
        unit = UnitOfWork(tx, policy_set, models=locked)
        taken = tx.longest_taken(locked)
        for dispatch in tx.dispatches_of(ids):  # read again, behind the locks
            longest = max(spans.cooldown, taken[dispatch.model])
            tx.mend_dispatch(mend_dispatch(dispatch, unit.now, longest))


def _mend_models(store: Store, policy_set: PolicySet, names: Sequence[str], spans: Spans) -> None:
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=names)
        tx.mend_questions(names, unit.now)
        taken = tx.longest_taken(names)
        for name in names:
            for entry in unit.alerts_of(name):
                unit.keep(mend_alert(entry, unit.now, spans))
            took = taken.get(name, timedelta(0))
            unit.update(mend_model(unit.models[name], unit.now, spans, took))
        unit.save()


def _mend_pauses(store: Store) -> None:
    """Nothing is decided meanwhile; the timer finds anew when the holds end that they are."""
    with store.begin() as tx:
        tx.take_advisory_lock(AdvisoryLock.PAUSE)
        now = tx.now()
        for pause in tx.pauses():
            mended = mend_pause(pause, now)
            if mended != pause:
                tx.save_pause(mended)
        tx.begin_sweep(Sweep.LOOK)


def _mend_column(store: Store, column: Ahead) -> None:
    cut = AT_ONCE
    while cut == AT_ONCE:
        with store.begin() as tx:
            cut = tx.cut_column(column, tx.now(), AT_ONCE)


def _note(store: Store, policy_set: PolicySet, back: timedelta) -> None:
    """Leave a note in the log: an operator who looks for the reason finds it there."""
    with store.begin() as tx:
        now = tx.now()
        ahead_at = clock_time(now + back, now)
        detail = (
            f"the clock was ahead by {show_duration(back)}: it showed {ahead_at} and was set back "
            f"to {clock_time(now, now)}; what was stored for later is due by its own rule again"
        )
        decision = Decision(
            id=tx.decision_id(now),
            decided_at=now,
            source=Source.TIMER,
            reason=Reason.OPERATOR,
            detail=detail,
            config_hash=policy_set.config_hash,
        )
        tx.add_decisions([decision])
    count_one(decision)
