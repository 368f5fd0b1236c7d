"""Notices that somebody started an ended run anew at its target, and follows it again.

GitHub's "Re-run jobs" and KFP's retry keep the run's id. While the model's cooldown lasts nothing
else runs for it, so the run is asked about now and then; when the cooldown is over the model may
get a run of its own, and what goes on with the old one is a human's business.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from receiver.core.dispatches import RUN_ENDED, Dispatch, DispatchError, DispatchState, Mover
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock, Dispatcher
from receiver.core.run_ends import RunEnd, next_rerun_look, went_again
from receiver.core.runs import SOONEST_POLL, RunState, RunStatus
from receiver.flows.transitions import LEASE, save_moved
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.following import ENDS
from receiver.store.store import Store
from receiver.telemetry import log

PACE = timedelta(seconds=10)
"""Between two of these questions to one target: 360 of the 5,000 requests that GitHub grants a
token in an hour, however many models are in their cooldown."""


@dataclass(slots=True)
class RerunPace:
    """When each target was last asked, by the clock that never jumps."""

    clock: Clock
    _asked: dict[str, timedelta] = field(default_factory=dict)

    def allows(self, target: str) -> bool:
        """Whether the target may be asked again now."""
        asked = self._asked.get(target)
        return asked is None or self.clock.elapsed() >= asked + PACE

    def asks(self, target: str) -> None:
        """It is asked now."""
        self._asked[target] = self.clock.elapsed()


def look_for_rerun(
    store: Store, target: str, dispatcher: Dispatcher, policy_set: PolicySet, pace: RerunPace
) -> bool:
    """Ask about the next ended run of a target that is due. False when none was, or not yet."""
    if not pace.allows(target):
        return False
    with store.begin() as tx:
        end = tx.claim_rerun(target, now=tx.now(), lease=LEASE)
        dispatch = None if end is None else tx.dispatch(end.dispatch_id)
    if end is None:
        return False
    if dispatch is None or policy_set.moved(dispatch):
        with store.begin() as tx:
            tx.save_rerun_due(end.dispatch_id, None)
        return True
    pace.asks(target)
    status: RunStatus | None = None
    try:
        status = dispatcher.poll(dispatch)
    except DispatchError as error:
        log().info("rerun_unknown", dispatch_id=dispatch.id, detail=str(error))
    _save(store, policy_set, end, status)
    return True


def _save(store: Store, policy_set: PolicySet, end: RunEnd, status: RunStatus | None) -> None:
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[end.model])
        dispatch = tx.dispatch(end.dispatch_id)
        if dispatch is None or not _may_go_again(unit, dispatch):
            tx.save_rerun_due(end.dispatch_id, None)
        elif status is not None and _goes_again(dispatch, end, status):
            _follow_again(unit, dispatch)
        else:
            tx.save_rerun_due(end.dispatch_id, next_rerun_look(end.ended_at, unit.now))
        unit.save()


def _may_go_again(unit: UnitOfWork, dispatch: Dispatch) -> bool:
    """Whether the run may still be followed: the cooldown holds, and no other run came since."""
    model = unit.models[dispatch.model]
    held = model.cooldown_until is not None and unit.now < model.cooldown_until
    is_latest = model.latest is not None and model.latest.id == dispatch.id
    return held and is_latest and dispatch.state in RUN_ENDED


def _goes_again(dispatch: Dispatch, end: RunEnd, status: RunStatus) -> bool:
    """Whether it runs; or has ended anew meanwhile, which following it then tells.

    Where the target counts no attempts, only another end than before shows that.
    """
    if status.state is RunState.RUNNING:
        return True
    if went_again(end, status.attempt) and status.state in ENDS:
        return True
    return ENDS.get(status.state, dispatch.state) is not dispatch.state


def _follow_again(unit: UnitOfWork, ended: Dispatch) -> None:
    taken = unit.tx.take_over(ended)
    dispatch = replace(
        taken,
        state=DispatchState.RUNNING,
        ended_at=None,
        missing_since=None,
        due_at=unit.now + SOONEST_POLL,
        detail=f"run {ended.run_id} was started anew at the target: it is followed again",
    )
    save_moved(unit, ended, dispatch, Mover.FOLLOWER)
    unit.tx.drop_run_end(ended.id)
