"""What the rungs below `cooldown` look at, for deciding and for `explain`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from receiver.core.approvals import Approval, in_force
from receiver.core.explaining import ruling_policy
from receiver.core.models import FiringAlert, Model, with_firing
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints, Runs
from receiver.core.storms import Gathering, Onset, gather
from receiver.store.column_types import storable
from receiver.store.compiled_select import columns_of
from receiver.store.tables import approvals
from receiver.store.views.budgets import Usages
from receiver.store.views.run_ends import runs_since
from receiver.store.views.storms import onsets_of, released_at


def read_restraints(
    db: Connection, policy: Policy, model: Model, now: datetime, usages: Usages
) -> Restraints:
    """What this policy's rungs look at; nothing is read for rungs that it does not have."""
    began = with_firing(model, cooldown=policy.cooldown, now=now).episode_started_at or now
    asked = approvals_of(db, [model.name]).get(model.name) if policy.asks else None
    return Restraints(
        episode_started_at=began,
        runs=Runs() if policy.attempts is None else runs_since(db, model.name, began, now),
        released_at=released_at(db, policy.name) if policy.storm else None,
        gathering=_gathering(db, policy, model.name, began, now),
        spent=usages.of(policy, model.name),
        approval=in_force(asked, began, model.latest, now),
    )


def _gathering(
    db: Connection, policy: Policy, name: str, began: datetime, now: datetime
) -> Gathering:
    """Who fires together; nothing is read while the wait holds the model anyway."""
    if policy.storm is None or now < began + policy.storm.wait:
        return Gathering()
    onsets = onsets_of(db, policy.name, policy.storm, now, near=began)
    onsets[name] = Onset(began)  # itself included, although it is about to be stored only
    return gather(onsets.values(), began, policy.storm, now)


def explained_restraints(
    db: Connection,
    model: Model,
    alerts: Sequence[FiringAlert],
    policy_set: PolicySet,
    now: datetime,
    *,
    usages: Usages,
) -> Restraints | None:
    """What `explain` shows of these rungs; None for a policy that has none of them."""
    policy = ruling_policy(model, alerts, policy_set)
    if policy is None or not policy.restrained:
        return None
    return read_restraints(db, policy, model, now, usages)


def approvals_of(db: Connection, names: Sequence[str]) -> dict[str, Approval]:
    """What was asked last about each of these models."""
    query = select(*columns_of(approvals, Approval))
    these = query.where(approvals.c.model.in_([storable(name) for name in names]))
    return {row.model: Approval(*row) for row in db.execute(these)}
