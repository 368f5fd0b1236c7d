"""What the operators' page reads: bounded in rows and in statements, however long the log is."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    exists,
    func,
    literal,
    select,
    union_all,
)

from receiver.core.decisions import Reason
from receiver.core.dispatches import ATTENTION, LIVE
from receiver.core.models import Model, ModelState
from receiver.store.column_types import MICROSECOND, Instant, storable
from receiver.store.model_rows import models_named
from receiver.store.snapshot import busy_models, state_column
from receiver.store.tables import (
    configs,
    decisions,
    dispatches,
    firing_alerts,
    models,
    notifications,
)

WORST_FIRST = (
    ModelState.ATTENTION,
    ModelState.FIRING,
    ModelState.HELD,
    ModelState.PAUSED,
    ModelState.RUNNING,
    ModelState.QUIET,
)
"""What an operator should look at first: what waits for a human, then what nobody repairs."""

MOST_MOVING = 1000


class Wanted(NamedTuple):
    """Which models are asked for: in this state, with this in their name."""

    state: ModelState | None = None
    text: str = ""


def worst_models(
    db: Connection, wanted: Wanted, *, skip: int, limit: int, now: datetime
) -> tuple[list[Model], bool]:
    """Models, worst first, and whether there are more. The quiet ones follow by name."""
    names: list[str] = []
    busy = 0
    if wanted.state is not ModelState.QUIET:
        ranked = _busy_ranked(db, wanted, now)
        names = list(db.scalars(ranked.offset(skip).limit(limit + 1)))
        if len(names) <= limit:
            busy = (
                db.scalar(select(func.count()).select_from(ranked.order_by(None).subquery())) or 0
            )
    if wanted.state in {None, ModelState.QUIET} and len(names) <= limit:
        quiet = _quiet(db, wanted, now).offset(max(0, skip - busy)).limit(limit + 1 - len(names))
        names += db.scalars(quiet)
    found = models_named(db, names[:limit])
    return [found[name] for name in names[:limit]], len(names) > limit


def _busy_ranked(db: Connection, wanted: Wanted, now: datetime) -> Select[Any]:
    """Names of the models about which something is to be said, worst first."""
    each = _each(db, now).where(_named(models.c.name, wanted.text)).subquery()
    rank = case({state.value: at for at, state in enumerate(WORST_FIRST)}, value=each.c.state)
    query = select(each.c.name).order_by(rank, each.c.fires.desc(), each.c.since, each.c.name)
    if wanted.state is None:
        return query.where(each.c.state != ModelState.QUIET.value)
    return query.where(each.c.state == wanted.state.value)


def _quiet(db: Connection, wanted: Wanted, now: datetime) -> Select[Any]:
    each = _each(db, now).subquery()
    others = select(each.c.name).where(each.c.state != ModelState.QUIET.value)
    named = _named(models.c.name, wanted.text)
    return select(models.c.name).where(named, models.c.name.not_in(others)).order_by(models.c.name)


def _each(db: Connection, now: datetime) -> Select[Any]:
    busy = busy_models(db, now).subquery()
    fires = exists().where(firing_alerts.c.model == models.c.name)
    return (
        select(
            models.c.name,
            state_column(fires, now).label("state"),
            case((fires, 1), else_=0).label("fires"),
            func.coalesce(models.c.episode_started_at, literal(now, Instant())).label("since"),
        )
        .join(busy, busy.c.name == models.c.name)
        .outerjoin(dispatches, dispatches.c.id == models.c.dispatch_id)
    )


def _named(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return column.icontains(storable(text), autoescape=True)


def last_runs(db: Connection, names: Sequence[str], limit: int) -> dict[str, list[Row[Any]]]:
    """The last dispatches of each of these models, newest first."""
    d = dispatches.c
    columns = (d.id, d.model, d.state, d.created_at, d.sent_at, d.ended_at, d.run_id, d.run_url)
    return _of_each(db, select(*columns), d, names, limit)


def last_values(db: Connection, names: Sequence[str], limit: int) -> dict[str, list[Row[Any]]]:
    """What the last decisions about each of these models say of its values, newest first."""
    d = decisions.c
    return _of_each(db, select(d.id, d.model, d.alertname, d.decided_at, d.value), d, names, limit)


def _of_each(
    db: Connection, query: Select[Any], columns: Any, names: Sequence[str], limit: int
) -> dict[str, list[Row[Any]]]:
    """The newest rows of each model in one statement; each part is one walk along an index."""
    found: dict[str, list[Row[Any]]] = {name: [] for name in names}
    parts = [
        select(
            query.where(columns.model == name).order_by(columns.id.desc()).limit(limit).subquery()
        )
        for name in names
    ]
    for row in db.execute(union_all(*parts)) if parts else ():
        found[row.model].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row.id, reverse=True)
    return found


def waiting_dispatches(db: Connection, limit: int) -> Sequence[Row[Any]]:
    """Dispatches that wait for a human: parked or refused, and their model's latest."""
    d = dispatches.c
    return db.execute(
        select(dispatches)
        .join(models, models.c.dispatch_id == d.id)
        .where(d.state.in_(sorted(state.value for state in ATTENTION)))
        .order_by(d.id.desc())
        .limit(limit)
    ).all()


def asking_models(db: Connection, limit: int) -> list[Model]:
    """Models about which a rung asks a human, by name."""
    asking = select(firing_alerts.c.model).where(firing_alerts.c.asks).distinct()
    names = list(db.scalars(asking.order_by(firing_alerts.c.model).limit(limit)))
    return list(models_named(db, names).values())


def firing_models(db: Connection, policy: str, held_by: str | None = None) -> int:
    """How many models fire by a policy (empty: by any); of them those that this rung holds."""
    query = select(func.count(firing_alerts.c.model.distinct()))
    if policy:
        query = query.where(firing_alerts.c.policy == policy)
    if held_by is not None:
        query = query.where(firing_alerts.c.held_by == held_by)
    return db.scalar(query) or 0


def small_bodies(db: Connection, ids: Collection[str], largest: int) -> dict[str, bytes]:
    """Notifications as they came, without those that take long to read."""
    n = notifications.c
    query = select(n.id, n.body).where(n.id.in_(ids), func.length(n.body) <= largest)
    return {row.id: row.body for row in db.execute(query)}


def stored_config(db: Connection, config_hash: str) -> str | None:
    """A configuration by its hash, as canonical JSON."""
    text: str | None = db.scalar(select(configs.c.body).where(configs.c.hash == config_hash))
    return text


def expired_at(db: Connection) -> datetime | None:
    """When an alert was last given up because nobody confirmed it."""
    moment: datetime | None = db.scalar(
        select(decisions.c.decided_at)
        .where(decisions.c.reason == Reason.EXPIRED.value)
        .order_by(decisions.c.id.desc())
        .limit(1)
    )
    return moment


def newest_decision(db: Connection) -> int:
    """The largest id in the log, 0 without any."""
    newest: int | None = db.scalar(select(func.max(decisions.c.id)))
    return newest or 0


def decisions_after(
    db: Connection, last: int, overlap: timedelta, limit: int
) -> Sequence[Row[Any]]:
    """The newest decisions behind this id, and those of shortly before it; newest first."""
    d = decisions.c
    columns: Any = (d.id, d.model, d.policy, d.reason, d.outcome, d.source, d.dispatch_id)
    query: Select[Any] = select(*columns).where(d.id > last - overlap // MICROSECOND)
    return db.execute(query.order_by(d.id.desc()).limit(limit)).all()


def moving(db: Connection) -> tuple[tuple[Any, ...], ...]:
    """What changes without a decision: dispatches on their way, runs, what waits for a human."""
    d = dispatches.c
    states = sorted(state.value for state in LIVE | ATTENTION)
    query = select(d.id, d.state, d.attempt, d.run_id).where(d.state.in_(states))
    return tuple(tuple(row) for row in db.execute(query.order_by(d.id.desc()).limit(MOST_MOVING)))
