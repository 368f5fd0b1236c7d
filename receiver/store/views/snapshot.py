"""Reads the snapshot behind the gauges in a few indexed queries: a scrape must stay cheap."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    exists,
    func,
    not_,
    or_,
    select,
    union,
)

from receiver.core.alerts import Source
from receiver.core.decisions import BELIEF, RESTRAINTS, Reason
from receiver.core.dispatches import ATTENTION, LIVE, DispatchState
from receiver.core.models import ModelState, PauseScope, latest_of
from receiver.core.policies import Policy
from receiver.core.snapshot import ModelsInState, ModelSnapshot, OpenDispatches, Snapshot
from receiver.core.sources import Asking
from receiver.store.tables import dispatches, firing_alerts, models, notifications, pauses
from receiver.store.views.announcements import waiting_announcements
from receiver.store.views.budgets import Usages
from receiver.store.views.moment import Moment, in_force
from receiver.store.views.run_ends import effects_by_policy, ineffective_runs
from receiver.store.views.sources import count_unconfirmed, list_sources
from receiver.store.views.targets import is_waiting, standing_targets

LATELY = timedelta(days=90)
"""Runs that ended longer ago are not counted."""

MOST_MODELS = 500
"""Models that have series of their own: more would burden Prometheus rather than us."""


def read_snapshot(
    moment: Moment,
    usages: Usages,
    policies: Sequence[Policy],
    asking: Asking | None = None,
) -> Snapshot:
    """Everything that the metrics show; of the policies, the budgets are told."""
    db, now = moment.db, moment.now
    rungs = RESTRAINTS | BELIEF if asking else RESTRAINTS
    return Snapshot(
        dispatches=_open_dispatches(db),
        states=models_by_state(moment),
        unheld_since=_unheld_since(db, now),
        last_received_at=last_received_at(db),
        models=_first_models(db, now),
        held=_held(db, rungs, asks=False),
        asking=_held(db, rungs, asks=True),
        ineffective=ineffective_runs(db, now, MOST_MODELS),
        effects=effects_by_policy(db, now - LATELY, now),
        budgets={policy.name: usages.shared(policy) for policy in policies},
        announcements=waiting_announcements(db),
        sources=list_sources(db, asking.everybody) if asking else (),
        targets=standing_targets(db),
        unconfirmed=count_unconfirmed(db, now - asking.confirm_within) if asking else None,
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


def models_by_state(moment: Moment) -> list[ModelsInState]:
    """Only models about which something is to be said are looked at; the others are quiet."""
    db, now, busy = moment.db, moment.now, busy_models(moment).subquery()
    fires = exists().where(firing_alerts.c.model == models.c.name)
    each = (
        select(
            state_column(fires, now).label("state"),
            case((fires, models.c.episode_started_at)).label("since"),
        )
        .join(busy, is_one_of(busy))
        .outerjoin(dispatches, dispatches.c.id == models.c.dispatch_id)
        .subquery()
    )
    query = select(each.c.state, func.count(), func.min(each.c.since)).group_by(each.c.state)
    found = {state: (count, since) for state, count, since in db.execute(query)}
    looked_at = sum(count for count, _ in found.values())
    everyone: int = db.scalar(select(func.count()).select_from(models)) or 0
    quiet, _ = found.get(ModelState.QUIET.value, (0, None))
    found[ModelState.QUIET.value] = (quiet + everyone - looked_at, None)
    return [ModelsInState(state, *found.get(state.value, (0, None))) for state in ModelState]


def busy_models(moment: Moment) -> Select[Any] | CompoundSelect[Any]:
    """Names of models that may not be quiet: all of them under a pause of many."""
    if moment.is_widely_paused:
        return select(models.c.name.label("name"))
    return union(
        select(firing_alerts.c.model.label("name")),
        select(dispatches.c.model).where(_in(dispatches.c.state, LIVE | ATTENTION)),
        select(pauses.c.name).where(pauses.c.scope == PauseScope.MODEL.value),
    )


def is_one_of(busy: Subquery) -> ColumnElement[bool]:
    """Whether a model is one of the few that are busy.

    Written so that no index of the many models can drive the search: each of the few is looked up.
    """
    return models.c.name == func.coalesce(busy.c.name, "")


def _first_models(db: Connection, now: datetime) -> list[ModelSnapshot]:
    mine = select(func.count()).select_from(firing_alerts)
    firing = mine.where(firing_alerts.c.model == models.c.name).scalar_subquery()
    query = select(
        models.c.name,
        models.c.cooldown_until,
        models.c.backoff_until,
        state_column(firing > 0, now).label("state"),
        firing.label("firing"),
        dispatches.c.state.label("run_state"),
        dispatches.c.sent_at,
        dispatches.c.ended_at,
    ).outerjoin_from(models, dispatches, dispatches.c.id == models.c.dispatch_id)
    rows = db.execute(query.order_by(models.c.name).limit(MOST_MODELS))
    # Taken apart by place: asking each row for names costs as much as the query.
    return [
        ModelSnapshot(
            name=name,
            state=ModelState(state),
            firing_alerts=alerts,
            held_until=latest_of(cooldown, backoff),
            run_sent_at=sent,
            run_ended_at=ended,
            run_state=DispatchState(run_state) if run_state else None,
        )
        for name, cooldown, backoff, state, alerts, run_state, sent, ended in rows
    ]


def state_column(fires: ColumnElement[bool], now: datetime) -> ColumnElement[str]:
    """A model's state, as `state_of` tells it (a test compares them)."""
    return case(
        (_in(dispatches.c.state, ATTENTION), ModelState.ATTENTION.value),
        (and_(_asks(), not_(paused_now(now))), ModelState.ATTENTION.value),
        (is_waiting(), ModelState.WAITING.value),
        (_in(dispatches.c.state, LIVE), ModelState.RUNNING.value),
        (paused_now(now), ModelState.PAUSED.value),
        (not_(fires), ModelState.QUIET.value),
        (models.c.next_check_at <= now, ModelState.FIRING.value),
        else_=ModelState.HELD.value,
    )


def _asks() -> ColumnElement[bool]:
    """Whether a rung of the ladder waits for a human."""
    return exists().where(firing_alerts.c.model == models.c.name, firing_alerts.c.asks)


def paused_now(now: datetime) -> ColumnElement[bool]:
    """Whether a pause is in force. One look per scope, so that each is found by its key."""
    names = (
        (PauseScope.MODEL, models.c.name),
        (PauseScope.POLICY, models.c.policy),
        (PauseScope.EVERYTHING, ""),
    )
    return or_(
        *(
            exists().where(pauses.c.scope == scope.value, pauses.c.name == name, in_force(now))
            for scope, name in names
        )
    )


def _unheld_since(db: Connection, now: datetime) -> datetime | None:
    """The first check that is due: the timer comes within a minute if all is well."""
    due: datetime | None = db.scalar(select(func.min(models.c.next_check_at)))
    return due if due is not None and due <= now else None


def _held(db: Connection, rungs: Collection[Reason], *, asks: bool) -> dict[str, int]:
    """How many models each rung below `cooldown` holds, or asks a human about."""
    f = firing_alerts.c
    query = select(f.held_by, func.count(f.model.distinct())).where(f.held_by.is_not(None))
    if asks:
        query = query.where(f.asks)
    found = {rung: count for rung, count in db.execute(query.group_by(f.held_by))}  # noqa: C416
    return {rung.value: found.get(rung.value, 0) for rung in sorted(rungs)}


def last_received_at(db: Connection) -> datetime | None:
    """When Alertmanager last told us something that was stored."""
    received: datetime | None = db.scalar(
        select(notifications.c.received_at)
        .where(notifications.c.source == Source.ALERTMANAGER.value)
        .order_by(notifications.c.received_at.desc())
        .limit(1)
    )
    return received


def _in(column: ColumnElement[Any], states: frozenset[DispatchState]) -> ColumnElement[bool]:
    return column.in_(sorted(state.value for state in states))
