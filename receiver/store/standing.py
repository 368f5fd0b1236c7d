"""Reads the standing of everything in a few indexed queries: a scrape must stay cheap."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    case,
    exists,
    func,
    or_,
    select,
    type_coerce,
)

from receiver.core.alerts import Source
from receiver.core.dispatches import ATTENTION, LIVE, DispatchState
from receiver.core.models import ModelState, PauseScope, latest_of
from receiver.core.standing import ModelsInState, ModelStanding, OpenDispatches, Standing
from receiver.store.column_types import to_micros
from receiver.store.tables import dispatches, firing_alerts, models, notifications, pauses

MOST_MODELS = 500
"""Models that have series of their own: more would burden Prometheus rather than us."""


def read_standing(db: Connection, now: datetime) -> Standing:
    """Everything that the metrics show of the store."""
    return Standing(
        dispatches=_open_dispatches(db),
        states=_models_by_state(db, now),
        unheld_since=_unheld_since(db, now),
        last_received_at=_last_received_at(db),
        models=_first_models(db, now),
        ineffective=_ineffective(db, now),
    )


def _open_dispatches(db: Connection) -> list[OpenDispatches]:
    """Those that are live, and those that wait for a human.

    A parked or refused one waits only while it is its model's latest.
    """
    d = dispatches.c
    since = case(
        (d.state == DispatchState.PENDING.value, d.created_at),
        (d.state == DispatchState.UNKNOWN.value, d.doubt_since),
        (_in(d.state, ATTENTION), d.ended_at),
        else_=d.sent_at,
    )
    query = (
        select(d.target, d.state, func.count(), func.min(since))
        .join(models, models.c.name == d.model)
        .where(_in(d.state, LIVE | ATTENTION))
        .where(or_(_in(d.state, LIVE), models.c.dispatch_id == d.id))
        .group_by(d.target, d.state)
        .order_by(d.target, d.state)
    )
    return [
        OpenDispatches(target, DispatchState(state), count, oldest)
        for target, state, count, oldest in db.execute(query)
    ]


def _models_by_state(db: Connection, now: datetime) -> list[ModelsInState]:
    query = _models(now).subquery()
    firing_since = case((query.c.firing > 0, query.c.episode_started_at))
    columns = (query.c.state, func.count(), func.min(firing_since))
    found = {
        state: ModelsInState(ModelState(state), count, oldest)
        for state, count, oldest in db.execute(select(*columns).group_by(query.c.state))
    }
    return [found.get(state.value, ModelsInState(state, 0, None)) for state in ModelState]


def _first_models(db: Connection, now: datetime) -> list[ModelStanding]:
    query = _models(now).order_by(models.c.name).limit(MOST_MODELS)
    return [
        ModelStanding(
            name=row.name,
            state=ModelState(row.state),
            firing_alerts=row.firing,
            held_until=latest_of(row.cooldown_until, row.backoff_until),
            run_sent_at=row.sent_at,
            run_ended_at=row.ended_at,
            run_state=DispatchState(row.latest_state) if row.latest_state else None,
        )
        for row in db.execute(query)
    ]


def _models(now: datetime) -> Select[Any]:
    """Each model with its state, as `state_of` tells it (a test compares them)."""
    sets = (
        select(firing_alerts.c.model, func.count().label("firing"))
        .group_by(firing_alerts.c.model)
        .subquery()
    )
    state = case(
        (_in(dispatches.c.state, ATTENTION), ModelState.ATTENTION.value),
        (_in(dispatches.c.state, LIVE), ModelState.RUNNING.value),
        (_paused(now), ModelState.PAUSED.value),
        (sets.c.firing.is_(None), ModelState.QUIET.value),
        (models.c.next_check_at <= now, ModelState.FIRING.value),
        else_=ModelState.HELD.value,
    )
    return (
        select(
            models.c.name,
            models.c.episode_started_at,
            models.c.cooldown_until,
            models.c.backoff_until,
            state.label("state"),
            func.coalesce(sets.c.firing, 0).label("firing"),
            dispatches.c.state.label("latest_state"),
            dispatches.c.sent_at,
            dispatches.c.ended_at,
        )
        .outerjoin(dispatches, dispatches.c.id == models.c.dispatch_id)
        .outerjoin(sets, sets.c.model == models.c.name)
    )


def _paused(now: datetime) -> ColumnElement[bool]:
    """Whether a pause is in force. One look per scope, so that each is found by its key."""
    names = (
        (PauseScope.MODEL, models.c.name),
        (PauseScope.POLICY, models.c.policy),
        (PauseScope.EVERYTHING, ""),
    )
    holds = or_(pauses.c.until.is_(None), pauses.c.until > now)
    return or_(
        *(
            exists().where(pauses.c.scope == scope.value, pauses.c.name == name, holds)
            for scope, name in names
        )
    )


def _unheld_since(db: Connection, now: datetime) -> datetime | None:
    """The first check that is due: the timer comes within a minute if all is well."""
    due: datetime | None = db.scalar(select(func.min(models.c.next_check_at)))
    return due if due is not None and due <= now else None


def _last_received_at(db: Connection) -> datetime | None:
    received: datetime | None = db.scalar(
        select(notifications.c.received_at)
        .where(notifications.c.source == Source.ALERTMANAGER.value)
        .order_by(notifications.c.received_at.desc())
        .limit(1)
    )
    return received


def _ineffective(db: Connection, now: datetime) -> dict[str, int]:
    """Runs that should have helped by now, for models that still have a firing alert."""
    d = dispatches.c
    settled_at = type_coerce(d.ended_at, BigInteger) + type_coerce(d.settle, BigInteger)
    fires = exists().where(firing_alerts.c.model == models.c.name)
    query = (
        select(d.model, func.count())
        .join_from(models, dispatches, d.model == models.c.name)
        .where(
            models.c.emptied_at.is_(None),
            fires,
            d.state == DispatchState.SUCCEEDED.value,
            d.created_at >= models.c.episode_started_at,
            settled_at <= to_micros(now),
        )
        .group_by(d.model)
        .order_by(d.model)
        .limit(MOST_MODELS)
    )
    return {name: count for name, count in db.execute(query)}


def _in(column: ColumnElement[Any], states: frozenset[DispatchState]) -> ColumnElement[bool]:
    return column.in_(sorted(state.value for state in states))
