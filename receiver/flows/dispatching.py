"""A due dispatch becomes a run: found or started, never started twice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.dispatches import (
    MAX_ATTEMPTS,
    Dispatch,
    DispatchError,
    DispatchState,
    Failure,
    next_attempt,
    next_look,
)
from receiver.core.playbook import Playbook
from receiver.core.ports import Clock, Dispatcher
from receiver.core.runs import SOONEST_POLL, Run
from receiver.flows.ledger import Ledger, latest
from receiver.store.store import Store, Tx
from receiver.telemetry import attempts, log, time_to_dispatch, transitions

LEASE = timedelta(minutes=2)
"""Longer than any call of a dispatcher, which promises to end within a minute."""

PAUSE_LOOK = timedelta(seconds=10)
"""How soon a pending dispatch notices that its pause was lifted."""

UNSENT = (DispatchState.PENDING, DispatchState.SENDING, DispatchState.UNKNOWN)


@dataclass(slots=True)
class Watch:
    """How long this process has watched each doubt, by a clock that never jumps.

    The wall clock may jump over a whole look-up window, and absence would prove nothing.
    """

    clock: Clock
    _since: dict[tuple[str, datetime], timedelta] = field(default_factory=dict)

    def waited(self, dispatch: Dispatch, now: datetime) -> timedelta:
        """Time since the doubt began, by whichever clock says less."""
        if dispatch.doubt_since is None:
            return timedelta(0)
        key = (dispatch.id, dispatch.doubt_since)
        first = self._since.setdefault(key, self.clock.elapsed())
        return min(now - dispatch.doubt_since, self.clock.elapsed() - first)

    def forget(self, dispatch: Dispatch) -> None:
        """The doubt is over."""
        self._since = {key: since for key, since in self._since.items() if key[0] != dispatch.id}


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
        _look_up(store, dispatcher, watch, dispatch, now)
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
        changed = _record_failure(store, dispatch, error)
    else:
        changed = _record_start(store, dispatch, run)
    if changed.state is DispatchState.UNKNOWN:
        watch.waited(changed, changed.doubt_since or changed.created_at)


def _prepare(tx: Tx, playbook: Playbook, claimed: Dispatch) -> Dispatch | None:
    """Ask once more whether to send; write down that we do. None if not now."""
    ledger = Ledger(tx, playbook, models=[claimed.model])
    if not claimed.ordered:
        gone = _why_gone(ledger, claimed)
        if gone:
            _supersede(ledger, claimed, gone)
            return None
        pause = ledger.pause_of(claimed.model, claimed.policy)
        if pause is not None:
            again = ledger.now + PAUSE_LOOK
            due_at = min(pause.until, again) if pause.until else again
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


def _record_start(store: Store, dispatch: Dispatch, run: Run) -> Dispatch:
    with store.begin() as tx:
        ledger = Ledger(tx, Playbook(), models=[dispatch.model])
        if run.id is None:
            changed = _doubted(ledger, dispatch, "the target said yes without naming the run")
            changed = replace(changed, accepted=True)
        else:
            changed = _running(ledger, dispatch, run, f"run {run.id} was started")
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
    attempts.labels(dispatch.target, "accepted").inc()
    return changed


def _record_failure(store: Store, dispatch: Dispatch, error: DispatchError) -> Dispatch:
    with store.begin() as tx:
        ledger = Ledger(tx, Playbook(), models=[dispatch.model])
        not_started = tuple(n for n in dispatch.in_doubt if n != dispatch.attempt)
        if error.failure is Failure.UNKNOWN:
            changed = _doubted(ledger, dispatch, str(error))
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


def _look_up(
    store: Store, dispatcher: Dispatcher, watch: Watch, claimed: Dispatch, now: datetime
) -> None:
    """Look for the run of a dispatch in doubt. An early look can only find."""
    doubted = claimed
    if claimed.state is DispatchState.SENDING:  # its worker died: the lease has just ended
        with store.begin() as tx:
            ledger = Ledger(tx, Playbook(), models=[claimed.model])
            why = "the worker that sent it died before it could say so"
            doubted = replace(_doubted(ledger, claimed, why), due_at=claimed.due_at)
            if not save_moved(ledger, doubted):
                return
            ledger.save()
            now = ledger.now
    # Asked before the look: only a look that began after the window proves absence.
    left = dispatcher.lookup_window - watch.waited(doubted, now)
    run, trouble = _find(dispatcher, doubted)
    with store.begin() as tx:
        ledger = Ledger(tx, Playbook(), models=[doubted.model])
        if run is not None:
            changed = _running(ledger, doubted, run, f"run {run.id} was found by its dispatch id")
        elif doubted.overruled and trouble is None:
            changed = _again(ledger, doubted, "an operator wants it")
        elif left > timedelta(0):
            due_at = next_look(doubted.looks, ledger.now, left)
            changed = replace(doubted, looks=doubted.looks + 1, due_at=due_at)
        else:
            changed = _after_window(ledger, dispatcher, doubted, trouble)
        moved = changed.state is not DispatchState.UNKNOWN
        if save_moved(ledger, changed, moved=moved):
            if run is not None and run.shows_id:
                tx.remember_id_shown(place_of(doubted), ledger.now)
            ledger.save()
    if moved:
        watch.forget(changed)


def _find(dispatcher: Dispatcher, dispatch: Dispatch) -> tuple[Run | None, str | None]:
    try:
        return dispatcher.find(dispatch), None
    except DispatchError as error:
        return None, str(error)


def _after_window(
    ledger: Ledger, dispatcher: Dispatcher, dispatch: Dispatch, trouble: str | None
) -> Dispatch:
    """The window is over and no run was found: proven absent, or a human must look."""
    provable = dispatcher.always_shows_id or ledger.tx.shows_ids(place_of(dispatch))
    if trouble is not None:
        why = f"the run may exist, and it can't be looked up: {trouble}"
    elif dispatch.accepted:
        why = "the target said yes, but no run carries the dispatch id"
    elif not provable:
        why = (
            "no run carries the dispatch id, but no run ever showed one here, so it may still "
            "exist; let the workflow show inputs.dispatch_id in its run-name"
        )
    elif dispatch.absences + 1 >= MAX_ATTEMPTS:
        why = f"{MAX_ATTEMPTS} attempts got no clear answer and left no run"
    else:
        return _again(ledger, dispatch, "it is made again")
    return replace(dispatch, state=DispatchState.PARKED, ended_at=ledger.now, detail=why)


def _again(ledger: Ledger, dispatch: Dispatch, why: str) -> Dispatch:
    return replace(
        dispatch,
        state=DispatchState.PENDING,
        absences=dispatch.absences + 1,
        overruled=False,
        due_at=ledger.now,
        detail=f"attempt {dispatch.attempt} left no run: {why}",
    )


def _doubted(ledger: Ledger, dispatch: Dispatch, why: str) -> Dispatch:
    return replace(
        dispatch,
        state=DispatchState.UNKNOWN,
        doubt_since=ledger.now,
        looks=1,
        due_at=next_look(0, ledger.now, LEASE),
        detail=f"it may have started: {why}",
    )


def _running(ledger: Ledger, dispatch: Dispatch, run: Run, why: str) -> Dispatch:
    return replace(
        dispatch,
        state=DispatchState.RUNNING,
        run_id=run.id,
        run_url=run.url,
        due_at=ledger.now + SOONEST_POLL,
        detail=why,
    )


def save_moved(
    ledger: Ledger, dispatch: Dispatch, *, moved: bool = True, actor: str | None = None
) -> bool:
    """Write a dispatch's new state and carry it forward to its model.

    False, and nothing is written, if another claim has taken the dispatch meanwhile.
    """
    if not ledger.tx.save_dispatch(dispatch, at=ledger.now, actor=actor, moved=moved):
        return False
    model = ledger.models[dispatch.model]
    if model.latest is not None and model.latest.id == dispatch.id:
        ledger.update(replace(model, latest=latest(dispatch)))
    if moved:
        transitions.labels(dispatch.target, dispatch.state.value).inc()
        log().info(
            "dispatch_changed",
            dispatch_id=dispatch.id,
            model=dispatch.model,
            target=dispatch.target,
            state=dispatch.state.value,
            attempt=dispatch.attempt,
            run_id=dispatch.run_id,
            detail=dispatch.detail,
        )
    return True


def place_of(dispatch: Dispatch) -> str:
    """A name for where a dispatch goes, credentials aside."""
    place: Mapping[str, str] = dispatch.place
    return json.dumps({"kind": dispatch.kind.value, **place}, sort_keys=True)
