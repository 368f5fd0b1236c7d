"""Deletes what is older than the configured age, in small transactions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from receiver.core.ports import Clock
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store, StoreUnavailable
from receiver.telemetry import log

STEP = 500
"""Rows in one transaction: intake waits for none longer than a few milliseconds."""

ANSWERS = timedelta(hours=24)

JUMP = timedelta(days=1)
"""By less than that too much may be deleted when the clock is ahead: nobody misses it."""

PATIENCE = timedelta(hours=1)
"""How long a clock that jumped ahead must stay there before it is believed: what is deleted by it
does not come back when it is set right."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How long things are kept. `skips` are unmatched, duplicate and invalid decisions."""

    decisions: timedelta = timedelta(days=90)
    skips: timedelta = timedelta(days=14)
    notifications: timedelta = timedelta(days=14)
    runs: timedelta = timedelta(days=400)
    announcements: timedelta = timedelta(days=14)


@dataclass(slots=True)
class JumpWatch:
    """Says whether the deciding clock may be ahead, by the clock that never jumps.

    At the start nobody knows: the time may have gone by while no process ran, or not.
    """

    clock: Clock
    _began: datetime | None = None
    _jumped_at: timedelta | None = None

    def may_be_ahead(self, store: Store, ages: Ages) -> bool:
        """Whether it jumped ahead a short while ago. Raises `StoreUnavailable`."""
        with store.view() as view:
            now, newest = view.now, view.decisions.newest_moment()
            horizon = view.decisions.horizon()
        elapsed = self.clock.elapsed()
        if self._began is not None:
            known = self._began + elapsed
        else:
            # The newest decision may itself be of a clock that is ahead; retention, which waits
            # then, has not been there.
            forgot_at = now if horizon is None else horizon + ages.decisions
            known = min(newest or now, forgot_at)
        self._began = now - elapsed
        if now - known > JUMP:
            self._jumped_at = elapsed
            log().warning("retention_waits", ahead_seconds=(now - known).total_seconds())
        return self._jumped_at is not None and elapsed - self._jumped_at < PATIENCE


def forget(store: Store, ages: Ages, stopping: Callable[[], bool]) -> int:
    """Delete what is too old. The number of rows. Raises `StoreUnavailable`.

    The horizon is written first: it is the only thing that the log's triggers let through. One
    replica is enough for it. A disk that is nearly full may have room for small steps only.
    """
    gone, limit = 0, STEP
    while not stopping():
        try:
            step = _forget_some(store, ages, limit)
        except StoreUnavailable:
            if limit == 1:
                raise
            limit = max(limit // 8, 1)
            continue
        gone += step
        if step == 0:
            break
    if gone:
        log().info("forgotten", rows=gone)
    return gone


def _forget_some(store: Store, ages: Ages, limit: int) -> int:
    with store.begin() as tx:
        if not tx.try_advisory_lock(AdvisoryLock.FORGET):
            return 0
        now = tx.now()
        tx.move_horizon(decisions=now - ages.decisions, skips=now - ages.skips)
        gone = tx.forget_sources(now, limit)
        return gone + tx.forget(
            decisions=now - ages.decisions,
            skips=now - ages.skips,
            notifications=now - ages.notifications,
            answers=now - ANSWERS,
            runs=now - ages.runs,
            announcements=now - ages.announcements,
            now=now,
            limit=limit,
        )
