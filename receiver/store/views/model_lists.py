"""Lists of models by state, policy, name, labels: a page reads hardly more than its rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)

from receiver.core.models import Model, ModelState
from receiver.json_text import encode
from receiver.store.column_types import Instant, from_micros, storable, to_micros
from receiver.store.model_rows import models_named
from receiver.store.tables import dispatches, firing_alerts, models
from receiver.store.views.moment import Moment, Reads
from receiver.store.views.snapshot import busy_models, is_one_of, state_column

WORST_FIRST = (
    ModelState.ATTENTION,
    ModelState.WAITING,
    ModelState.FIRING,
    ModelState.HELD,
    ModelState.PAUSED,
    ModelState.RUNNING,
    ModelState.QUIET,
)
"""What an operator should look at first: what waits for a human, then what nobody repairs."""

NO_EPISODE = from_micros(2**52)
"""Later than any: models without an episode come last of their state."""


class Sort(StrEnum):
    """How models are listed."""

    NAME = "name"
    WORST = "worst"  # by state, then the longest episode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models are asked for.

    Attributes:
        text: This is in the name, whatever the case.
        policies: One of these named them; None: any.
        labels: The identity labels have these values.

    """

    state: ModelState | None = None
    text: str = ""
    policies: Collection[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Place(NamedTuple):
    """A model's place in the list that is sorted by the worst; `rank` is its state's."""

    rank: int
    rests: int
    since: datetime
    name: str


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Models, each with the cursor of what follows it, and whether more do."""

    rows: Sequence[Model]
    cursors: Sequence[str]
    more: bool

    @property
    def next_cursor(self) -> str | None:
        """Where the next page begins; None on the last one."""
        return self.cursors[-1] if self.more and self.cursors else None

    def first(self, count: int) -> "ModelPage":
        """The same, cut short."""
        more = self.more or count < len(self.rows)
        return ModelPage(self.rows[:count], self.cursors[:count], more)


class ModelListReads(Reads):
    """Reads of lists of models."""

    def by_name(self, wanted: Wanted, *, after: str | None, limit: int) -> ModelPage:
        """A page by name. `after` is the cursor: a name."""
        db, moment = self._db, self._moment
        beyond = None if after is None else models.c.name > storable(after)
        if wanted.state is None:
            query = _by_name(wanted, beyond, limit + 1)
        elif wanted.state is ModelState.QUIET:
            query = quiet_models(moment, wanted, beyond, limit + 1)
        else:
            each = _with(each_busy(moment), beyond, *matching(wanted)).subquery()
            right = each.c.state == wanted.state.value
            query = select(each.c.name).where(right).order_by(each.c.name).limit(limit + 1)
        names = list(db.scalars(query))
        found = models_named(db, names[:limit])
        return ModelPage([found[n] for n in names[:limit]], names[:limit], len(names) > limit)

    def by_worst(self, wanted: Wanted, *, after: str | None, limit: int) -> ModelPage:
        """A page of the worst first. `after` is a cursor of ours. Raises `ValueError`.

        The quiet ones, which may be very many, follow by name: nothing of them is sorted.
        """
        db, moment = self._db, self._moment
        place = None if after is None else _place(after)
        found: list[Place] = []
        if place is None or place.rank < QUIET:
            rows = db.execute(_ranked(moment, wanted, place).limit(limit + 1))
            found = [Place(*row) for row in rows]
        if len(found) <= limit and wanted.state in {None, ModelState.QUIET}:
            last = place.name if place is not None and place.rank == QUIET else None
            beyond = None if last is None else models.c.name > last
            quiet = quiet_models(moment, wanted, beyond, limit + 1 - len(found))
            found += [Place(QUIET, 1, NO_EPISODE, name) for name in db.scalars(quiet)]
        shown = found[:limit]
        named = models_named(db, [one.name for one in shown])
        rows_ = [named[one.name] for one in shown]
        return ModelPage(rows_, [_cursor(one) for one in shown], len(found) > limit)


QUIET = WORST_FIRST.index(ModelState.QUIET)


def matching(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What a model's row must say, whatever its state."""
    said: list[ColumnElement[bool]] = []
    if wanted.text:
        said.append(models.c.name.icontains(storable(wanted.text), autoescape=True))
    if wanted.policies is not None:
        # Not by its index: of the busy models each is looked up, and `_by_name` asks for one.
        named_by = func.coalesce(models.c.policy, "")
        said.append(named_by.in_(sorted(wanted.policies)))
    # As they are stored: a quote within a value is escaped there, so no other pair looks alike.
    stored = type_coerce(models.c.labels, Text())
    for name, value in wanted.labels.items():
        pair = encode({name: value})[1:-1]
        said.append(func.length(func.replace(stored, pair, "")) < func.length(stored))
    return said


def each_busy(moment: Moment) -> Select[Any]:
    """The models about which something may be said: state, whether they rest, since when."""
    now, busy = moment.now, busy_models(moment).subquery()
    fires = exists().where(firing_alerts.c.model == models.c.name)
    state = state_column(fires, now)
    return (
        select(
            models.c.name,
            state.label("state"),
            case((fires, 0), else_=1).label("rests"),
            func.coalesce(models.c.episode_started_at, literal(NO_EPISODE, Instant())).label(
                "since"
            ),
        )
        .join(busy, is_one_of(busy))
        .outerjoin(dispatches, dispatches.c.id == models.c.dispatch_id)
    )


def quiet_models(
    moment: Moment,
    wanted: Wanted,
    beyond: ColumnElement[bool] | None,
    limit: int,
) -> Select[Any]:
    """Names of those about which nothing is to be said, in their order."""
    each = each_busy(moment).subquery()
    others = select(each.c.name).where(each.c.state != ModelState.QUIET.value)
    return _by_name(wanted, _both(beyond, models.c.name.not_in(others)), limit)


def _both(one: ColumnElement[bool] | None, other: ColumnElement[bool]) -> ColumnElement[bool]:
    return other if one is None else and_(one, other)


def _by_name(wanted: Wanted, said: ColumnElement[bool] | None, limit: int) -> Select[Any]:
    """Names in their order. Those of each policy are one walk along its index."""
    if wanted.policies is None:
        query = _with(select(models.c.name), said, *matching(wanted))
        return query.order_by(models.c.name).limit(limit)
    others = replace(wanted, policies=None)
    parts = [
        select(
            _with(select(models.c.name), models.c.policy == policy, said, *matching(others))
            .order_by(models.c.name)
            .limit(limit)
            .subquery()
        )
        for policy in sorted(wanted.policies)
    ]
    if not parts:
        return select(models.c.name).where(models.c.name.is_(None))
    merged = union_all(*parts).subquery()
    return select(merged.c.name).order_by(merged.c.name).limit(limit)


def _with(query: Select[Any], *said: ColumnElement[bool] | None) -> Select[Any]:
    return query.where(*(one for one in said if one is not None))


def _ranked(moment: Moment, wanted: Wanted, after: Place | None) -> Select[Any]:
    """Places of the busy models, worst first."""
    each = _with(each_busy(moment), *matching(wanted)).subquery()
    ranks = {state.value: at for at, state in enumerate(WORST_FIRST)}
    rank = case(ranks, value=each.c.state).label("rank")
    place = select(rank, each.c.rests, each.c.since, each.c.name).subquery()
    p = place.c
    query = select(p.rank, p.rests, p.since, p.name).where(p.rank < QUIET)
    if wanted.state is not None:
        query = query.where(p.rank == WORST_FIRST.index(wanted.state))
    if after is not None:
        query = query.where(
            or_(
                p.rank > after.rank,
                and_(p.rank == after.rank, p.rests > after.rests),
                and_(p.rank == after.rank, p.rests == after.rests, p.since > after.since),
                and_(
                    p.rank == after.rank,
                    p.rests == after.rests,
                    p.since == after.since,
                    p.name > storable(after.name),
                ),
            )
        )
    return query.order_by(p.rank, p.rests, p.since, p.name)


def _cursor(place: Place) -> str:
    return f"{place.rank}.{place.rests}.{to_micros(place.since)}.{place.name}"


def _place(text: str) -> Place:
    """Where a cursor stands. Raises `ValueError`."""
    rank, rests, micros, name = text.split(".", 3)
    if len(rank) > 1 or len(rests) > 1 or len(micros) > LONGEST_MICROS:
        raise ValueError(text)
    return Place(int(rank), int(rests), from_micros(int(micros)), name)


LONGEST_MICROS = 17
