"""Polls runs until they end."""

from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.dispatches import Dispatch, DispatchError, DispatchState, Mover
from receiver.core.durations import show_duration
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Dispatcher
from receiver.core.run_ends import REPORTING, RunEnd
from receiver.core.runs import RunState, RunStatus, next_poll
from receiver.flows.transitions import LEASE, park_moved, place_of, save_moved
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.reconciling import DoubtTimer
from receiver.store.store import Store
from receiver.telemetry import log, run_duration

ENDS = {
    RunState.SUCCEEDED: DispatchState.SUCCEEDED,
    RunState.FAILED: DispatchState.FAILED,
    RunState.CANCELLED: DispatchState.CANCELLED,
    RunState.GONE: DispatchState.PARKED,
}


def follow_next(
    store: Store, target: str, dispatcher: Dispatcher, policy_set: PolicySet, watch: DoubtTimer
) -> bool:
    """Ask about the next run of a target that is due. False when none was."""
    with store.begin() as tx:
        dispatch = tx.claim_dispatch(target, [DispatchState.RUNNING], now=tx.now(), lease=LEASE)
    if dispatch is None:
        return False
    if policy_set.moved(dispatch):
        park_moved(store, policy_set, dispatch, Mover.FOLLOWER)
        return True
    status: RunStatus | None = None
    try:
        status = dispatcher.poll(dispatch)
    except DispatchError as error:
        log().warning("poll_failed", dispatch_id=dispatch.id, detail=str(error))
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        if status is not None and status.shows_id:
            tx.remember_id_shown(place_of(dispatch), unit.now)
        late = watch.followed(dispatch, unit.now) > dispatcher.run_timeout
        limit = dispatcher.run_timeout if late else None
        changed = _after_poll(unit, dispatch, status, limit)
        ended = changed.state is not DispatchState.RUNNING
        if save_moved(unit, dispatch, changed, Mover.FOLLOWER) and ended:
            _end(unit, changed)
        unit.save()
    if ended:
        watch.forget(changed)
    return True


def _after_poll(
    unit: UnitOfWork, dispatch: Dispatch, status: RunStatus | None, outlived: timedelta | None
) -> Dispatch:
    """The dispatch after its run was asked about; `outlived` is the time-out that has passed."""
    sent_at = dispatch.sent_at or dispatch.created_at
    url = status.url if status and status.url else dispatch.run_url
    if status is not None and status.state in ENDS:
        gone = status.state is RunState.GONE
        detail = "the target does not know the run any more" if gone else status.detail
        return replace(
            dispatch,
            state=ENDS[status.state],
            ended_at=unit.now,
            run_url=url,
            detail=f"run {dispatch.run_id}: {detail}",
        )
    if outlived is not None:
        limit = show_duration(outlived)
        return replace(
            dispatch,
            state=DispatchState.PARKED,
            ended_at=unit.now,
            detail=f"run {dispatch.run_id} goes on after run_timeout ({limit}): look at it",
        )
    return replace(dispatch, run_url=url, due_at=next_poll(sent_at, unit.now))


def _end(unit: UnitOfWork, dispatch: Dispatch) -> None:
    ended_at = dispatch.ended_at or unit.now
    took = ended_at - (dispatch.sent_at or dispatch.created_at)
    run_duration.labels(dispatch.target, dispatch.state.value).observe(took.total_seconds())
    model = unit.models[dispatch.model]
    unit.update(cooldowns.settle(model, dispatch.settle, ended_at))
    if dispatch.state is not DispatchState.PARKED:
        unit.tx.add_run_end(_run_end(unit, dispatch, ended_at))
    log().info(
        "run_ended",
        dispatch_id=dispatch.id,
        model=dispatch.model,
        run_id=dispatch.run_id,
        state=dispatch.state.value,
        duration_seconds=round(took.total_seconds(), 1),
        detail=dispatch.detail,
    )


def _run_end(unit: UnitOfWork, dispatch: Dispatch, ended_at: datetime) -> RunEnd:
    return RunEnd(
        dispatch_id=dispatch.id,
        model=dispatch.model,
        policy=dispatch.policy,
        target=dispatch.target,
        state=dispatch.state,
        created_at=dispatch.created_at,
        ended_at=max(ended_at, dispatch.created_at),  # the clock may have been set back
        settles_at=ended_at + dispatch.settle,
        fired=any(alert.counts(ended_at) for alert in unit.alerts_of(dispatch.model)),
        report_due_at=ended_at if dispatch.state in REPORTING else None,
        asked=unit.policy_set.asking is not None,
    )
