"""The outbox of dispatches: claims, attempts and transitions."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, not_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from receiver.core.dispatches import LIVE, Dispatch, DispatchState, Failure
from receiver.core.targets import TargetKind
from receiver.store.column_types import storable
from receiver.store.compiled_upsert import insert_into, insert_rows
from receiver.store.leases import read_claimed
from receiver.store.tables import attempts, dispatches, seen_ids, transitions


class DispatchRows:
    """Statements about dispatches. Every closing write checks the claim's number."""

    _db: Connection

    def add_dispatches(self, ordered: Iterable[Dispatch]) -> None:
        """Store new orders; a second live one of the same model is refused by the database."""
        rows = [dispatch_row(dispatch) for dispatch in ordered]
        if not rows:
            return
        insert_rows(self._db, dispatches, rows)
        insert_rows(
            self._db,
            transitions,
            [
                {
                    "dispatch_id": row["id"],
                    "number": 1,
                    "at": row["created_at"],
                    "state": row["state"],
                    "detail": row["detail"],
                    "actor": None,
                }
                for row in rows
            ],
        )

    def dispatch(self, dispatch_id: str) -> Dispatch | None:
        """One dispatch by its id."""
        row = self._db.execute(
            select(dispatches).where(dispatches.c.id == storable(dispatch_id))
        ).one_or_none()
        return None if row is None else dispatch_of(row)

    def claim_dispatch(
        self,
        target: str,
        states: Collection[DispatchState],
        *,
        now: datetime,
        lease: timedelta,
    ) -> Dispatch | None:
        """Take the oldest due dispatch of a target for the length of `lease`, or None.

        A claim is only a later `due_at`: if the claimer dies, the dispatch falls due again by
        itself. Its number is what tells a late worker from its successor. Raises `UnreadableRow`.
        """
        statement = claiming(tuple(state.value for state in states))
        values = {"of_target": target, "now": now, "until": now + lease}
        return read_claimed(self._db, statement, values, dispatch_of, due="due_at")

    def release_leases(self, now: datetime) -> None:
        """Make what a dead process of this store was doing due now.

        Looking or asking earlier than planned does no harm, nor does a first attempt. A later
        attempt may be waiting because the target asked us to.
        """
        waits = and_(dispatches.c.state == DispatchState.PENDING.value, dispatches.c.attempt > 0)
        self._db.execute(
            update(dispatches)
            .where(
                dispatches.c.state.in_([state.value for state in LIVE]),
                dispatches.c.due_at > now,
                not_(waits),
            )
            .values(due_at=now)
        )

    def save_dispatch(
        self, dispatch: Dispatch, *, at: datetime, actor: str | None = None, moved: bool = True
    ) -> bool:
        """Write a claimed dispatch back. False, and nothing written, if the claim is not ours.

        With `moved` its state and detail are also added to the dispatch's history.
        """
        row = dispatch_row(dispatch)
        ours = {"of_id": row.pop("id"), "of_claim": row.pop("claim")}
        saved = self._db.execute(SAVING, {**row, **ours})
        if saved.rowcount == 0:
            return False
        if moved:
            self._add_transition(dispatch, at, actor)
        return True

    def take_over(self, dispatch: Dispatch) -> Dispatch:
        """Take the claim from whoever holds it: an operator's act comes first.

        A worker may have claimed it since it was read: a claim waits for no model.
        """
        claim: int = self._db.execute(
            update(dispatches)
            .where(dispatches.c.id == dispatch.id)
            .values(claim=dispatches.c.claim + 1)
            .returning(dispatches.c.claim)
        ).scalar_one()
        return replace(dispatch, claim=claim)

    def begin_attempt(self, dispatch: Dispatch, at: datetime) -> None:
        """Write down, before the call, that attempt `dispatch.attempt` is being made."""
        self._db.execute(
            insert(attempts).values(
                dispatch_id=dispatch.id, number=dispatch.attempt, begun_at=at, detail=""
            )
        )

    def end_attempt(
        self,
        dispatch: Dispatch,
        *,
        at: datetime,
        failure: Failure | None,
        status_code: int | None,
        detail: str,
    ) -> None:
        """Write down what the attempt told."""
        self._db.execute(
            update(attempts)
            .where(attempts.c.dispatch_id == dispatch.id, attempts.c.number == dispatch.attempt)
            .values(
                ended_at=at,
                failure=failure.value if failure else None,
                status_code=status_code,
                detail=detail,
            )
        )

    def answered_status(self, dispatch: Dispatch) -> int | None:
        """The HTTP status that the latest attempt was answered with, if it was answered."""
        status: int | None = self._db.scalar(
            select(attempts.c.status_code).where(
                attempts.c.dispatch_id == dispatch.id, attempts.c.number == dispatch.attempt
            )
        )
        return status

    def remember_id_shown(self, place: str, now: datetime) -> None:
        """Note that this place shows our ids, so that absence proves something there."""
        if not self.shows_ids(place):
            again = insert_into(self._db, seen_ids).on_conflict_do_nothing()
            self._db.execute(again, {"place": place, "seen_at": now})

    def shows_ids(self, place: str) -> bool:
        """Whether this place has shown one of our ids."""
        known = self._db.scalar(select(seen_ids.c.place).where(seen_ids.c.place == place))
        return known is not None

    def _add_transition(self, dispatch: Dispatch, at: datetime, actor: str | None) -> None:
        self._db.execute(
            MOVING,
            {
                "of_id": dispatch.id,
                "dispatch_id": dispatch.id,
                "at": at,
                "state": dispatch.state.value,
                "detail": dispatch.detail,
                "actor": actor,
            },
        )


SAVING = update(dispatches).where(
    dispatches.c.id == bindparam("of_id"), dispatches.c.claim == bindparam("of_claim")
)
"""Built once: every step of every dispatch runs it."""

MOVING = insert(transitions).values(
    number=select(func.coalesce(func.max(transitions.c.number), 0) + 1)
    .where(transitions.c.dispatch_id == bindparam("of_id"))
    .scalar_subquery()
)


@cache
def claiming(states: tuple[str, ...]) -> ReturningUpdate[Any]:
    """The claim's statement: each loop runs it every second."""
    due = (
        select(dispatches.c.id)
        .where(
            dispatches.c.target == bindparam("of_target"),
            dispatches.c.state.in_(states),
            dispatches.c.due_at <= bindparam("now"),
        )
        .order_by(dispatches.c.due_at, dispatches.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return (
        update(dispatches)
        .where(dispatches.c.id == due)
        .values(due_at=bindparam("until"), claim=dispatches.c.claim + 1)
        .returning(dispatches)
    )


def dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    """A dispatch as a row."""
    row = asdict(dispatch)
    return {**row, "kind": dispatch.kind.value, "state": dispatch.state.value}


def dispatch_of(row: Row[Any]) -> Dispatch:
    """A row of `dispatches` as a core value."""
    columns = dict(row._mapping)
    return Dispatch(
        **{
            **columns,
            "kind": TargetKind(row.kind),
            "state": DispatchState(row.state),
            "in_doubt": tuple(row.in_doubt),
        }
    )
