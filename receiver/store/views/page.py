"""What the operators' page reads: bounded in rows and in statements, however long the log is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    Connection,
    Select,
    Table,
    case,
    func,
    not_,
    select,
    union_all,
)

from receiver.core.models import Model, ModelState
from receiver.store.compiled_select import columns_of
from receiver.store.model_rows import models_named
from receiver.store.tables import decisions, dispatches, firing_alerts, models
from receiver.store.views.model_lists import (
    WORST_FIRST,
    Wanted,
    each_busy,
    matching,
    quiet_models,
)
from receiver.store.views.moment import Moment, Reads
from receiver.store.views.needs import NeedGroup, without
from receiver.store.views.snapshot import (
    last_received_at,
    models_by_state,
    paused_now,
)


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a model's card shows of one of its last dispatches."""

    id: str
    model: str
    state: str
    created_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    run_id: str | None
    run_url: str | None


@dataclass(frozen=True, slots=True)
class PastValue:
    """What one of the last decisions about a model says of its value."""

    id: int
    model: str
    alertname: str
    decided_at: datetime
    value: float | None


class OfModel(Protocol):
    """A value that belongs to a model and has a place in time."""

    @property
    def id(self) -> Any:
        """Grows with time."""

    @property
    def model(self) -> str:
        """The model's name."""


__all__ = ["WORST_FIRST", "PageReads", "PastRun", "PastValue", "Wanted"]

V = TypeVar("V", bound=OfModel)


class PageReads(Reads):
    """Reads of the first page: the models, worst first, and what their cards show."""

    def worst_models(
        self, wanted: Wanted, *, skip: int, limit: int, beside: Sequence[NeedGroup] = ()
    ) -> tuple[list[Model], bool]:
        """Models, worst first, and whether there are more. The quiet ones follow by name.

        Those of the groups `beside` are told of elsewhere.
        """
        db, moment = self._db, self._moment
        names: list[str] = []
        busy = 0
        if wanted.state is not ModelState.QUIET:
            ranked = _busy_ranked(moment, wanted, beside)
            names = list(db.scalars(ranked.offset(skip).limit(limit + 1)))
            if len(names) <= limit:
                everyone = select(func.count()).select_from(ranked.order_by(None).subquery())
                busy = db.scalar(everyone) or 0
        if wanted.state in {None, ModelState.QUIET} and len(names) <= limit:
            passed, left = max(0, skip - busy), limit + 1 - len(names)
            quiet = quiet_models(moment, wanted, None, passed + left)
            names += db.scalars(quiet.offset(passed).limit(left))
        found = models_named(db, names[:limit])
        return [found[name] for name in names[:limit]], len(names) > limit

    def asking_models(self, limit: int, beside: Sequence[NeedGroup] = ()) -> list[Model]:
        """Models about which a rung asks a human, by name; those of the groups are left out."""
        asks = select(firing_alerts.c.model).where(firing_alerts.c.asks).distinct()
        joined = asks.join(models, models.c.name == firing_alerts.c.model)
        now = self._moment.now
        asking = joined.where(not_(paused_now(now)), *without(beside, now))
        names = list(self._db.scalars(asking.order_by(firing_alerts.c.model).limit(limit)))
        return list(models_named(self._db, names).values())

    def counts(self) -> dict[ModelState, int]:
        """How many models are in each state."""
        found = models_by_state(self._moment)
        return {one.state: one.count for one in found}

    def last_received_at(self) -> datetime | None:
        """When Alertmanager last told us something that was stored."""
        return last_received_at(self._db)

    def last_runs(self, names: Sequence[str], limit: int) -> dict[str, list[PastRun]]:
        """The last dispatches of each of these models, newest first."""
        return _of_each(self._db, dispatches, PastRun, names, limit)

    def last_values(self, names: Sequence[str], limit: int) -> dict[str, list[PastValue]]:
        """What the last decisions about each of these models say of its values, newest first."""
        return _of_each(self._db, decisions, PastValue, names, limit)


def _busy_ranked(moment: Moment, wanted: Wanted, beside: Sequence[NeedGroup]) -> Select[Any]:
    """Names of the models about which something is to be said, worst first."""
    each = each_busy(moment).where(*matching(wanted), *without(beside, moment.now)).subquery()
    rank = case({state.value: at for at, state in enumerate(WORST_FIRST)}, value=each.c.state)
    query = select(each.c.name).order_by(rank, each.c.rests, each.c.since, each.c.name)
    if wanted.state is None:
        return query.where(each.c.state != ModelState.QUIET.value)
    return query.where(each.c.state == wanted.state.value)


def _of_each(
    db: Connection, table: Table, kind: type[V], names: Sequence[str], limit: int
) -> dict[str, list[V]]:
    """The newest of each model in one statement; each part is one walk along an index."""
    found: dict[str, list[V]] = {name: [] for name in names}
    query = select(*columns_of(table, kind)).order_by(table.c.id.desc()).limit(limit)
    parts = [select(query.where(table.c.model == name).subquery()) for name in names]
    for row in db.execute(union_all(*parts)) if parts else ():
        value = kind(*row)
        found[value.model].append(value)
    for values in found.values():
        values.sort(key=lambda one: one.id, reverse=True)
    return found
