"""Reconciles a dispatch in doubt with its target: found, proven absent, or for a human."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from receiver.core.dispatches import (
    MAX_ATTEMPTS,
    Dispatch,
    DispatchError,
    DispatchState,
    Mover,
    least_window,
    next_look,
    why_never_shown,
)
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock, Dispatcher
from receiver.core.runs import Look, NotSeen, Repeatable, Run
from receiver.flows.transitions import LEASE, doubted, park_moved, place_of, running, save_moved
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.store import Store, Tx

KEPT = timedelta(days=30)
"""Entries older than this are dropped from memory; no doubt and no run lasts as long."""


@dataclass(slots=True)
class DoubtTimer:
    """Measures by the monotonic clock how long this process has watched each doubt and run.

    The wall clock may jump over a whole look-up window, and absence would prove nothing; or over
    a run's time-out, and its model would no longer be held although the run goes on.
    """

    clock: Clock
    _since: dict[tuple[str, datetime], timedelta] = field(default_factory=dict)

    def waited(self, dispatch: Dispatch, now: datetime) -> timedelta:
        """Time since the doubt began, by whichever clock says less."""
        return self._least(dispatch.id, dispatch.doubt_since or now, now)

    def followed(self, dispatch: Dispatch, now: datetime) -> timedelta:
        """Time since the run was sent for, by whichever clock says less."""
        return self._least(dispatch.id, dispatch.sent_at or dispatch.created_at, now)

    def missed(self, dispatch: Dispatch, now: datetime) -> timedelta:
        """Time since its target first did not know the run.

        A process that saw that first answer trusts its monotonic clock; after a restart the wall
        clock's word stands, so that the time does not begin anew with each one.
        """
        since = dispatch.missing_since or now
        seen = since == now or (dispatch.id, since) in self._since
        return self._least(dispatch.id, since, now) if seen else now - since

    def forget(self, dispatch: Dispatch) -> None:
        """Drop a doubt or run that is over, and what other replicas ended long ago."""
        oldest = self.clock.elapsed() - KEPT
        for key, since in list(self._since.items()):  # other loops use it at the same time
            if key[0] == dispatch.id or since < oldest:
                self._since.pop(key, None)

    def _least(self, dispatch_id: str, began: datetime, now: datetime) -> timedelta:
        elapsed = self.clock.elapsed()
        first = self._since.setdefault((dispatch_id, began), elapsed)
        return min(now - began, elapsed - first)


def look_up(
    store: Store,
    dispatcher: Dispatcher,
    policy_set: PolicySet,
    watch: DoubtTimer,
    claimed: Dispatch,
    *,
    now: datetime,
) -> None:
    """Look for the run of a dispatch in doubt. Before the window ends a look can only find."""
    dispatch = claimed
    if claimed.state is DispatchState.SENDING:  # its worker died: the lease has just ended
        with store.begin() as tx:
            unit = UnitOfWork(tx, policy_set, models=[claimed.model])
            why = "the worker that sent it died before it could say so"
            dispatch = replace(doubted(unit, claimed, why), due_at=claimed.due_at)
            if not save_moved(unit, claimed, dispatch, Mover.RECONCILER):
                return
            unit.save()
            now = unit.now
    if policy_set.moved(dispatch):
        park_moved(store, policy_set, dispatch, Mover.RECONCILER)
        return
    # Asked before the look: only a look that began after the window proves absence.
    waited = watch.waited(dispatch, now)
    look = _look(store, dispatcher, dispatch)
    run = look if isinstance(look, Run) else None
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        left = _window(tx, dispatcher, dispatch) - waited
        if run is not None:
            changed = running(unit, dispatch, run, f"run {run.id} was found by its dispatch id")
        elif dispatch.overruled and not isinstance(look, DispatchError):
            changed = _again(unit, dispatch, "an operator wants it")
        elif left > timedelta(0):
            due_at = next_look(dispatch.looks, unit.now, left)
            changed = replace(dispatch, looks=dispatch.looks + 1, due_at=due_at)
        else:
            changed = _after_window(unit, dispatcher, dispatch, look)
        moved = changed.state is not DispatchState.UNKNOWN
        if save_moved(unit, dispatch, changed, Mover.RECONCILER):
            if run is not None and run.shows_id:
                tx.remember_id_shown(place_of(dispatch), unit.now)
            unit.save()
    if moved:
        watch.forget(changed)


def _window(tx: Tx, dispatcher: Dispatcher, dispatch: Dispatch) -> timedelta:
    """The look-up window: how long absence proves nothing.

    A doubt that began after the lease was taken over from whoever sent it: by a clock that jumped
    perhaps, and then the call goes on for a while.
    """
    began, sent = dispatch.doubt_since, dispatch.sent_at
    taken_over = began is not None and sent is not None and began - sent >= LEASE
    least = least_window(dispatch.kind, tx.answered_status(dispatch))
    return max(dispatcher.lookup_window, least) + (LEASE if taken_over else timedelta(0))


def _look(store: Store, dispatcher: Dispatcher, dispatch: Dispatch) -> Look | DispatchError:
    with store.view() as view:
        known = view.dispatches.control_for(dispatch)
    try:
        return dispatcher.find(dispatch, known)
    except DispatchError as error:
        return error


def _after_window(
    unit: UnitOfWork, dispatcher: Dispatcher, dispatch: Dispatch, look: Look | DispatchError
) -> Dispatch:
    """The window is over and no run was found: proven absent, or a human must look."""
    provable = dispatcher.always_shows_id or unit.tx.shows_ids(place_of(dispatch))
    if isinstance(look, DispatchError):
        why = f"the run may exist, and it can't be looked up: {look}"
    elif isinstance(look, Repeatable) and len(dispatch.in_doubt) < MAX_ATTEMPTS:
        return _repeated(unit, dispatch)
    elif isinstance(look, Repeatable):
        why = f"{len(dispatch.in_doubt)} attempts got no clear answer, and a run may exist"
    elif dispatch.accepted:
        why = "the target said yes, but no run carries the dispatch id"
    elif not provable:
        why = (
            "no run carries the dispatch id, but no run ever showed one here, so it may still "
            f"exist; {why_never_shown(dispatch.kind)}"
        )
    elif isinstance(look, NotSeen):
        why = f"no run with the dispatch id was seen, but it may exist: {look.why}"
    elif dispatch.absences + 1 >= MAX_ATTEMPTS:
        why = f"{MAX_ATTEMPTS} attempts got no clear answer and left no run"
    else:
        return _again(unit, dispatch, "it is made again")
    return replace(dispatch, state=DispatchState.PARKED, ended_at=unit.now, detail=why)


def _repeated(unit: UnitOfWork, dispatch: Dispatch) -> Dispatch:
    """The dispatch that is asked for again although its run may exist: the doubt stays open."""
    why = "it is made again, for the target promises to start no second run"
    return replace(
        dispatch,
        state=DispatchState.PENDING,
        overruled=False,
        due_at=unit.now,
        detail=f"attempt {dispatch.attempt} got no clear answer: {why}",
    )


def _again(unit: UnitOfWork, dispatch: Dispatch, why: str) -> Dispatch:
    return replace(
        dispatch,
        state=DispatchState.PENDING,
        absences=dispatch.absences + 1,
        overruled=False,
        due_at=unit.now,
        detail=f"attempt {dispatch.attempt} left no run: {why}",
    )
