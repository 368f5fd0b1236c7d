"""Notes how targets answer, and announces once that one fails."""

from dataclasses import replace

from receiver.core.dispatches import Dispatch, DispatchError
from receiver.core.messages import target_failing
from receiver.core.target_health import TargetRecord, is_sure, is_the_targets
from receiver.flows.unit_of_work import UnitOfWork
from receiver.telemetry import log


def note_answer(unit: UnitOfWork, target: str) -> None:
    """A target did what it was asked. Nothing is written while it goes on answering."""
    if unit.tx.is_failing(target) is not False:
        unit.tx.change_target(target, lambda known: known.answered(unit.now))
        log().info("target_answers", target=target)


def note_failure(unit: UnitOfWork, dispatch: Dispatch, error: DispatchError) -> None:
    """A target did not do what it was asked; who wants to know is told once."""
    if not is_the_targets(error):
        note_answer(unit, dispatch.target)
        return
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
