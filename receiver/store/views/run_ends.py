"""Run ends as they are read: what runs brought, and how many a model had."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
)

from receiver.core.dispatches import LIVE, DispatchState
from receiver.core.reports import Verdict
from receiver.core.restraints import Runs
from receiver.core.run_ends import INEFFECTIVE, Effect, RunEnd, Signs, effect_of
from receiver.store.compiled_select import chunks
from receiver.store.tables import dispatches, firing_alerts, models, run_ends


def run_ends_of(db: Connection, dispatch_ids: Collection[str]) -> dict[str, RunEnd]:
    """What became of the runs of these dispatches; at most a page of them."""
    query = select(run_ends).where(run_ends.c.dispatch_id.in_(dispatch_ids))
    return {row.dispatch_id: run_end_of(row) for row in db.execute(query)}


def ineffective_runs(db: Connection, now: datetime, limit: int) -> dict[str, int]:
    """How many runs of its present episode helped nobody, by model that fires."""
    firing = select(firing_alerts.c.model).distinct().subquery()
    query = (
        select(run_ends.c.model.label("name"), *SIGNS)
        .join(models, models.c.name == run_ends.c.model)
        .join(firing, firing.c.model == run_ends.c.model)
        .where(run_ends.c.created_at >= models.c.episode_started_at)
    )
    found: dict[str, int] = {}
    for name, effect, runs in _counted(db, query, now):
        if effect in INEFFECTIVE:
            found[name] = found.get(name, 0) + runs
    return dict(sorted(found.items())[:limit])


def ended_runs(db: Connection, model: str, since: datetime, now: datetime) -> tuple[int, int]:
    """How many runs of a model that were ordered since then ended, and how many helped nobody.

    Of runs of which nobody knows what they brought only one counts: see `_tried`.
    """
    query = select(run_ends.c.model.label("name"), *SIGNS).where(
        run_ends.c.model == model, run_ends.c.created_at >= since
    )
    effects = Counter[Effect]()
    for _, effect, runs in _counted(db, query, now):
        effects[effect] += runs
    return _tried(effects)


def _tried(effects: Counter[Effect]) -> tuple[int, int]:
    """How many runs were attempts, and how many of them helped nobody.

    Of those that nobody was heard about the last is one: who asks for another believes that the
    alert fires, or `unconfirmed` would hold it. Earlier ones are not: what is heard of an alert
    tells of all runs that had settled, so of these nothing was ever heard.
    """
    unknown = effects[Effect.UNKNOWN]
    count = effects.total() - unknown + min(unknown, 1)
    return count, sum(effects[effect] for effect in INEFFECTIVE)


def effects_by_policy(
    db: Connection, since: datetime, now: datetime
) -> dict[str, dict[Effect, int]]:
    """How many runs that ended since then brought what, by policy."""
    query = select(run_ends.c.policy.label("name"), *SIGNS).where(run_ends.c.ended_at >= since)
    found: dict[str, dict[Effect, int]] = {}
    for name, effect, runs in _counted(db, query, now):
        found.setdefault(name, dict.fromkeys(Effect, 0))[effect] += runs
    return found


def _counted(
    db: Connection, query: Select[Any], now: datetime
) -> Iterator[tuple[str, Effect, int]]:
    """Names, effects and how many runs; the database counts, one definition tells effects."""
    each = query.subquery()
    counted = select(*each.c, func.count().label("runs")).group_by(*each.c)
    for row in db.execute(counted, {"now": now}):
        yield row.name, effect_of(_signs(row)), row.runs


def recovery_times(db: Connection, since: datetime) -> dict[str, list[timedelta]]:
    """How long each recovery took from its run's end, shortest first, by policy."""
    query = select(run_ends.c.policy, run_ends.c.ended_at, run_ends.c.recovered_at).where(
        run_ends.c.ended_at >= since,
        run_ends.c.state == DispatchState.SUCCEEDED.value,
        run_ends.c.recovered_at.is_not(None),
        func.coalesce(run_ends.c.verdict, "") != Verdict.REJECTED.value,
    )
    found: dict[str, list[timedelta]] = {}
    for policy, ended_at, recovered_at in db.execute(query):
        took = max(recovered_at - ended_at, timedelta(0))  # a clock was set back
        found.setdefault(policy, []).append(took)
    return {policy: sorted(times) for policy, times in found.items()}


SIGNS = (
    run_ends.c.state,
    run_ends.c.verdict,
    run_ends.c.fired,
    run_ends.c.recovered_at.is_not(None).label("recovered"),
    (run_ends.c.settles_at <= bindparam("now", type_=run_ends.c.settles_at.type)).label("settled"),
    or_(not_(run_ends.c.asked), run_ends.c.confirmed_at.is_not(None)).label("confirmed"),
)


def _signs(row: Any) -> Signs:
    """The columns of `SIGNS` as a core value."""
    return Signs(
        DispatchState(row.state),
        Verdict(row.verdict) if row.verdict else None,
        bool(row.fired),
        bool(row.recovered),
        bool(row.settled),
        bool(row.confirmed),
    )


def run_end_of(row: Row[Any]) -> RunEnd:
    """A row of `run_ends` as a core value."""
    columns = {column.name: row._mapping[column.name] for column in run_ends.c}
    verdict = Verdict(row.verdict) if row.verdict else None
    return RunEnd(**{**columns, "state": DispatchState(row.state), "verdict": verdict})


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


def runs_of_episodes(db: Connection, names: Sequence[str], now: datetime) -> dict[str, Runs]:
    """The runs of each model's stored episode; `runs_since` for many at once."""
    found: dict[str, Runs] = {}
    for chunk in chunks(names):
        effects: dict[str, Counter[Effect]] = {}
        ended = (
            select(run_ends.c.model.label("name"), *SIGNS)
            .join(models, models.c.name == run_ends.c.model)
            .where(
                run_ends.c.model.in_(chunk), run_ends.c.created_at >= models.c.episode_started_at
            )
        )
        for name, effect, runs in _counted(db, ended, now):
            effects.setdefault(name, Counter())[effect] += runs
        found.update((name, Runs(*_tried(known))) for name, known in effects.items())
        d = dispatches.c
        going_on = (
            select(d.model, func.count())
            .join(models, models.c.name == d.model)
            .where(d.model.in_(chunk), d.created_at >= models.c.episode_started_at, unended())
            .group_by(d.model)
        )
        for name, count in db.execute(going_on):
            known = found.get(name, Runs())
            found[name] = Runs(known.count + count, known.without_effect)
    return found


def unended() -> ColumnElement[bool]:
    """Whether a run may go on, or may have begun, without an end that we know."""
    d = dispatches.c
    given_up = and_(d.state == DispatchState.ABANDONED.value, d.sent_at.is_not(None))
    return or_(d.state.in_(UNENDED), given_up)
