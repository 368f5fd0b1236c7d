"""What needs a human, in groups: one for a storm or a parked batch, however many models it has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, case, func, not_, or_, select, type_coerce

from receiver.core.decisions import Reason
from receiver.core.dispatches import ATTENTION, DispatchState
from receiver.core.models import ModelState
from receiver.json_text import encode
from receiver.store.bounded_columns import NO_LABELS, within_bound
from receiver.store.tables import dispatches, firing_alerts, models
from receiver.store.views.moment import Reads
from receiver.store.views.snapshot import paused_now
from receiver.store.views.targets import UNSENT, is_waiting

EXAMPLES = 3
"""Models of a group that are named."""

MOST_SHARED = 12
"""Labels that are looked at to tell what the models of a group share."""

GRAVEST = (
    DispatchState.PARKED.value,
    DispatchState.REFUSED.value,
    Reason.STORM.value,
    Reason.EXHAUSTED.value,
    Reason.UNCONFIRMED.value,
    Reason.BUDGET.value,
    Reason.APPROVAL.value,
    ModelState.WAITING.value,
)
"""A run that may exist comes before one that was refused, and both before what only asks."""


@dataclass(frozen=True, slots=True)
class NeedGroup:
    """Models that need a human for one reason.

    Attributes:
        kind: The rung that asks, `parked`, `refused`, or `waiting` for a target.
        policy: None for those that wait for a target.
        labels: What all of them have.
        examples: Those that have needed somebody for longest.
        detail: What was said of the first; empty where a rung asks.

    """

    kind: str
    policy: str | None
    count: int
    since: datetime | None
    examples: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    detail: str = ""

    @property
    def asks(self) -> bool:
        """Whether a rung of the ladder waits for an answer."""
        return self.kind not in SAID_BY_DISPATCHES

    @property
    def is_storm(self) -> bool:
        """Whether `release` lets its models go."""
        return self.kind == Reason.STORM.value


SAID_BY_DISPATCHES = (*(state.value for state in ATTENTION), ModelState.WAITING.value)


class NeedReads(Reads):
    """Reads of what needs a human. Each group is counted, never listed."""

    def groups(self) -> list[NeedGroup]:
        """Every group, the gravest first, the larger before the smaller."""
        found = [*self._asking(), *self._stuck(), *self._waiting()]
        return sorted(found, key=lambda one: (_rank(one.kind), -one.count, one.policy or ""))

    def count_asking(self, policy: str) -> int:
        """About how many models a rung of this policy asks a human."""
        f = firing_alerts.c
        query = select(func.count(f.model.distinct())).where(f.asks, f.policy == policy)
        return self._db.scalar(query) or 0

    def _asking(self) -> list[NeedGroup]:
        f = firing_alerts.c
        asks = and_(f.asks, not_(paused_now(self._moment.now)))
        query = (
            select(f.policy, f.held_by, func.count(f.model.distinct()), func.min(f.held_since))
            .join(models, models.c.name == f.model)
            .where(asks)
            .group_by(f.policy, f.held_by)
        )
        found = []
        for policy, kind, count, since in self._db.execute(query).all():
            mine = and_(asks, f.policy == policy, f.held_by == kind)
            group = NeedGroup(kind, policy, count, since, self._first(mine), self._shared(mine))
            found.append(group)
        return found

    def _first(self, mine: ColumnElement[bool]) -> Sequence[str]:
        f = firing_alerts.c
        query = (
            select(f.model)
            .join(models, models.c.name == f.model)
            .where(mine)
            .group_by(f.model)
            .order_by(func.min(f.starts_at), f.model)
            .limit(EXAMPLES)
        )
        return list(self._db.scalars(query))

    def _shared(self, mine: ColumnElement[bool]) -> dict[str, str]:
        """Labels that all alerts of a group have: those of one are looked for in all."""
        f = firing_alerts.c
        joined = firing_alerts.join(models, models.c.name == f.model)
        labels = within_bound(firing_alerts, NO_LABELS)
        first = self._db.execute(
            select(f.labels).select_from(joined).where(mine, labels != NO_LABELS).limit(1)
        ).scalar()
        pairs = sorted((first or {}).items())[:MOST_SHARED]
        if not pairs:
            return {}
        stored = type_coerce(f.labels, Text())
        lacks = [
            func.sum(
                case((func.replace(stored, encode({name: value})[1:-1], "") == stored, 1), else_=0)
            )
            for name, value in pairs
        ]
        row = self._db.execute(select(*lacks).select_from(joined).where(mine)).one()
        return {
            name: value for (name, value), lacking in zip(pairs, row, strict=True) if not lacking
        }

    def _stuck(self) -> list[NeedGroup]:
        """Parked and refused dispatches, while they are their model's latest."""
        d = dispatches.c
        joined = dispatches.join(models, models.c.dispatch_id == d.id)
        stuck = d.state.in_(sorted(state.value for state in ATTENTION))
        query = select(d.policy, d.state, func.count(), func.min(d.ended_at)).select_from(joined)
        found = []
        for policy, state, count, since in self._db.execute(
            query.where(stuck).group_by(d.policy, d.state)
        ).all():
            mine = (d.policy == policy, d.state == state)
            rows = self._db.execute(
                select(d.model, d.detail)
                .select_from(joined)
                .where(*mine)
                .order_by(d.ended_at, d.model)
                .limit(EXAMPLES)
            ).all()
            names = [model for model, _ in rows]
            found.append(NeedGroup(state, policy, count, since, names, detail=rows[0].detail))
        return found

    def _waiting(self) -> list[NeedGroup]:
        """Models whose dispatch is tried again, by target."""
        d = dispatches.c
        waits = and_(d.state.in_(UNSENT), is_waiting())
        began = func.coalesce(d.failing_since, d.created_at)
        query = select(d.target, func.count(), func.min(began)).where(waits).group_by(d.target)
        found = []
        for target, count, since in self._db.execute(query).all():
            named = select(d.model, d.detail).where(waits, d.target == target)
            rows = self._db.execute(named.order_by(d.id).limit(EXAMPLES)).all()
            names = [model for model, _ in rows]
            kind = ModelState.WAITING.value
            group = NeedGroup(
                kind, None, count, since, names, target=target, detail=rows[0].detail
            )
            found.append(group)
        return found


def without(groups: Sequence[NeedGroup], now: datetime) -> list[ColumnElement[bool]]:
    """What a model's row must say so that it is in none of these groups.

    One that is paused is in none that asks: nobody counts it there.
    """
    f, d = firing_alerts.c, dispatches.c
    said: list[ColumnElement[bool]] = []
    for group in groups:
        if group.asks:
            inside = select(f.model).where(
                f.asks, f.policy == group.policy, f.held_by == group.kind
            )
            said.append(or_(paused_now(now), models.c.name.not_in(inside)))
        elif group.target is not None:
            inside = select(d.model).where(
                d.state.in_(UNSENT), is_waiting(), d.target == group.target
            )
            said.append(models.c.name.not_in(inside))
        else:
            inside = select(d.id).where(d.state == group.kind, d.policy == group.policy)
            latest = func.coalesce(models.c.dispatch_id, "")
            said.append(latest.not_in(inside))
    return said


def _rank(kind: str) -> int:
    return GRAVEST.index(kind) if kind in GRAVEST else len(GRAVEST)
