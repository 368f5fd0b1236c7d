"""Runs, ended or not, of one model since some moment."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from receiver.core.dispatches import LIVE, DispatchState
from receiver.core.restraints import Runs
from receiver.store.run_end_rows import ended_runs
from receiver.store.tables import dispatches

UNENDED = tuple(sorted(state.value for state in LIVE | {DispatchState.PARKED}))


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
