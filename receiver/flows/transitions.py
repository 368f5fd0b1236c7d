"""Moves a dispatch to another state: checked, stored, carried to its model, logged, counted."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from receiver.core import cooldowns
from receiver.core.decisions import Reason
from receiver.core.dispatches import MOVES, Dispatch, DispatchState, Mover, next_look
from receiver.core.messages import dispatch_moved
from receiver.core.policy_set import PolicySet
from receiver.core.runs import SOONEST_POLL, Run
from receiver.flows.unit_of_work import UnitOfWork, latest
from receiver.store.store import Store
from receiver.telemetry import log, transitions

LEASE = timedelta(minutes=3)
"""Longer than any call of a dispatcher, which promises to end within two and a half minutes."""


LONGEST_PLACE = 2000
"""PostgreSQL indexes no text of more than 2,704 bytes; an HTTP API's description may be longer."""


def running(unit: UnitOfWork, dispatch: Dispatch, run: Run, why: str) -> Dispatch:
    """The dispatch whose run is known: it is polled from now on."""
    return replace(
        dispatch,
        state=DispatchState.RUNNING,
        run_id=run.id,
        run_url=run.url,
        missing_since=None,
        failing_since=None,
        due_at=unit.now + SOONEST_POLL,
        detail=why,
    )


def doubted(unit: UnitOfWork, dispatch: Dispatch, why: str) -> Dispatch:
    """The dispatch whose run may exist: it is looked up from now on."""
    return replace(
        dispatch,
        state=DispatchState.UNKNOWN,
        doubt_since=unit.now,
        failing_since=None,
        looks=1,
        due_at=next_look(0, unit.now, LEASE),
        detail=f"it may have started: {why}",
    )


def park_moved(store: Store, policy_set: PolicySet, dispatch: Dispatch, by: Mover) -> None:
    """Hand a dispatch whose target has moved to a human: no credential of ours is for its place.

    Replicas that still have the old configuration are no judges of that: it is looked at later.
    """
    with store.begin() as tx:
        unit = UnitOfWork(tx, policy_set, models=[dispatch.model])
        if not tx.is_in_force(policy_set.config_hash):
            later = replace(dispatch, due_at=unit.now + SOONEST_POLL)
            tx.save_dispatch(later, at=unit.now, moved=False)
            return
        run = f"run {dispatch.run_id}" if dispatch.run_id else "its run, if there is one,"
        why = f"{policy_set.moved(dispatch)}: look at {run} there"
        parked = replace(dispatch, state=DispatchState.PARKED, ended_at=unit.now, detail=why)
        if save_moved(unit, dispatch, parked, by):
            model = unit.models[dispatch.model]
            unit.update(cooldowns.settle(model, dispatch.settle, unit.now))
            unit.save()


def save_moved(
    unit: UnitOfWork, before: Dispatch, dispatch: Dispatch, by: Mover, *, actor: str | None = None
) -> bool:
    """Write a dispatch, and carry its state forward to its model.

    False, and nothing is written, if another claim has taken the dispatch meanwhile. Raises
    `ValueError` for a move that `MOVES` does not let this mover make.
    """
    moved = dispatch.state is not before.state
    if moved and (before.state, dispatch.state) not in MOVES[by]:
        raise ValueError(f"the {by} makes no {before.state} dispatch {dispatch.state}")
    if not unit.tx.save_dispatch(dispatch, at=unit.now, actor=actor, moved=moved):
        return False
    model = unit.models[dispatch.model]
    if model.latest is not None and model.latest.id == dispatch.id:
        unit.update(replace(model, latest=latest(dispatch)))
    if moved and dispatch.ended_at is not None and dispatch.state is not DispatchState.PARKED:
        unit.tx.correct_cost(dispatch)
        unit.free(dispatch.model, Reason.BUDGET)  # it may have used less than it was to
    if moved:
        unit.announce(dispatch_moved(dispatch))
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
    """A name for where a dispatch goes, credentials aside; short enough to be a key."""
    place: Mapping[str, str] = dispatch.place
    text = json.dumps({"kind": dispatch.kind.value, **place}, sort_keys=True)
    if len(text) <= LONGEST_PLACE:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
