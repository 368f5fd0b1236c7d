"""What the rungs below `cooldown` look at, for deciding and for `explain`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, select

from receiver.core.approvals import Approval, in_force
from receiver.core.explaining import ruling_policy
from receiver.core.models import FiringAlert, Model, with_firing
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints, Runs
from receiver.store.column_types import storable
from receiver.store.compiled_select import chunks, columns_of
from receiver.store.tables import approvals
from receiver.store.views.budgets import Usages
from receiver.store.views.run_ends import runs_of_episodes, runs_since
from receiver.store.views.storms import Storms


class Pasts:
    """What happened to some models before: their questions and runs, read for all at once.

    Attributes:
        storms: Who began to fire together with them.

    """

    def __init__(self, db: Connection, names: Collection[str], now: datetime) -> None:
        self.storms = Storms(db, now)
        self._db = db
        self._names = sorted(names)
        self._now = now
        self._changed: set[str] = set()

    def changed(self, name: str) -> None:
        """Something was asked or ordered since: what is known of this model is read again."""
        self._changed.add(name)

    def approval(self, name: str) -> Approval | None:
        """What was asked last about a model."""
        if name in self._changed:
            return approvals_of(self._db, [name]).get(name)
        return self._approvals.get(name)

    def runs(self, model: Model, began: datetime) -> Runs:
        """The runs of a model's episode that began then."""
        if model.name in self._changed or began != model.episode_started_at:
            return runs_since(self._db, model.name, began, self._now)
        return self._runs.get(model.name, Runs())

    @cached_property
    def _approvals(self) -> dict[str, Approval]:
        return approvals_of(self._db, self._names)

    @cached_property
    def _runs(self) -> dict[str, Runs]:
        return runs_of_episodes(self._db, self._names, self._now)


def read_restraints(
    policy: Policy, model: Model, now: datetime, *, usages: Usages, pasts: Pasts
) -> Restraints:
    """What this policy's rungs look at; nothing is read for rungs that it does not have."""
    began = with_firing(model, cooldown=policy.cooldown, now=now).episode_started_at or now
    asked = pasts.approval(model.name) if policy.asks else None
    return Restraints(
        episode_started_at=began,
        runs=Runs() if policy.attempts is None else pasts.runs(model, began),
        released_at=pasts.storms.released_at(policy.name) if policy.storm else None,
        gathering=pasts.storms.gathering(policy, model.name, began),
        spent=usages.of(policy, model.name),
        approval=in_force(asked, began, model.latest, now),
    )


def explained_restraints(
    model: Model,
    alerts: Sequence[FiringAlert],
    policy_set: PolicySet,
    now: datetime,
    *,
    usages: Usages,
    pasts: Pasts,
) -> Restraints | None:
    """What `explain` shows of these rungs; None for a policy that has none of them."""
    policy = ruling_policy(model, alerts, policy_set)
    if policy is None or not policy.restrained:
        return None
    return read_restraints(policy, model, now, usages=usages, pasts=pasts)


def approvals_of(db: Connection, names: Sequence[str]) -> dict[str, Approval]:
    """What was asked last about each of these models."""
    query = select(*columns_of(approvals, Approval))
    found: dict[str, Approval] = {}
    for chunk in chunks([storable(name) for name in names]):
        rows = db.execute(query.where(approvals.c.model.in_(chunk)))
        found.update((row.model, Approval(*row)) for row in rows)
    return found
