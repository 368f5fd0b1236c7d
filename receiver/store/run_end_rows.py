"""Runs and their ends: written at a run's end; its report and its model's recovery are added."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
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
    or_,
    select,
    update,
)

from receiver.core.dispatches import LIVE, DispatchState
from receiver.core.reports import Report, Verdict
from receiver.core.restraints import Runs
from receiver.core.run_ends import INEFFECTIVE, Effect, RunEnd, Signs, effect_of
from receiver.store.compiled_upsert import upsert
from receiver.store.leases import read_claimed
from receiver.store.tables import dispatches, firing_alerts, models, run_ends


class RunEndRows:
    """Statements about run ends. Whoever writes one has locked its model."""

    _db: Connection

    def add_run_end(self, end: RunEnd) -> None:
        """Remember a run's end."""
        row = {**asdict(end), "metrics": dict(end.metrics), "state": end.state.value}
        upsert(self._db, run_ends, ("dispatch_id",), [row])

    def save_recoveries(
        self, recovered: Mapping[str, datetime], relapsed: Mapping[str, datetime]
    ) -> None:
        """Note, by dispatch, when its model recovered; or that an alert came back.

        `relapsed` tells when the episode began: runs of earlier ones keep what they brought.
        """
        ends = run_ends.c
        for dispatch_id, at in sorted(recovered.items()):
            this = update(run_ends).where(ends.dispatch_id == dispatch_id)
            self._db.execute(this.where(ends.recovered_at.is_(None)).values(recovered_at=at))
        for dispatch_id, began in sorted(relapsed.items()):
            this = update(run_ends).where(ends.dispatch_id == dispatch_id)
            self._db.execute(this.where(ends.created_at >= began).values(recovered_at=None))

    def claim_report(self, target: str, *, now: datetime, lease: timedelta) -> RunEnd | None:
        """Take the run end of a target whose report is to be read, for the length of `lease`.

        A claim is only a later `report_due_at`. A report read twice is the same report.
        Raises `UnreadableRow`.
        """
        due = (
            select(run_ends.c.dispatch_id)
            .where(run_ends.c.target == target, run_ends.c.report_due_at <= now)
            .order_by(run_ends.c.report_due_at)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        claiming = (
            update(run_ends)
            .where(run_ends.c.dispatch_id == due)
            .values(report_due_at=bindparam("until"), report_tries=run_ends.c.report_tries + 1)
            .returning(run_ends)
        )
        values = {"until": now + lease}
        return read_claimed(self._db, claiming, values, run_end_of, due="report_due_at")

    def save_report(
        self, dispatch_id: str, report: Report, *, detail: str, due_at: datetime | None
    ) -> None:
        """Write down what a run reported, or why that can't be told."""
        self._db.execute(
            update(run_ends)
            .where(run_ends.c.dispatch_id == dispatch_id)
            .values(
                verdict=report.verdict.value if report.verdict else None,
                metrics=dict(report.metrics),
                report_detail=detail,
                report_due_at=due_at,
            )
        )


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
    """How many runs of a model that were ordered since then ended, and how many helped nobody."""
    query = select(run_ends.c.model.label("name"), *SIGNS).where(
        run_ends.c.model == model, run_ends.c.created_at >= since
    )
    found = [(effect, runs) for _, effect, runs in _counted(db, query, now)]
    without_effect = sum(runs for effect, runs in found if effect in INEFFECTIVE)
    return sum(runs for _, runs in found), without_effect


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
)


def _signs(row: Any) -> Signs:
    """The columns of `SIGNS` as a core value."""
    return Signs(
        DispatchState(row.state),
        Verdict(row.verdict) if row.verdict else None,
        bool(row.fired),
        bool(row.recovered),
        bool(row.settled),
    )


def run_end_of(row: Row[Any]) -> RunEnd:
    """A row of `run_ends` as a core value."""
    columns = dict(row._mapping)
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


def unended() -> ColumnElement[bool]:
    """Whether a run may go on, or may have begun, without an end that we know."""
    d = dispatches.c
    given_up = and_(d.state == DispatchState.ABANDONED.value, d.sent_at.is_not(None))
    return or_(d.state.in_(UNENDED), given_up)
