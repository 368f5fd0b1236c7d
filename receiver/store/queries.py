"""Read-only lists for API, page and command line."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, func, or_, select

from receiver.core.decisions import Reason
from receiver.core.models import FiringAlert, Model, Pause
from receiver.store.column_types import MICROSECOND, storable, to_micros
from receiver.store.model_rows import MODELS, firing_alert_of, model_of, pause_of
from receiver.store.tables import (
    FILTERS,
    attempts,
    configs,
    decisions,
    dispatches,
    firing_alerts,
    models,
    notifications,
    pauses,
    rejections,
    transitions,
)

MOST_ROWS = 500
"""The longest page."""

ID_SLACK = timedelta(hours=1)
"""How far a decision's id may run ahead of its time: batches and small steps back of the clock."""

DECISION_FILTERS = FILTERS

DISPATCH_FILTERS = ("model", "policy", "target", "state")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and where the next page begins (None: there is none)."""

    rows: Sequence[Row[Any]]
    next_cursor: str | None


def list_decisions(
    db: Connection,
    filters: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> Page:
    """One page of the audit log, newest first. `before` is the cursor: an id."""
    query = _filtered(select(decisions), decisions, filters).order_by(decisions.c.id.desc())
    if since is not None:
        # An id is never behind its time, so it can bound the search.
        query = query.where(decisions.c.id >= to_micros(since), decisions.c.decided_at >= since)
    if until is not None:
        ahead = to_micros(until) + ID_SLACK // MICROSECOND  # a moment may be the calendar's last
        query = query.where(decisions.c.id < ahead, decisions.c.decided_at < until)
    if before is not None:
        query = query.where(decisions.c.id < before)
    return _page(db, query, limit, lambda row: str(row.id))


def find_decision(db: Connection, decision_id: int) -> Row[Any] | None:
    """One decision."""
    return db.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()


def raw_body(db: Connection, notification_id: str | None) -> bytes | None:
    """A notification's body as received; None once forgotten."""
    if notification_id is None:
        return None
    body: bytes | None = db.scalar(
        select(notifications.c.body).where(notifications.c.id == notification_id)
    )
    return body


def list_models(
    db: Connection, *, after: str | None, limit: int
) -> tuple[list[Model], str | None]:
    """One page of models by name. The second is where the next page begins."""
    query = MODELS.order_by(models.c.name).limit(limit + 1)
    if after is not None:
        query = query.where(models.c.name > storable(after))
    found = [model_of(row) for row in db.execute(query)]
    more = len(found) > limit
    return found[:limit], found[limit - 1].name if more else None


def find_model(db: Connection, name: str) -> Model | None:
    """One model."""
    row = db.execute(MODELS.where(models.c.name == storable(name))).one_or_none()
    return None if row is None else model_of(row)


def alerts_of_models(db: Connection, names: Sequence[str]) -> dict[str, list[FiringAlert]]:
    """The firing sets of these models, oldest alert first."""
    query = (
        select(firing_alerts)
        .where(firing_alerts.c.model.in_(names))
        .order_by(firing_alerts.c.starts_at, firing_alerts.c.fingerprint)
    )
    sets: dict[str, list[FiringAlert]] = {name: [] for name in names}
    for row in db.execute(query):
        sets[row.model].append(firing_alert_of(row))
    return sets


def list_pauses(db: Connection) -> list[Pause]:
    """Every pause; those that ended are still among them."""
    return [pause_of(row) for row in db.execute(select(pauses))]


def list_dispatches(
    db: Connection, filters: Mapping[str, str], *, before: str | None, limit: int
) -> Page:
    """One page of dispatches, newest first. `before` is the cursor: an id."""
    query = _filtered(select(dispatches), dispatches, filters).order_by(dispatches.c.id.desc())
    if before is not None:
        query = query.where(dispatches.c.id < storable(before))
    return _page(db, query, limit, lambda row: str(row.id))


def find_dispatch(db: Connection, dispatch_id: str) -> Row[Any] | None:
    """One dispatch."""
    query = select(dispatches).where(dispatches.c.id == storable(dispatch_id))
    return db.execute(query).one_or_none()


def attempts_of(db: Connection, dispatch_id: str) -> Sequence[Row[Any]]:
    """A dispatch's attempts, first one first."""
    query = select(attempts).where(attempts.c.dispatch_id == dispatch_id)
    return db.execute(query.order_by(attempts.c.number)).all()


def transitions_of(db: Connection, dispatch_id: str) -> Sequence[Row[Any]]:
    """A dispatch's history, first state first."""
    query = select(transitions).where(transitions.c.dispatch_id == dispatch_id)
    return db.execute(query.order_by(transitions.c.number)).all()


def models_by_policy(db: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """How many models each policy named last, and how many have an alert that it decides."""
    named = select(models.c.policy, func.count()).group_by(models.c.policy)
    each = firing_alerts.c
    firing = select(each.policy, func.count(each.model.distinct())).group_by(each.policy)
    known = named.where(models.c.policy.is_not(None))
    return (
        {str(policy): int(count) for policy, count in db.execute(known)},
        {str(policy): int(count) for policy, count in db.execute(firing)},
    )


def list_rejections(db: Connection, limit: int) -> Sequence[Row[Any]]:
    """Bodies that we could not accept, newest first."""
    return db.execute(select(rejections).order_by(rejections.c.id.desc()).limit(limit)).all()


WAITING = (
    select(models.c.name)
    .where(models.c.next_check_at <= bindparam("now"))
    .order_by(models.c.next_check_at)
    .limit(bindparam("most"))
)

SILENT = (
    select(firing_alerts.c.model)
    .where(firing_alerts.c.expires_at <= bindparam("now"))
    .distinct()
    .limit(bindparam("most"))
)


OTHERWISE = (
    select(firing_alerts.c.model)
    .where(
        firing_alerts.c.config_hash != bindparam("mine"),
        firing_alerts.c.expires_at > bindparam("now"),
        or_(
            firing_alerts.c.stale_until.is_(None),
            firing_alerts.c.stale_until <= bindparam("now"),
        ),
        bindparam("mine")
        == select(configs.c.hash).order_by(configs.c.loaded_at.desc()).limit(1).scalar_subquery(),
    )
    .distinct()
    .order_by(firing_alerts.c.model)
    .limit(bindparam("most"))
)


def waiting_models(db: Connection, now: datetime, limit: int) -> list[str]:
    """Models whose hold has ended, longest ago first."""
    return list(db.scalars(WAITING, {"now": now, "most": limit}))


def silent_models(db: Connection, now: datetime, limit: int) -> list[str]:
    """Models with an alert that nobody confirmed for too long."""
    return list(db.scalars(SILENT, {"now": now, "most": limit}))


def held_alerts(db: Connection, rung: str) -> list[FiringAlert]:
    """Alerts that this rung below `cooldown` holds, oldest first."""
    query = (
        select(firing_alerts)
        .where(firing_alerts.c.held_by == rung)
        .order_by(firing_alerts.c.starts_at, firing_alerts.c.fingerprint)
        .limit(MOST_ROWS)
    )
    return [firing_alert_of(row) for row in db.execute(query)]


def waiting_for_hours(db: Connection, policies: Collection[str], now: datetime) -> list[str]:
    """Models of these policies that a window holds until later than now."""
    query = (
        select(firing_alerts.c.model)
        .distinct()
        .where(
            firing_alerts.c.held_by == Reason.WINDOW.value,
            firing_alerts.c.policy.in_(policies),
            firing_alerts.c.held_until > now,
        )
        .limit(MOST_ROWS)
    )
    return list(db.scalars(query))


def decided_otherwise(db: Connection, config_hash: str, now: datetime) -> list[str]:
    """Models with an alert that counts and was decided by another configuration.

    None unless this one was loaded last: replicas that still have the old one are no judges.
    """
    return list(db.scalars(OTHERWISE, {"mine": config_hash, "now": now, "most": MOST_ROWS}))


def live_targets(db: Connection) -> set[str]:
    """Targets that have a dispatch on its way or a run in progress."""
    live = ("pending", "sending", "unknown", "running")
    query = select(dispatches.c.target).where(dispatches.c.state.in_(live)).distinct()
    return set(db.scalars(query))


def _filtered(query: Select[Any], table: Table, filters: Mapping[str, str]) -> Select[Any]:
    for name, value in filters.items():
        query = query.where(table.c[name] == storable(value))
    return query


def _page(db: Connection, query: Select[Any], limit: int, cursor: Any) -> Page:
    rows = db.execute(query.limit(limit + 1)).all()
    more = len(rows) > limit
    return Page(rows[:limit], cursor(rows[limit - 1]) if more else None)
