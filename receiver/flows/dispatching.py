"""A due dispatch becomes a run: found or started, never started twice."""

from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.dispatches import (
    Dispatch,
    DispatchError,
    DispatchState,
    Failure,
    next_attempt,
)
from receiver.core.playbook import Playbook
from receiver.core.ports import Dispatcher
from receiver.core.runs import Run
from receiver.flows.ledger import Ledger
from receiver.flows.looking_up import Watch, look_up
from receiver.flows.moving import LEASE, doubted, place_of, running, save_moved
from receiver.store.store import Store, Tx
from receiver.telemetry import ACCEPTED, attempts, log, time_to_dispatch

PAUSE_LOOK = timedelta(seconds=10)
"""How soon a pending dispatch notices that its pause was lifted or its window opens."""

UNSENT = (DispatchState.PENDING, DispatchState.SENDING, DispatchState.UNKNOWN)


def dispatch_next(
    store: Store, target: str, dispatcher: Dispatcher, playbook: Playbook, watch: Watch
) -> bool:
    """Carry out the next due dispatch of a target. False when nothing was due."""
    with store.begin() as tx:
        now = tx.now()
        dispatch = tx.claim_dispatch(target, UNSENT, now=now, lease=LEASE)
    if dispatch is None:
        return False
    if dispatch.state is DispatchState.PENDING:
        _attempt(store, dispatcher, playbook, watch, dispatch)
    else:
        look_up(store, dispatcher, playbook, watch, dispatch, now=now)
    return True


def _attempt(
    store: Store, dispatcher: Dispatcher, playbook: Playbook, watch: Watch, claimed: Dispatch
) -> None:
    with store.begin() as tx:
        dispatch = _prepare(tx, playbook, claimed)
    if dispatch is None:
        return
    if dispatch.attempt == 1 and dispatch.sent_at is not None:
        waited = (dispatch.sent_at - dispatch.created_at).total_seconds()
        time_to_dispatch.observe(max(waited, 0))
    try:
        run = dispatcher.start(dispatch)
    except DispatchError as error:
        changed = _record_failure(store, playbook, dispatch, error)
    else:
        changed = _record_start(store, playbook, dispatch, run)
    if changed.state is DispatchState.UNKNOWN:
        watch.waited(changed, changed.doubt_since or changed.created_at)
    elif changed.state is DispatchState.RUNNING:
        watch.followed(changed, changed.sent_at or changed.created_at)


def _prepare(tx: Tx, playbook: Playbook, claimed: Dispatch) -> Dispatch | None:
    """Ask once more whether to send; write down that we do. None if not now."""
    ledger = Ledger(tx, playbook, models=[claimed.model])
    if not claimed.ordered:
        gone = _why_gone(ledger, claimed)
        if gone:
            _supersede(ledger, claimed, gone)
            return None
        due_at = _waits_until(ledger, claimed)
        if due_at is not None:
            tx.save_dispatch(replace(claimed, due_at=due_at), at=ledger.now, moved=False)
            return None
    dispatch = replace(
        claimed,
        state=DispatchState.SENDING,
        attempt=claimed.attempt + 1,
        in_doubt=(*claimed.in_doubt, claimed.attempt + 1),
        sent_at=ledger.now,
        doubt_since=None,
        looks=0,
        detail=f"attempt {claimed.attempt + 1} is being made",
    )
    if not save_moved(ledger, dispatch):
        return None
    tx.begin_attempt(dispatch, ledger.now)
    ledger.update(cooldowns.take(ledger.models[dispatch.model], dispatch.cooldown, ledger.now))
    ledger.save()
    return dispatch


def _waits_until(ledger: Ledger, dispatch: Dispatch) -> datetime | None:
    """When to look again, if a pause holds it or its hours are over: the target was away."""
    again = ledger.now + PAUSE_LOOK
    pause = ledger.pause_of(dispatch.model, dispatch.policy)
    if pause is not None:
        return min(pause.until or again, again)
    policy = ledger.playbook.policy(dispatch.policy)
    window = None if policy is None else policy.window
    if window is None or window.is_open(ledger.now):
        return None
    return min(window.opens_at(ledger.now), again)


def _why_gone(ledger: Ledger, dispatch: Dispatch) -> str | None:
    """Why the run is not wanted any more, if so."""
    policy = ledger.playbook.policy(dispatch.policy)
    if policy is None:
        return f"policy {dispatch.policy} is gone from the configuration"
    if not ledger.playbook.acts(dispatch.policy):
        return f"policy {dispatch.policy} only observes now"
    if dispatch.target not in ledger.playbook.targets:
        return f"target {dispatch.target} is gone from the configuration"
    if not any(alert.counts(ledger.now) for alert in ledger.alerts_of(dispatch.model)):
        return "no alert of the model fires any more"
    return None


def _supersede(ledger: Ledger, claimed: Dispatch, why: str) -> None:
    dispatch = replace(
        claimed, state=DispatchState.SUPERSEDED, ended_at=ledger.now, detail=f"not sent: {why}"
    )
    if save_moved(ledger, dispatch):
        model = ledger.models[dispatch.model]
        ledger.update(cooldowns.give_back(model, dispatch.cooldown_before))
        ledger.save()


def _record_start(store: Store, playbook: Playbook, dispatch: Dispatch, run: Run) -> Dispatch:
    with store.begin() as tx:
        ledger = Ledger(tx, playbook, models=[dispatch.model])
        if run.id is None:
            changed = doubted(ledger, dispatch, "the target said yes without naming the run")
            changed = replace(changed, accepted=True)
        else:
            changed = running(ledger, dispatch, run, f"run {run.id} was started")
        if not save_moved(ledger, changed):
            log().warning("late_worker", dispatch_id=dispatch.id, run_id=run.id)
            return changed
        tx.end_attempt(
            dispatch, at=ledger.now, failure=None, status_code=None, detail=changed.detail
        )
        if run.shows_id:
            tx.remember_id_shown(place_of(dispatch), ledger.now)
        model = ledger.models[dispatch.model]
        ledger.update(replace(model, backoff_until=None, refusals=0))
        ledger.save()
    attempts.labels(dispatch.target, ACCEPTED).inc()
    return changed


def _record_failure(
    store: Store, playbook: Playbook, dispatch: Dispatch, error: DispatchError
) -> Dispatch:
    with store.begin() as tx:
        ledger = Ledger(tx, playbook, models=[dispatch.model])
        not_started = tuple(n for n in dispatch.in_doubt if n != dispatch.attempt)
        if error.failure is Failure.UNKNOWN:
            changed = doubted(ledger, dispatch, str(error))
        elif error.failure is Failure.UNAVAILABLE:
            changed = replace(
                dispatch,
                state=DispatchState.PENDING,
                in_doubt=not_started,
                due_at=next_attempt(dispatch.attempt, error.retry_after, ledger.now),
                detail=str(error),
            )
        else:
            changed = replace(
                dispatch,
                state=DispatchState.REFUSED,
                in_doubt=not_started,
                ended_at=ledger.now,
                detail=str(error),
            )
        if not save_moved(ledger, changed):
            return changed
        tx.end_attempt(
            dispatch,
            at=ledger.now,
            failure=error.failure,
            status_code=error.status_code,
            detail=str(error),
        )
        if changed.state is DispatchState.REFUSED:
            model = ledger.models[dispatch.model]
            ledger.update(
                cooldowns.back_off(model, dispatch.cooldown_before, dispatch.cooldown, ledger.now)
            )
        ledger.save()
    attempts.labels(dispatch.target, error.failure.value).inc()
    return changed
