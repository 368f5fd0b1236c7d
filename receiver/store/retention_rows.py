"""Deletes what is too old, behind a written horizon."""

from datetime import datetime

from sqlalchemy import Column, Connection, Table, and_, delete, exists, or_, select
from sqlalchemy.sql.elements import ColumnElement

from receiver.core.decisions import SKIPS
from receiver.core.dispatches import ATTENTION, LIVE, DispatchState
from receiver.store.column_types import to_micros
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import (
    RAN_AHEAD,
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
from receiver.store.tables import announcements as sent


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
        return (
            self._forget_decisions(decisions, skips, limit)
            + self._forget_notifications(notifications, limit)
            + self._forget_dispatches(decisions, limit)
            + self._forget_deliveries(now, limit)
            + self._forget_run_ends(runs, limit)
            + self._forget_announcements(announcements, limit)
            + self._forget_costs(runs, limit)
            + self._forget_rest(answers, now)
        )

    def _forget_decisions(self, before: datetime, skips: datetime, limit: int) -> int:
        table = decisions
        # An id is never behind its time, so it bounds the search without an index on the time.
        old = and_(table.c.id < to_micros(before), table.c.decided_at < before)
        old_skips = and_(
            table.c.reason.in_([reason.value for reason in SKIPS]),
            table.c.id < to_micros(skips),
            table.c.decided_at < skips,
        )
        gone = self._delete(table, table.c.id, or_(old, old_skips), limit)
        # A clock that was ahead gave these ids that no age is told by.
        ran_ahead = and_(RAN_AHEAD, table.c.decided_at < before)
        return gone + self._delete(table, table.c.id, ran_ahead, limit)

    def _forget_notifications(self, before: datetime, limit: int) -> int:
        table = notifications
        return self._delete(table, table.c.id, table.c.received_at < before, limit)

    def _forget_dispatches(self, before: datetime, limit: int) -> int:
        table = dispatches
        kept = [state.value for state in LIVE | ATTENTION]
        # It has no run end, and counts as one of its episode's attempts.
        given_up = and_(
            table.c.state == DispatchState.ABANDONED.value,
            exists().where(
                models.c.name == table.c.model, models.c.episode_started_at <= table.c.created_at
            ),
        )
        old = select(table.c.id).where(
            table.c.created_at < before, table.c.state.not_in(kept), ~given_up
        )
        ids = list(self._db.scalars(old.limit(limit)))
        for part in (attempts, transitions):
            self._db.execute(delete(part).where(part.c.dispatch_id.in_(ids)))
        self._db.execute(delete(table).where(table.c.id.in_(ids)))
        return len(ids)

    def _forget_run_ends(self, before: datetime, limit: int) -> int:
        """Delete old ones, but none of a model's present or last episode."""
        table = run_ends
        present = exists().where(
            models.c.name == table.c.model, models.c.episode_started_at <= table.c.created_at
        )
        return self._delete(
            table, table.c.dispatch_id, and_(table.c.ended_at < before, ~present), limit
        )

    def _forget_announcements(self, before: datetime, limit: int) -> int:
        table = sent
        return self._delete(table, table.c.id, table.c.ended_at < before, limit)

    def _forget_costs(self, before: datetime, limit: int) -> int:
        table = costs
        return self._delete(table, table.c.dispatch_id, table.c.ordered_at < before, limit)

    def _forget_deliveries(self, now: datetime, limit: int) -> int:
        table = deliveries
        old = select(table.c.fingerprint, table.c.starts_at).where(table.c.forget_at <= now)
        # Locked, so that one that is remembered anew at this moment is not forgotten.
        rows = self._db.execute(old.limit(limit).with_for_update(skip_locked=True)).all()
        for row in rows:
            self._db.execute(
                delete(table).where(
                    table.c.fingerprint == row.fingerprint, table.c.starts_at == row.starts_at
                )
            )
        return len(rows)

    def _forget_rest(self, answered: datetime, now: datetime) -> int:
        old_answers = self._db.execute(delete(answers).where(answers.c.answered_at < answered))
        ended = self._db.execute(delete(pauses).where(pauses.c.until <= now))
        return old_answers.rowcount + ended.rowcount

    def _delete(
        self, table: Table, key: Column[object], where: ColumnElement[bool], limit: int
    ) -> int:
        old = select(key).where(where).order_by(key).limit(limit)
        return self._db.execute(delete(table).where(key.in_(old))).rowcount
