"""Reads the report of an ended run; it never changes how the run ended."""

from receiver.core.dispatches import DispatchError
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Dispatcher
from receiver.core.reports import BadReport, Report
from receiver.core.run_ends import RunEnd, next_read
from receiver.flows.transitions import LEASE
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.store import Store
from receiver.telemetry import NO_VERDICT, UNREADABLE, log, reports


def read_next_report(store: Store, target: str, dispatcher: Dispatcher) -> bool:
    """Read the next report of a target that is due. False when none was."""
    with store.begin() as tx:
        end = tx.claim_report(target, now=tx.now(), lease=LEASE)
        dispatch = None if end is None else tx.dispatch(end.dispatch_id)
    if end is None:
        return False
    if dispatch is None:
        _save(store, end, Report(), "its dispatch was forgotten before it could be read")
        return True
    try:
        report = dispatcher.read_report(dispatch)
    except BadReport as error:
        _save(store, end, Report(), f"the run's report can't be understood: {error}")
    except DispatchError as error:
        _save(store, end, Report(), f"the run's report can't be read: {error}", again=True)
    else:
        _save(store, end, report or Report(), "")
    return True


def _save(store: Store, end: RunEnd, report: Report, detail: str, *, again: bool = False) -> None:
    with store.begin() as tx:
        unit = UnitOfWork(tx, PolicySet(), models=[end.model])
        due_at = next_read(end.report_tries, unit.now) if again else None
        tx.save_report(end.dispatch_id, report, detail=detail, due_at=due_at)
        unit.update(unit.models[end.model])  # a verdict may change what holds the model
        unit.save()
    if due_at is not None:
        log().info("report_unread", dispatch_id=end.dispatch_id, detail=detail)
        return
    verdict = report.verdict.value if report.verdict else NO_VERDICT
    reports.labels(end.target, UNREADABLE if detail else verdict).inc()
    log().info(
        "report_read",
        dispatch_id=end.dispatch_id,
        model=end.model,
        verdict=report.verdict,
        metrics=dict(report.metrics),
        detail=detail,
    )
