"""Dispatches as they are read: pages, single ones with their history, what is on its way."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, case, func, select

from receiver.core.dispatches import (
    ATTENTION,
    LIVE,
    RUN_ENDED,
    Dispatch,
    DispatchState,
    shares_place,
)
from receiver.core.run_ends import RunEnd
from receiver.core.targets import TargetKind
from receiver.store.column_types import storable
from receiver.store.compiled_select import columns_of
from receiver.store.dispatch_rows import dispatch_of
from receiver.store.tables import attempts, decisions, dispatches, models, run_ends, transitions
from receiver.store.views.moment import Reads
from receiver.store.views.needs import NeedGroup, without
from receiver.store.views.paging import MOST_ROWS, Page, filtered, page_of
from receiver.store.views.run_ends import run_end_of, run_ends_of

DISPATCH_FILTERS = ("model", "policy", "target", "state")

MOST_MOVING = 1000

MOST_NAMED = 3
"""Dispatches of one target and place that are told by their ids."""

SHOWN = (DispatchState.RUNNING, *sorted(RUN_ENDED))
"""States in which a target has shown the run; one that goes on was surely not cleared away."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a dispatch.

    Attributes:
        ended_at: When it was answered or given up; None while nobody knows.
        failure: What it told about the run; None if it started one.
        status_code: The HTTP status, if the target answered.

    """

    number: int
    begun_at: datetime
    ended_at: datetime | None
    failure: str | None
    status_code: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in a dispatch's history; `actor` is the operator who made it, if one did."""

    number: int
    at: datetime
    state: str
    detail: str
    actor: str | None


@dataclass(frozen=True, slots=True)
class Moving:
    """How something stands that changes without a decision."""

    id: str
    state: str
    attempt: int
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The dispatches at one place of a target that are on their way or have a run in progress.

    Attributes:
        oldest: The ids of a few.

    """

    target: str
    kind: TargetKind
    place: Mapping[str, str]
    count: int
    oldest: Sequence[str]


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to a decision: an alert's source, or an operator."""

    id: int
    source: str
    actor: str | None


class DispatchReads(Reads):
    """Reads of the outbox."""

    def ended_since(self, since: datetime) -> list[tuple[RunEnd, datetime | None]]:
        """Runs that ended since then, and when each was sent if its dispatch is still there."""
        query = (
            select(run_ends, dispatches.c.sent_at)
            .outerjoin(dispatches, dispatches.c.id == run_ends.c.dispatch_id)
            .where(run_ends.c.ended_at >= since)
            .order_by(run_ends.c.ended_at)
        )
        return [(run_end_of(row), row.sent_at) for row in self._db.execute(query)]

    def page(
        self,
        filters: Mapping[str, str],
        *,
        before: str | None = None,
        limit: int,
        fits: Callable[[Dispatch], bool] | None = None,
        models: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[Dispatch]:
        """One page, newest first. `before` is the cursor: an id; `models` are some of them.

        `since` and `until` are of the order, as `created_at` tells it.
        """
        query = filtered(select(dispatches), dispatches, filters).order_by(dispatches.c.id.desc())
        if models is not None:
            query = query.where(dispatches.c.model.in_([storable(name) for name in models]))
        if before is not None:
            query = query.where(dispatches.c.id < storable(before))
        if since is not None:
            query = query.where(dispatches.c.created_at >= since)
        if until is not None:
            query = query.where(dispatches.c.created_at < until)
        return page_of(self._db, query, limit, dispatch_of, lambda one: one.id, fits=fits)

    def find(self, dispatch_id: str) -> Dispatch | None:
        """One dispatch."""
        query = select(dispatches).where(dispatches.c.id == storable(dispatch_id))
        row = self._db.execute(query).one_or_none()
        return None if row is None else dispatch_of(row)

    def control_for(self, dispatch: Dispatch) -> Dispatch | None:
        """The dispatch at the same place whose run its target showed last, if there is one.

        A followed run that is not shown just now is one, too: who lost it may have lost others.
        """
        d = dispatches.c
        for state in SHOWN:  # one at a time: each is read by the index, newest poll first
            query = select(dispatches).where(
                d.target == storable(dispatch.target),
                d.state == state.value,
                d.run_id.is_not(None),
            )
            row = self._db.execute(query.order_by(d.due_at.desc()).limit(1)).one_or_none()
            if row is not None and shares_place(dispatch_of(row), dispatch):
                return dispatch_of(row)
        return None

    def attempts(
        self, dispatch_id: str, most: int = MOST_ROWS, before: int | None = None
    ) -> Sequence[Attempt]:
        """Its last attempts, or the last before that number, first one first."""
        query = select(*columns_of(attempts, Attempt)).where(attempts.c.dispatch_id == dispatch_id)
        return [Attempt(*row) for row in self._last(query, attempts.c.number, most, before)]

    def transitions(
        self, dispatch_id: str, most: int = MOST_ROWS, before: int | None = None
    ) -> Sequence[Transition]:
        """Its last transitions, or the last before that number, first one first."""
        t = transitions.c
        query = select(*columns_of(transitions, Transition)).where(t.dispatch_id == dispatch_id)
        return [Transition(*row) for row in self._last(query, t.number, most, before)]

    def _last(
        self, query: Select[Any], number: Column[int], most: int, before: int | None
    ) -> list[tuple[Any, ...]]:
        if before is not None:
            query = query.where(number < before)
        rows = self._db.execute(query.order_by(number.desc()).limit(most)).all()
        return [tuple(row) for row in reversed(rows)]

    def ends(self, dispatch_ids: Sequence[str]) -> dict[str, RunEnd]:
        """What became of the runs of these dispatches, by dispatch; at most a page of them."""
        return run_ends_of(self._db, dispatch_ids)

    def ends_of_model(self, model: str, limit: int) -> list[RunEnd]:
        """What became of a model's last runs, the one that was ordered last first."""
        query = select(run_ends).where(run_ends.c.model == storable(model))
        rows = self._db.execute(query.order_by(run_ends.c.created_at.desc()).limit(limit))
        return [run_end_of(row) for row in rows]

    def origins(self, decision_ids: Sequence[int]) -> dict[int, Origin]:
        """Who ordered what these decisions ordered; at most a page of them, as far as kept."""
        query = select(*columns_of(decisions, Origin)).where(decisions.c.id.in_(decision_ids))
        return {row.id: Origin(*row) for row in self._db.execute(query)}

    def waiting(self, limit: int, beside: Sequence[NeedGroup] = ()) -> list[Dispatch]:
        """Those that wait for a human: parked, then refused, and their model's latest.

        Those of the groups `beside` are told of elsewhere.
        """
        d = dispatches.c
        stuck = d.state.in_(sorted(state.value for state in ATTENTION))
        query = (
            select(dispatches)
            .join(models, models.c.dispatch_id == d.id)
            .where(stuck, *without(beside, self._moment.now))
            .order_by(case((d.state == DispatchState.PARKED.value, 0), else_=1), d.id.desc())
            .limit(limit)
        )
        return [dispatch_of(row) for row in self._db.execute(query)]

    def moving(self) -> tuple[Moving, ...]:
        """What changes without a decision: those on their way, runs, what waits for a human."""
        d = dispatches.c
        states = sorted(state.value for state in LIVE | ATTENTION)
        query = select(*columns_of(dispatches, Moving)).where(d.state.in_(states))
        rows = self._db.execute(query.order_by(d.id.desc()).limit(MOST_MOVING))
        return tuple(Moving(*row) for row in rows)

    def unfinished(self) -> list[Unfinished]:
        """All that is on its way or has a run in progress, counted by target and place."""
        d = dispatches.c
        at = (d.target, d.kind, d.place)
        rank = func.row_number().over(partition_by=at, order_by=d.id)
        count = func.count().over(partition_by=at)
        live = d.state.in_(sorted(state.value for state in LIVE))
        each = select(*at, d.id, count.label("count"), rank.label("rank")).where(live).subquery()
        named = select(each).where(each.c.rank <= MOST_NAMED).order_by(*each.c)
        found: list[Unfinished] = []
        for target, kind, place, id_, count_, rank_ in self._db.execute(named):
            if rank_ == 1:
                found.append(Unfinished(target, TargetKind(kind), place, count_, []))
            found[-1] = replace(found[-1], oldest=[*found[-1].oldest, id_])
        return found

    def live_targets(self) -> set[str]:
        """Targets that have a dispatch on its way or a run in progress."""
        live = sorted(state.value for state in LIVE)
        query = select(dispatches.c.target).where(dispatches.c.state.in_(live)).distinct()
        return set(self._db.scalars(query))
