"""The outbox of dispatches: claims, attempts and transitions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, not_, select, update

from receiver.core.dispatches import LIVE, Dispatch, DispatchState, Failure
from receiver.core.targets import TargetKind
from receiver.json_text import decode
from receiver.store.column_types import Converter, storable
from receiver.store.compiled import Compiled, given, moment
from receiver.store.compiled_select import columns_of
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
        row = DISPATCH.row(self._db, of_id=storable(dispatch_id))
        return None if row is None else Dispatch(*row)

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
        statement = _claiming(tuple(state.value for state in states))
        values = {"of_target": target, "now": now, "until": now + lease}
        return read_claimed(self._db, statement, values, Dispatch, table=dispatches, due="due_at")

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
        if SAVING.run(self._db, **row, **ours) == 0:
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
        status: int | None = STATUS.value(self._db, of_id=dispatch.id, attempt=dispatch.attempt)
        return status

    def remember_id_shown(self, place: str, now: datetime) -> None:
        """Note that this place shows our ids, so that absence proves something there."""
        if not self.shows_ids(place):
            again = insert_into(self._db, seen_ids).on_conflict_do_nothing()
            self._db.execute(again, {"place": place, "seen_at": now})

    def shows_ids(self, place: str) -> bool:
        """Whether this place has shown one of our ids."""
        return SHOWS.row(self._db, place=place) is not None

    def _add_transition(self, dispatch: Dispatch, at: datetime, actor: str | None) -> None:
        MOVING.run(
            self._db,
            of_id=dispatch.id,
            dispatch_id=dispatch.id,
            at=at,
            state=dispatch.state.value,
            detail=dispatch.detail,
            actor=actor,
        )


COLUMNS = columns_of(dispatches, Dispatch)

NAMES = [column.name for column in COLUMNS]

_values = attrgetter(*NAMES)

WORDS: Mapping[str, Converter] = {
    "kind": TargetKind,
    "state": DispatchState,
    "in_doubt": lambda text: tuple(decode(text)),
}

OF_ID = given("of_id", dispatches.c.id)

DISPATCH = Compiled(select(*COLUMNS).where(dispatches.c.id == OF_ID), words=WORDS)

NEWEST_DISPATCH = Compiled(select(func.max(dispatches.c.id)))

SAVING = Compiled(
    update(dispatches).where(
        dispatches.c.id == OF_ID, dispatches.c.claim == given("of_claim", dispatches.c.claim)
    ),
    sets=[name for name in NAMES if name not in {"id", "claim"}],
)

MOVING = Compiled(
    insert(transitions).values(
        number=select(func.coalesce(func.max(transitions.c.number), 0) + 1)
        .where(transitions.c.dispatch_id == OF_ID)
        .scalar_subquery()
    ),
    sets=["dispatch_id", "at", "state", "detail", "actor"],
)

STATUS = Compiled(
    select(attempts.c.status_code).where(
        attempts.c.dispatch_id == OF_ID,
        attempts.c.number == given("attempt", attempts.c.number),
    )
)

SHOWS = Compiled(
    select(seen_ids.c.place).where(seen_ids.c.place == given("place", seen_ids.c.place))
)


@cache
def _claiming(states: tuple[str, ...]) -> Compiled:
    due = (
        select(dispatches.c.id)
        .where(
            dispatches.c.target == given("of_target", dispatches.c.target),
            dispatches.c.state.in_(states),
            dispatches.c.due_at <= moment("now"),
        )
        .order_by(dispatches.c.due_at, dispatches.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = (
        update(dispatches)
        .where(dispatches.c.id == due)
        .values(due_at=moment("until"), claim=dispatches.c.claim + 1)
        .returning(*COLUMNS)
    )
    return Compiled(claim, words=WORDS)


def dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    """A dispatch as a row."""
    row = dict(zip(NAMES, _values(dispatch), strict=True))
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
