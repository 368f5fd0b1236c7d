"""Run ends: inserted when a run ends; its report and its model's recovery are added later."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, delete, select, update
from sqlalchemy.sql import ColumnElement

from receiver.core.dispatches import DispatchState
from receiver.core.reports import Report, Verdict
from receiver.core.run_ends import RunEnd
from receiver.store.compiled import Compiled, given, moment
from receiver.store.compiled_select import columns_of
from receiver.store.compiled_upsert import upsert
from receiver.store.leases import read_claimed
from receiver.store.tables import run_ends


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

    def confirm_effects(self, began: Mapping[str, datetime | None], now: datetime) -> None:
        """Note of runs that have settled that an alert of their model fires all the same.

        `began` tells when each model's episode did. Also of runs before the last one: it may have
        been ordered before anybody could be heard about them.
        """
        ends = run_ends.c
        for model, since in sorted(began.items()):
            these = update(run_ends).where(ends.model == model, ends.settles_at <= now)
            if since is not None:
                these = these.where(ends.created_at >= since)
            self._db.execute(these.where(ends.confirmed_at.is_(None)).values(confirmed_at=now))

    def claim_report(self, target: str, *, now: datetime, lease: timedelta) -> RunEnd | None:
        """Take the run end of a target whose report is to be read, for the length of `lease`.

        A claim is only a later `report_due_at`. A report read twice is the same report.
        Raises `UnreadableRow`.
        """
        values = {"of_target": target, "now": now, "until": now + lease}
        due = "report_due_at"
        return read_claimed(self._db, CLAIM_REPORT, values, RunEnd, table=run_ends, due=due)

    def claim_rerun(self, target: str, *, now: datetime, lease: timedelta) -> RunEnd | None:
        """Take the run end of a target that is due to be asked whether it goes again, likewise.

        Raises `UnreadableRow`.
        """
        values = {"of_target": target, "now": now, "until": now + lease}
        due = "rerun_due_at"
        return read_claimed(self._db, CLAIM_RERUN, values, RunEnd, table=run_ends, due=due)

    def save_rerun_due(self, dispatch_id: str, due_at: datetime | None) -> None:
        """Write down when the target is asked next whether the run goes again."""
        SAVE_RERUN_DUE.run(self._db, of_id=dispatch_id, rerun_due_at=due_at)

    def drop_run_end(self, dispatch_id: str) -> None:
        """Forget the end of a run that goes again."""
        self._db.execute(delete(run_ends).where(run_ends.c.dispatch_id == dispatch_id))

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


def _claiming(due: Column[Any], **changed: ColumnElement[Any]) -> Compiled:
    """The statement that takes the first run end of a target by a column of due times."""
    first = (
        select(run_ends.c.dispatch_id)
        .where(run_ends.c.target == given("of_target", run_ends.c.target), due <= moment("now"))
        .order_by(due)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = (
        update(run_ends)
        .where(run_ends.c.dispatch_id == first)
        .values({due: moment("until"), **changed})
        .returning(*columns_of(run_ends, RunEnd))
    )
    return Compiled(claim, words={"state": DispatchState, "verdict": Verdict})


CLAIM_REPORT = _claiming(run_ends.c.report_due_at, report_tries=run_ends.c.report_tries + 1)

CLAIM_RERUN = _claiming(run_ends.c.rerun_due_at)

SAVE_RERUN_DUE = Compiled(
    update(run_ends).where(run_ends.c.dispatch_id == given("of_id", run_ends.c.dispatch_id)),
    sets=["rerun_due_at"],
)
