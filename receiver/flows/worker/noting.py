"""Notes how targets answer, and announces once that one fails."""

from dataclasses import replace

from receiver.core.dispatches import Dispatch, DispatchError
from receiver.core.messages import target_failing
from receiver.core.target_health import TargetRecord, bars_every_run, is_sure, is_the_targets
from receiver.flows.unit_of_work import UnitOfWork
from receiver.telemetry import log


def note_answer(unit: UnitOfWork, target: str) -> None:
    """A target did what it was asked. Nothing is written while it goes on answering."""
    if unit.tx.is_failing(target) is not False:
        unit.tx.change_target(target, lambda known: known.answered(unit.now))
        log().info("target_answers", target=target)


def note_failure(unit: UnitOfWork, dispatch: Dispatch, error: DispatchError) -> None:
    """A target did not do what it was asked; who wants to know is told once."""
    if is_the_targets(error):
        _fails(unit, dispatch, error)
    else:
        note_answer(unit, dispatch.target)


def note_unfollowed(unit: UnitOfWork, dispatch: Dispatch, error: DispatchError) -> None:
    """A target did not say how a run stands; that is noted if it says it of no run."""
    if bars_every_run(error):
        _fails(unit, dispatch, error)


def _fails(unit: UnitOfWork, dispatch: Dispatch, error: DispatchError) -> None:
    tells = False

    def change(known: TargetRecord) -> TargetRecord:
        nonlocal tells
        failed = known.failed(error, unit.now)
        tells = is_sure(error) and failed.is_to_be_told(unit.now)
        return replace(failed, announced_at=unit.now) if tells else failed

    record = unit.tx.change_target(dispatch.target, change)
    if tells:
        unit.announce(target_failing(dispatch, record))
        log().warning("target_fails", target=dispatch.target, detail=record.error)
