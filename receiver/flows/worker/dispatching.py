"""Sends due dispatches: one POST per attempt, after asking once more whether to."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.dispatches import (
    Dispatch,
    DispatchError,
    DispatchState,
    Failure,
    Mover,
    next_attempt,
    waited_for_send,
)
from receiver.core.policy_set import PolicySet
from receiver.core.ports import AlertSource, Dispatcher
from receiver.core.runs import Run
from receiver.flows.transitions import (
    LEASE,
    doubted,
    park_moved,
    place_of,
    running,
    save_moved,
)
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.noting import note_answer, note_failure
from receiver.flows.worker.reconciling import DoubtTimer, look_up
from receiver.flows.worker.valuing import with_value
from receiver.store.store import Store, Tx
from receiver.telemetry import ACCEPTED, attempts, log, time_to_dispatch

PAUSE_LOOK = timedelta(seconds=10)
"""How soon a pending dispatch notices that its pause was lifted or its window opens."""

UNSENT = (DispatchState.PENDING, DispatchState.SENDING, DispatchState.UNKNOWN)


def dispatch_next(
    store: Store,
    target: str,
    dispatcher: Dispatcher,
    policy_set: PolicySet,
    watch: DoubtTimer,
    *,
    prometheus: AlertSource | None = None,
) -> bool:
    """Carry out the next due dispatch of a target. False when nothing was due.

    `prometheus` is asked for the number of an alert that carries none.
    """
    with store.begin() as tx:
        now = tx.now()
        dispatch = tx.claim_dispatch(target, UNSENT, now=now, lease=LEASE)
    if dispatch is None:
        return False
    if dispatch.state is DispatchState.PENDING:
        valued = with_value(store, policy_set, dispatch, prometheus)
        _attempt(store, dispatcher, policy_set, watch, valued)
    else:
        look_up(store, dispatcher, policy_set, watch, dispatch, now=now)
    return True


def _attempt(
    store: Store,
    dispatcher: Dispatcher,
    policy_set: PolicySet,
    watch: DoubtTimer,
    claimed: Dispatch,
) -> None:
    if policy_set.moved(claimed) and (claimed.ordered or claimed.in_doubt):
        park_moved(store, policy_set, claimed, Mover.SENDER)
        return
    with store.begin() as tx:
        prepared = _prepare(tx, policy_set, claimed)
    if prepared is None:
        return
    dispatch, before = prepared
    waited = waited_for_send(dispatch)
    if waited is not None:
        time_to_dispatch.observe(waited.total_seconds())
    try:
        run = dispatcher.start(dispatch)
    except DispatchError as error:
        changed = _record_failure(store, policy_set, before, dispatch, error)
    else:
        changed = _record_start(store, policy_set, dispatch, run)
    if changed.state is DispatchState.UNKNOWN:
        watch.waited(changed, changed.doubt_since or changed.created_at)
    elif changed.state is DispatchState.RUNNING:
        watch.followed(changed, changed.sent_at or changed.created_at)


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood before an attempt: when it was sent last, until when its model was held."""

    asked_at: datetime
    sent_at: datetime | None
    cooldown_until: datetime | None


def _prepare(tx: Tx, policy_set: PolicySet, claimed: Dispatch) -> tuple[Dispatch, _Before] | None:
    """Ask once more whether to send; write down that we do. None if not now."""
    unit = UnitOfWork(tx, policy_set, models=[claimed.model])
    if not claimed.ordered:
        gone = _why_gone(unit, claimed) or _why_moved(unit, claimed)
        if gone:
            _supersede(unit, claimed, gone)
            return None
        due_at = _waits_until(unit, claimed)
        if due_at is not None:
            tx.save_dispatch(replace(claimed, due_at=due_at), at=unit.now, moved=False)
            return None
    dispatch = replace(
        claimed,
        state=DispatchState.SENDING,
        attempt=claimed.attempt + 1,
        in_doubt=(*claimed.in_doubt, claimed.attempt + 1),
        sent_at=unit.now,
        doubt_since=None,
        looks=0,
        detail=f"attempt {claimed.attempt + 1} is being made",
    )
    if not save_moved(unit, claimed, dispatch, Mover.SENDER):
        return None
    tx.begin_attempt(dispatch, unit.now)
    model = unit.models[dispatch.model]
    unit.update(cooldowns.take(model, dispatch.cooldown, unit.now))
    unit.save()
    return dispatch, _Before(unit.now, claimed.sent_at, model.cooldown_until)


def _waits_until(unit: UnitOfWork, dispatch: Dispatch) -> datetime | None:
    """The time of the next look if it may not be sent now; None to send it."""
    again = unit.now + PAUSE_LOOK
    if unit.policy_set.moved(dispatch):
        return again
    pause = unit.pause_of(dispatch.model, dispatch.policy)
    if pause is not None:
        return min(pause.until or again, again)
    policy = unit.policy_set.policy(dispatch.policy)
    window = None if policy is None else policy.window
    if window is None or window.is_open(unit.now):
        return None
    return min(window.opens_at(unit.now), again)


def _why_gone(unit: UnitOfWork, dispatch: Dispatch) -> str | None:
    """Why the run is not wanted any more, if so."""
    policy = unit.policy_set.policy(dispatch.policy)
    if policy is None:
        return f"policy {dispatch.policy} is gone from the configuration"
    if not unit.policy_set.acts(dispatch.policy):
        return f"policy {dispatch.policy} only observes now"
    if dispatch.target not in unit.policy_set.targets:
        return f"target {dispatch.target} is gone from the configuration"
    if not any(alert.counts(unit.now) for alert in unit.alerts_of(dispatch.model)):
        return "no alert of the model fires any more"
    return None


def _why_moved(unit: UnitOfWork, dispatch: Dispatch) -> str | None:
    """Why it goes nowhere, if its target moved: its model's alerts order a run at the new place.

    A replica that has the old configuration still is no judge of that: it is told to wait.
    """
    moved = unit.policy_set.moved(dispatch)
    return moved if moved and unit.tx.is_in_force(unit.policy_set.config_hash) else None


def _supersede(unit: UnitOfWork, claimed: Dispatch, why: str) -> None:
    """Send it no more. If an attempt may have started the run all the same, a human must look."""
    over = replace(claimed, ended_at=unit.now)
    if claimed.open_doubts:
        detail = f"not asked again: {why}; an earlier attempt may have started the run"
        changed = replace(over, state=DispatchState.PARKED, detail=detail)
    else:
        changed = replace(over, state=DispatchState.SUPERSEDED, detail=f"not sent: {why}")
    if save_moved(unit, claimed, changed, Mover.SENDER):
        if not claimed.open_doubts:
            model = unit.models[claimed.model]
            unit.update(cooldowns.give_back(model, claimed.cooldown_before))
        unit.save()


def _record_start(store: Store, policy_set: PolicySet, dispatch: Dispatch, run: Run) -> Dispatch:
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        if run.id is None:
            changed = doubted(unit, dispatch, "the target said yes without naming the run")
            changed = replace(changed, accepted=True)
        else:
            changed = running(unit, dispatch, run, f"run {run.id} was started")
        if not save_moved(unit, dispatch, changed, Mover.SENDER):
            log().warning("late_worker", dispatch_id=dispatch.id, run_id=run.id)
            return changed
        tx.end_attempt(
            dispatch, at=unit.now, failure=None, status_code=None, detail=changed.detail
        )
        if run.shows_id:
            tx.remember_id_shown(place_of(dispatch), unit.now)
        model = unit.models[dispatch.model]
        unit.update(replace(model, backoff_until=None, refusals=0))
        note_answer(unit, dispatch.target)
        unit.save()
    attempts.labels(dispatch.target, ACCEPTED).inc()
    return changed


def _record_failure(
    store: Store,
    policy_set: PolicySet,
    before: _Before,
    dispatch: Dispatch,
    error: DispatchError,
) -> Dispatch:
    """Write down that an attempt failed."""
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        not_started = tuple(n for n in dispatch.in_doubt if n != dispatch.attempt)
        if error.failure is Failure.UNKNOWN:
            changed = doubted(unit, dispatch, str(error))
        elif error.failure is Failure.UNAVAILABLE:
            changed = replace(
                dispatch,
                state=DispatchState.PENDING,
                in_doubt=not_started,
                sent_at=dispatch.sent_at if error.is_answer else before.sent_at,
                failing_since=dispatch.failing_since or unit.now,
                due_at=next_attempt(dispatch.attempt, error.retry_after, unit.now),
                detail=str(error),
            )
        else:
            changed = replace(
                dispatch,
                state=DispatchState.REFUSED,
                in_doubt=not_started,
                failing_since=None,
                ended_at=unit.now,
                detail=str(error),
            )
        if not save_moved(unit, dispatch, changed, Mover.SENDER):
            return changed
        tx.end_attempt(
            dispatch,
            at=unit.now,
            failure=error.failure,
            status_code=error.status_code,
            detail=str(error),
        )
        if changed.state is DispatchState.REFUSED:
            model = unit.models[dispatch.model]
            unit.update(
                cooldowns.back_off(model, dispatch.cooldown_before, dispatch.cooldown, unit.now)
            )
        elif error.failure is Failure.UNAVAILABLE and not error.is_answer:
            model, taken = unit.models[dispatch.model], before.asked_at + dispatch.cooldown
            unit.update(cooldowns.untake(model, before.cooldown_until, taken))
        note_failure(unit, dispatch, error)
        unit.save()
    attempts.labels(dispatch.target, error.failure.value).inc()
    return changed
