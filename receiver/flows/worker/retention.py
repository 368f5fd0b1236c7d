"""Deletes what is older than the configured age, in small transactions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store, StoreUnavailable
from receiver.telemetry import log

STEP = 500
"""Rows in one transaction: intake waits for none longer than a few milliseconds."""

ANSWERS = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Ages:
    """How long things are kept. `skips` are unmatched, duplicate and invalid decisions."""

    decisions: timedelta = timedelta(days=90)
    skips: timedelta = timedelta(days=14)
    notifications: timedelta = timedelta(days=14)
    runs: timedelta = timedelta(days=400)
    announcements: timedelta = timedelta(days=14)


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
