"""Models as they are read: pages, single ones, their alerts, pauses and questions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from receiver.core.approvals import Approval
from receiver.core.models import FiringAlert, Model, Pause
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints
from receiver.core.run_ends import RunEnd
from receiver.store.bounded_columns import NO_LABELS, within_bound
from receiver.store.column_types import storable
from receiver.store.model_rows import FIRING_ALERT, list_pauses, models_named
from receiver.store.tables import firing_alerts, models
from receiver.store.views.budgets import Usages
from receiver.store.views.moment import Moment, Reads
from receiver.store.views.paging import Page
from receiver.store.views.restraints import Pasts, approvals_of, explained_restraints
from receiver.store.views.run_ends import run_ends_of


@dataclass(frozen=True, slots=True)
class FiringSize:
    """How large a firing set is: alerts, and about how many bytes they take as JSON."""

    alerts: int
    bytes: int

    def within(self, most: "FiringSize") -> bool:
        """Whether it is no larger."""
        return self.alerts <= most.alerts and self.bytes <= most.bytes


USUAL_BYTES = 400
"""What an alert takes as JSON besides its labels and its name."""


class ModelReads(Reads):
    """Reads about models, and of what holds them."""

    def __init__(self, moment: Moment, usages: Callable[[], Usages]) -> None:
        super().__init__(moment)
        self._usages = usages

    def page(self, *, after: str | None = None, limit: int) -> Page[Model]:
        """One page by name. `after` is the cursor: a name."""
        query = select(models.c.name).order_by(models.c.name).limit(limit + 1)
        if after is not None:
            query = query.where(models.c.name > storable(after))
        names = list(self._db.scalars(query))
        found = models_named(self._db, names[:limit])
        more = len(names) > limit
        return Page([found[name] for name in names[:limit]], names[limit - 1] if more else None)

    def find(self, name: str) -> Model | None:
        """One model."""
        return models_named(self._db, [storable(name)]).get(storable(name))

    def known(self, names: Sequence[str | None]) -> frozenset[str]:
        """Those of these names that are models: test alerts leave none, and some are forgotten."""
        wanted = {name for name in names if name is not None}
        query = select(models.c.name).where(models.c.name.in_(wanted))
        return frozenset(self._db.scalars(query)) if wanted else frozenset()

    def named(self, names: Collection[str]) -> dict[str, Model]:
        """Those of these models that there are."""
        return models_named(self._db, names)

    def firing_sizes(self, names: Sequence[str]) -> dict[str, FiringSize]:
        """How many alerts of each of these models fire, and what they take; without one, none."""
        each = firing_alerts.c
        query = select(each.model, func.count(), func.sum(_bytes())).where(each.model.in_(names))
        rows = self._db.execute(query.group_by(each.model))
        return {name: FiringSize(int(count), int(size)) for name, count, size in rows}

    def fires_after(self, name: str, place: tuple[datetime, str]) -> bool:
        """Whether an alert of the model's firing set stands behind this place."""
        behind = _behind(place)
        query = select(firing_alerts.c.fingerprint).where(firing_alerts.c.model == name, behind)
        return self._db.scalar(query.limit(1)) is not None

    def firing(
        self,
        names: Sequence[str],
        *,
        most: FiringSize | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> dict[str, list[FiringAlert]]:
        """The firing sets of these models, oldest alert first.

        `most` is of each set; the first alert is always there. `after` is a place in the order:
        a beginning and a fingerprint.
        """
        each = firing_alerts.c
        wanted: ColumnElement[bool] = each.model.in_(names)
        if after is not None:
            wanted = and_(wanted, _behind(after))
        query = select(*FIRING_ALERT).where(wanted)
        if most is not None:
            query = query.where(each.fingerprint.in_(_first(wanted, most)))
        sets: dict[str, list[FiringAlert]] = {name: [] for name in names}
        for row in self._db.execute(query.order_by(each.starts_at, each.fingerprint)):
            alert = FiringAlert(*row)
            sets[alert.model].append(alert)
        return sets

    def pauses(self) -> list[Pause]:
        """Every pause; those that ended are still among them."""
        return list_pauses(self._db)

    def approvals(self, names: Sequence[str]) -> dict[str, Approval]:
        """What was asked last about each of these models."""
        return approvals_of(self._db, names)

    def latest_ends(self, found: Sequence[Model]) -> dict[str, RunEnd]:
        """What became of each model's latest run, by model; nothing before its end."""
        ends = run_ends_of(self._db, [model.latest.id for model in found if model.latest])
        return {end.model: end for end in ends.values()}

    def restraints(
        self,
        found: Sequence[Model],
        sets: Mapping[str, Sequence[FiringAlert]],
        policy_set: PolicySet,
    ) -> dict[str, Restraints | None]:
        """What the rungs below `cooldown` look at, by model; None where a policy has none of them.

        Who began to fire together is read once for all: to look at a storm of a thousand for
        each of its models would take the square of that.
        """
        now = self._moment.now
        # How many fire together, and what is left of a budget, is the same for all who share it.
        with self._moment.everybodys():
            pasts = Pasts(self._db, [model.name for model in found], now)
            return {
                model.name: explained_restraints(
                    model,
                    sets[model.name],
                    policy_set,
                    now,
                    usages=self._usages(),
                    pasts=pasts,
                )
                for model in found
            }

    def counts_by_policy(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many models each policy named last, and how many have an alert that it decides."""
        named = select(models.c.policy, func.count()).group_by(models.c.policy)
        each = firing_alerts.c
        firing = select(each.policy, func.count(each.model.distinct())).group_by(each.policy)
        known = named.where(models.c.policy.is_not(None))
        return (
            {str(policy): int(count) for policy, count in self._db.execute(known)},
            {str(policy): int(count) for policy, count in self._db.execute(firing)},
        )

    def count_firing(self, policy: str, held_by: str | None = None) -> int:
        """How many fire by a policy (empty: by any); of them those that this rung holds."""
        query = select(func.count(firing_alerts.c.model.distinct()))
        if policy:
            query = query.where(firing_alerts.c.policy == policy)
        if held_by is not None:
            query = query.where(firing_alerts.c.held_by == held_by)
        return self._db.scalar(query) or 0


def _behind(place: tuple[datetime, str]) -> ColumnElement[bool]:
    each = firing_alerts.c
    starts_at, fingerprint = place
    same = and_(each.starts_at == starts_at, each.fingerprint > storable(fingerprint))
    return or_(each.starts_at > starts_at, same)


def _bytes() -> ColumnElement[int]:
    """About as many bytes as an alert takes as JSON: labels over the bound are not read."""
    each = firing_alerts.c
    labels = func.length(within_bound(firing_alerts, NO_LABELS))
    return labels + func.length(each.alertname) + USUAL_BYTES


def _first(wanted: ColumnElement[bool], most: FiringSize) -> Select[Any]:
    """Fingerprints of the oldest of each firing set, as many as there is room for."""
    each = firing_alerts.c
    order = (each.starts_at, each.fingerprint)
    place = func.row_number().over(partition_by=each.model, order_by=order).label("place")
    taken = func.sum(_bytes()).over(partition_by=each.model, order_by=order).label("taken")
    ranked = select(each.fingerprint, place, taken).where(wanted).subquery()
    room = and_(ranked.c.place <= most.alerts, ranked.c.taken <= most.bytes)
    return select(ranked.c.fingerprint).where(or_(ranked.c.place == 1, room))
