"""Reads what the rungs below `cooldown` look at, for deciding and for `explain`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from receiver.core.approvals import in_force
from receiver.core.dispatches import LIVE, DispatchState
from receiver.core.explaining import ruling_policy
from receiver.core.models import FiringAlert, Model, with_firing
from receiver.core.playbook import Playbook
from receiver.core.policies import Policy
from receiver.core.restraints import Restraints, Runs
from receiver.store.approval_rows import approvals_of
from receiver.store.run_end_rows import ended_runs
from receiver.store.tables import dispatches

UNENDED = tuple(sorted(state.value for state in LIVE | {DispatchState.PARKED}))


def read_restraints(db: Connection, policy: Policy, model: Model, now: datetime) -> Restraints:
    """What this policy's rungs look at; nothing is read for rungs that it does not have."""
    began = with_firing(model, cooldown=policy.cooldown, now=now).episode_started_at or now
    asked = approvals_of(db, [model.name]).get(model.name) if policy.asks else None
    return Restraints(
        episode_started_at=began,
        runs=Runs() if policy.attempts is None else runs_since(db, model.name, began, now),
        approval=in_force(asked, began, model.latest, now),
    )


def explained_restraints(
    db: Connection,
    model: Model,
    alerts: Sequence[FiringAlert],
    playbook: Playbook,
    now: datetime,
) -> Restraints | None:
    """What `explain` shows of these rungs; None for a policy that has none of them."""
    policy = ruling_policy(model, alerts, playbook)
    if policy is None or not policy.restrained:
        return None
    return read_restraints(db, policy, model, now)


def runs_since(db: Connection, model: str, since: datetime, now: datetime) -> Runs:
    """The runs of a model that were ordered since then.

    Those that ended are told from `run_ends`, which outlive their dispatches.
    """
    ended, without_effect = ended_runs(db, model, since, now)
    going_on = select(func.count()).where(
        dispatches.c.model == model, dispatches.c.created_at >= since, unended()
    )
    return Runs(ended + (db.scalar(going_on) or 0), without_effect)


def unended() -> ColumnElement[bool]:
    """Whether a run may go on, or may have begun, without an end that we know."""
    d = dispatches.c
    given_up = and_(d.state == DispatchState.ABANDONED.value, d.sent_at.is_not(None))
    return or_(d.state.in_(UNENDED), given_up)
