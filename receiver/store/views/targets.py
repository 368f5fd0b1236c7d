"""Targets as they are read: how each answered last, and what waits for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from receiver.core.dispatches import ATTENTION, LIVE, Dispatch, DispatchState
from receiver.core.target_health import TargetRecord, TargetStanding
from receiver.store.dispatch_rows import dispatch_of
from receiver.store.tables import dispatches, models, targets
from receiver.store.views.moment import Reads


class TargetReads(Reads):
    """Reads about targets."""

    def standing(self) -> Sequence[TargetStanding]:
        """Every target that was asked, or for which something waits, by name."""
        return standing_targets(self._db)

    def behind(self, names: Sequence[str], limit: int) -> Mapping[str, Sequence[Dispatch]]:
        """The dispatches that wait longest for each of these targets."""
        found: dict[str, Sequence[Dispatch]] = {}
        for name in names:
            query = select(dispatches).where(
                dispatches.c.target == name, dispatches.c.state.in_(UNSENT), is_waiting()
            )
            rows = self._db.execute(query.order_by(dispatches.c.id).limit(limit))
            found[name] = [dispatch_of(row) for row in rows]
        return found


UNSENT = (DispatchState.PENDING.value, DispatchState.SENDING.value)


def is_waiting() -> ColumnElement[bool]:
    """Whether a dispatch is tried again, as `LatestDispatch.is_waiting` tells it."""
    d = dispatches.c
    return or_(
        and_(d.state == DispatchState.PENDING.value, d.attempt > 0),
        and_(d.state == DispatchState.SENDING.value, d.failing_since.is_not(None)),
    )


def standing_targets(db: Connection) -> list[TargetStanding]:
    """One walk along what is not over: a target of which nothing is has its row only."""
    d = dispatches.c
    waits = is_waiting()
    live = d.state.in_(sorted(state.value for state in LIVE))
    stuck = and_(d.state.in_(sorted(state.value for state in ATTENTION)), _is_latest())
    query = (
        select(
            d.target,
            _count(waits),
            _count(live),
            _count(stuck),
            func.min(case((waits, d.due_at))),
            func.min(case((waits, d.created_at))),
        )
        .where(or_(live, d.state.in_(sorted(state.value for state in ATTENTION))))
        .group_by(d.target)
    )
    counted: dict[str, Sequence[Any]] = {name: rest for name, *rest in db.execute(query)}
    known = {row.name: TargetRecord(**row._mapping) for row in db.execute(select(targets))}
    return [
        TargetStanding(known.get(name, TargetRecord(name)), *counted.get(name, (0, 0, 0)))
        for name in sorted({*known, *counted})
    ]


def _count(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((which, 1), else_=0)), 0)


def _is_latest() -> ColumnElement[bool]:
    return (
        select(models.c.name)
        .where(models.c.name == dispatches.c.model, models.c.dispatch_id == dispatches.c.id)
        .exists()
    )
