"""Reads what the rungs below `cooldown` look at, for deciding and for `explain`."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    or_,
    select,
    type_coerce,
)

from receiver.core.approvals import in_force
from receiver.core.dispatches import DispatchState
from receiver.core.models import Model, with_firing
from receiver.core.policies import Policy
from receiver.core.restraints import Restraints, Runs
from receiver.store.approval_rows import approvals_of
from receiver.store.column_types import to_micros
from receiver.store.tables import dispatches

NEVER_RAN = (DispatchState.SUPERSEDED.value, DispatchState.REFUSED.value)


def read_restraints(db: Connection, policy: Policy, model: Model, now: datetime) -> Restraints:
    """What this policy's rungs look at; nothing is read for rungs that it does not have."""
    began = with_firing(model, cooldown=policy.cooldown, now=now).episode_started_at or now
    asked = approvals_of(db, [model.name]).get(model.name)
    return Restraints(
        episode_started_at=began,
        runs=Runs() if policy.attempts is None else runs_since(db, model.name, began, now),
        approval=in_force(asked, began, model.latest, now),
    )


def runs_since(db: Connection, model: str, since: datetime, now: datetime) -> Runs:
    """The runs of a model that were ordered since then."""
    d = dispatches.c
    settled_at = type_coerce(d.ended_at, BigInteger) + type_coerce(d.settle, BigInteger)
    no_effect = and_(d.state == DispatchState.SUCCEEDED.value, settled_at <= to_micros(now))
    query = select(func.count(), func.count(case((no_effect, 1)))).where(
        d.model == model, d.created_at >= since, has_run()
    )
    count, without_effect = db.execute(query).one()
    return Runs(count, without_effect)


def has_run() -> ColumnElement[bool]:
    """Whether a dispatch's run was started, or may have been, or is on its way."""
    d = dispatches.c
    given_up_unsent = and_(d.state == DispatchState.ABANDONED.value, d.sent_at.is_(None))
    return ~or_(d.state.in_(NEVER_RAN), given_up_unsent)
