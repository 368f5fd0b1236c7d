"""Deletes what is too old, behind a written horizon."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, and_, delete, exists, or_, select
from sqlalchemy.sql.elements import ColumnElement

from receiver.core.decisions import SKIPS
from receiver.core.dispatches import ATTENTION, LIVE, DispatchState
from receiver.store.column_types import to_micros
from receiver.store.compiled import Compiled, count, given, moment
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import (
    RAN_AHEAD,
    announcements,
    answers,
    attempts,
    costs,
    decisions,
    deliveries,
    dispatches,
    horizon,
    models,
    notifications,
    pauses,
    run_ends,
    transitions,
)


class RetentionRows:
    """Statements that forget. Live dispatches, and those that wait for a human, stay."""

    _db: Connection

    def move_horizon(self, *, decisions: datetime, skips: datetime) -> None:
        """Write down what may be deleted from now on."""
        row = {"id": 1, "decisions_before": decisions, "skips_before": skips}
        upsert(self._db, horizon, ("id",), [row])

    def forget(
        self,
        *,
        decisions: datetime,
        skips: datetime,
        notifications: datetime,
        answers: datetime,
        runs: datetime,
        announcements: datetime,
        now: datetime,
        limit: int,
    ) -> int:
        """Delete at most `limit` rows of each kind. How many rows went."""
        db = self._db
        return (
            self._forget_decisions(decisions, skips, limit)
            + OLD_NOTIFICATIONS.run(db, before=notifications, most=limit)
            + self._forget_dispatches(decisions, limit)
            + self._forget_deliveries(now, limit)
            + OLD_RUN_ENDS.run(db, before=runs, most=limit)
            + OLD_ANNOUNCEMENTS.run(db, before=announcements, most=limit)
            + OLD_COSTS.run(db, before=runs, most=limit)
            + OLD_ANSWERS.run(db, before=answers)
            + ENDED_PAUSES.run(db, now=now)
        )

    def _forget_decisions(self, before: datetime, skips: datetime, limit: int) -> int:
        ids = {"before_id": to_micros(before), "before_skip_id": to_micros(skips)}
        ages = {"before": before, "before_skips": skips}
        gone = OLD_DECISIONS.run(self._db, **ids, **ages, most=limit)
        # A clock that was ahead gave these ids that no age is told by.
        return gone + AHEAD_DECISIONS.run(self._db, before=before, most=limit)

    def _forget_dispatches(self, before: datetime, limit: int) -> int:
        ids = OLD_DISPATCHES.column(self._db, before=before, most=limit)
        if ids:
            for part in (attempts, transitions):
                self._db.execute(delete(part).where(part.c.dispatch_id.in_(ids)))
            self._db.execute(delete(dispatches).where(dispatches.c.id.in_(ids)))
        return len(ids)

    def _forget_deliveries(self, now: datetime, limit: int) -> int:
        table = deliveries
        # Locked, so that one that is remembered anew at this moment is not forgotten.
        keys = OLD_DELIVERIES.rows(self._db, now=now, most=limit)
        for fingerprint, starts_at in keys:
            this = and_(table.c.fingerprint == fingerprint, table.c.starts_at == starts_at)
            self._db.execute(delete(table).where(this))
        return len(keys)


def _deleting(table: Table, key: Column[Any], where: ColumnElement[bool]) -> Compiled:
    """The statement that deletes the first rows for which this is so."""
    old = select(key).where(where).order_by(key).limit(count("most"))
    return Compiled(delete(table).where(key.in_(old)))


def _old_decisions() -> ColumnElement[bool]:
    d = decisions.c
    # An id is never behind its time, so it bounds the search without an index on the time.
    old = and_(d.id < given("before_id", d.id), d.decided_at < moment("before"))
    old_skips = and_(
        d.reason.in_([reason.value for reason in SKIPS]),
        d.id < given("before_skip_id", d.id),
        d.decided_at < moment("before_skips"),
    )
    return or_(old, old_skips)


def _old_dispatches() -> Compiled:
    d = dispatches.c
    kept = [state.value for state in LIVE | ATTENTION]
    # It has no run end, and counts as one of its episode's attempts.
    given_up = and_(
        d.state == DispatchState.ABANDONED.value,
        exists().where(models.c.name == d.model, models.c.episode_started_at <= d.created_at),
    )
    old = select(d.id).where(d.created_at < moment("before"), d.state.not_in(kept), ~given_up)
    return Compiled(old.limit(count("most")))


def _old_run_ends() -> ColumnElement[bool]:
    """Old ones, but none of a model's present or last episode."""
    r = run_ends.c
    present = exists().where(models.c.name == r.model, models.c.episode_started_at <= r.created_at)
    return and_(r.ended_at < moment("before"), ~present)


OLD_DECISIONS = _deleting(decisions, decisions.c.id, _old_decisions())

AHEAD_DECISIONS = _deleting(
    decisions, decisions.c.id, and_(RAN_AHEAD, decisions.c.decided_at < moment("before"))
)

OLD_NOTIFICATIONS = _deleting(
    notifications, notifications.c.id, notifications.c.received_at < moment("before")
)

OLD_DISPATCHES = _old_dispatches()

OLD_RUN_ENDS = _deleting(run_ends, run_ends.c.dispatch_id, _old_run_ends())

OLD_ANNOUNCEMENTS = _deleting(
    announcements, announcements.c.id, announcements.c.ended_at < moment("before")
)

OLD_COSTS = _deleting(costs, costs.c.dispatch_id, costs.c.ordered_at < moment("before"))

OLD_DELIVERIES = Compiled(
    select(deliveries.c.fingerprint, deliveries.c.starts_at)
    .where(deliveries.c.forget_at <= moment("now"))
    .limit(count("most"))
    .with_for_update(skip_locked=True)
)

OLD_ANSWERS = Compiled(delete(answers).where(answers.c.answered_at < moment("before")))

ENDED_PAUSES = Compiled(delete(pauses).where(pauses.c.until <= moment("now")))
