"""Models as they are read: pages, single ones, their alerts, pauses and questions."""

from collections.abc import Callable, Sequence

from sqlalchemy import func, select

from receiver.core.approvals import Approval
from receiver.core.models import FiringAlert, Model, Pause
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints
from receiver.core.run_ends import RunEnd
from receiver.store.column_types import storable
from receiver.store.model_rows import FIRING_ALERT, list_pauses, models_named
from receiver.store.tables import firing_alerts, models
from receiver.store.views.budgets import Usages
from receiver.store.views.moment import Moment, Reads
from receiver.store.views.paging import Page
from receiver.store.views.restraints import approvals_of, explained_restraints
from receiver.store.views.run_ends import run_ends_of


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

    def firing(self, names: Sequence[str]) -> dict[str, list[FiringAlert]]:
        """The firing sets of these models, oldest alert first."""
        each = firing_alerts.c
        query = select(*FIRING_ALERT).where(each.model.in_(names))
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
        self, model: Model, alerts: Sequence[FiringAlert], policy_set: PolicySet
    ) -> Restraints | None:
        """What the rungs below `cooldown` look at; None for a policy that has none of them."""
        return explained_restraints(
            self._db, model, alerts, policy_set, self._moment.now, usages=self._usages()
        )

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
