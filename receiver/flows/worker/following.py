"""Polls runs until they end."""

from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.dispatches import Dispatch, DispatchError, DispatchState, Mover
from receiver.core.durations import show_duration
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Dispatcher
from receiver.core.run_ends import REPORTING, RunEnd, next_rerun_look
from receiver.core.runs import (
    IT_RUNS,
    RunState,
    RunStatus,
    is_gone,
    next_poll,
    note_in,
    told_of,
)
from receiver.core.times import clock_time
from receiver.flows.transitions import LEASE, park_moved, place_of, save_moved
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.noting import note_answer, note_unfollowed
from receiver.flows.worker.reconciling import DoubtTimer
from receiver.store.store import Store
from receiver.telemetry import log, run_duration

ENDS = {
    RunState.SUCCEEDED: DispatchState.SUCCEEDED,
    RunState.FAILED: DispatchState.FAILED,
    RunState.CANCELLED: DispatchState.CANCELLED,
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
    answer = _ask(dispatcher, dispatch)
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        late = watch.followed(dispatch, unit.now) > dispatcher.run_timeout
        if isinstance(answer, DispatchError):
            changed = _unfollowed(unit, dispatch, answer)
            note_unfollowed(unit, dispatch, answer)
        else:
            if answer.shows_id:
                tx.remember_id_shown(place_of(dispatch), unit.now)
            changed = _after_poll(unit, dispatch, answer, watch)
            note_answer(unit, dispatch.target)
        if late and changed.state is DispatchState.RUNNING:
            changed = _outlived(unit, changed, dispatcher.run_timeout, answer)
        ended = changed.state is not DispatchState.RUNNING
        if save_moved(unit, dispatch, changed, Mover.FOLLOWER) and ended:
            _end(unit, changed, answer)
        unit.save()
    if ended:
        watch.forget(changed)
    return True


def _ask(dispatcher: Dispatcher, dispatch: Dispatch) -> RunStatus | DispatchError:
    try:
        return dispatcher.poll(dispatch)
    except DispatchError as error:
        log().warning("poll_failed", dispatch_id=dispatch.id, detail=str(error))
        return error


def _unfollowed(unit: UnitOfWork, dispatch: Dispatch, error: DispatchError) -> Dispatch:
    """The dispatch of a run that nobody could tell of: it may have ended long ago."""
    return replace(
        dispatch,
        due_at=next_poll(dispatch.sent_at or dispatch.created_at, unit.now),
        detail=told_of(dispatch.run_id, f"can't be followed: {error}"),
    )


def _after_poll(
    unit: UnitOfWork, dispatch: Dispatch, status: RunStatus, watch: DoubtTimer
) -> Dispatch:
    """The dispatch after its target said how its run stands."""
    if status.state is RunState.GONE:
        return _after_missing(unit, dispatch, watch)
    known = replace(dispatch, run_url=status.url or dispatch.run_url, missing_since=None)
    if status.state in ENDS:
        return replace(
            known,
            state=ENDS[status.state],
            ended_at=unit.now,
            detail=told_of(dispatch.run_id, status.detail),
        )
    return replace(
        known,
        detail=_while_it_runs(dispatch, status.note),
        due_at=next_poll(dispatch.sent_at or dispatch.created_at, unit.now),
    )


def _while_it_runs(dispatch: Dispatch, note: str) -> str:
    """What is told of a run that goes on; how it was started stays told while it only runs."""
    if note or note_in(dispatch.detail, dispatch.run_id):
        return told_of(dispatch.run_id, note or IT_RUNS)
    return dispatch.detail


def _after_missing(unit: UnitOfWork, dispatch: Dispatch, watch: DoubtTimer) -> Dispatch:
    """The dispatch whose target says that it does not know the run: gone if it says so long."""
    since = dispatch.missing_since or unit.now
    times = 1 if dispatch.missing_since is None else dispatch.looks + 1
    missing = replace(dispatch, missing_since=since, looks=times)
    said = f"the target has not known it since {clock_time(since, unit.now)}"
    if is_gone(times, watch.missed(missing, unit.now)):
        return replace(
            missing,
            state=DispatchState.PARKED,
            ended_at=unit.now,
            detail=told_of(dispatch.run_id, f"{said} and said so {times} times: look at it"),
        )
    return replace(
        missing,
        due_at=next_poll(dispatch.sent_at or dispatch.created_at, unit.now),
        detail=told_of(
            dispatch.run_id, f"{said}; it is asked on, for it may be there all the same"
        ),
    )


def _outlived(
    unit: UnitOfWork, dispatch: Dispatch, limit: timedelta, answer: RunStatus | DispatchError
) -> Dispatch:
    """The dispatch whose time is over; only a target that was heard can say that it goes on."""
    failed = isinstance(answer, DispatchError)
    heard = not failed and dispatch.missing_since is None
    why = f", for it can't be followed: {answer}" if failed else ""
    return replace(
        dispatch,
        state=DispatchState.PARKED,
        ended_at=unit.now,
        detail=f"run {dispatch.run_id} {'goes on' if heard else 'was not said to be over'} after "
        f"run_timeout ({show_duration(limit)}){why}: look at it",
    )


def _end(unit: UnitOfWork, dispatch: Dispatch, answer: RunStatus | DispatchError) -> None:
    ended_at = dispatch.ended_at or unit.now
    took = ended_at - (dispatch.sent_at or dispatch.created_at)
    run_duration.labels(dispatch.target, dispatch.state.value).observe(took.total_seconds())
    model = unit.models[dispatch.model]
    unit.update(cooldowns.settle(model, dispatch.settle, ended_at))
    if isinstance(answer, RunStatus) and dispatch.state is not DispatchState.PARKED:
        unit.tx.add_run_end(_run_end(unit, dispatch, ended_at, answer.attempt))
    log().info(
        "run_ended",
        dispatch_id=dispatch.id,
        model=dispatch.model,
        run_id=dispatch.run_id,
        state=dispatch.state.value,
        duration_seconds=round(took.total_seconds(), 1),
        detail=dispatch.detail,
    )


def _run_end(
    unit: UnitOfWork, dispatch: Dispatch, ended_at: datetime, attempt: int | None
) -> RunEnd:
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
        rerun_due_at=next_rerun_look(ended_at, unit.now),
        asked=unit.policy_set.asking is not None,
        run_attempt=attempt,
    )
