"""Retries or abandons a dispatch at an operator's word."""

from dataclasses import replace

from receiver.core import cooldowns
from receiver.core.decisions import Decision, Reason
from receiver.core.dispatches import ATTENTION, LIVE, Dispatch, DispatchState, Mover
from receiver.core.policy_set import PolicySet
from receiver.flows.operator.acts import Act, Conflict, NotFound, acted, once
from receiver.flows.transitions import save_moved
from receiver.flows.unit_of_work import UnitOfWork, latest
from receiver.store.store import Store, Tx


def retry(store: Store, policy_set: PolicySet, act: Act, dispatch_id: str) -> int:
    """Look once more for the run of a parked or refused dispatch, else send it again."""

    def do(tx: Tx) -> Decision:
        unit, dispatch = _dispatch(tx, policy_set, dispatch_id)
        model = unit.models[dispatch.model]
        if dispatch.state not in ATTENTION:
            raise Conflict(
                f"only a parked or refused dispatch can be retried; this one is {dispatch.state}"
            )
        if model.in_flight and model.latest is not None:
            raise Conflict(f"dispatch {model.latest.id} of {model.name} is in flight")
        changed = replace(
            tx.take_over(dispatch),
            state=DispatchState.UNKNOWN,
            ordered=True,
            overruled=True,
            accepted=False,
            absences=0,
            looks=0,
            doubt_since=unit.now,
            due_at=unit.now,
            ended_at=None,
            # A refusal gives back what the retry takes, not what was taken since it was ordered.
            cooldown_before=model.cooldown_until,
            detail=f"retried by {act.actor}: looked up first",
        )
        unit.update(replace(model, latest=latest(changed), backoff_until=None, refusals=0))
        return _note_dispatch(unit, act, dispatch, changed, "retried")

    return once(store, act, do)


def abandon(store: Store, policy_set: PolicySet, act: Act, dispatch_id: str) -> int:
    """Give a dispatch up on our side; a run that goes on at the target is not stopped."""

    def do(tx: Tx) -> Decision:
        unit, dispatch = _dispatch(tx, policy_set, dispatch_id)
        if dispatch.state not in LIVE | ATTENTION:
            raise Conflict(f"the dispatch has ended: it is {dispatch.state}")
        sent = dispatch.state in LIVE and bool(dispatch.in_doubt)
        goes_on = "; a run at the target is not stopped by this" if sent else ""
        changed = replace(
            tx.take_over(dispatch),
            state=DispatchState.ABANDONED,
            ended_at=unit.now,
            detail=f"abandoned by {act.actor}: {act.comment}{goes_on}",
        )
        if sent:
            model = unit.models[dispatch.model]
            unit.update(cooldowns.settle(model, dispatch.settle, unit.now))
        return _note_dispatch(unit, act, dispatch, changed, "abandoned")

    return once(store, act, do)


def _dispatch(tx: Tx, policy_set: PolicySet, dispatch_id: str) -> tuple[UnitOfWork, Dispatch]:
    found = tx.dispatch(dispatch_id)
    if found is None:
        raise NotFound(f"there is no dispatch {dispatch_id}")
    unit = UnitOfWork(tx, policy_set, models=[found.model])
    return unit, tx.dispatch(dispatch_id) or found  # read again, behind the lock


def _note_dispatch(
    unit: UnitOfWork, act: Act, before: Dispatch, changed: Dispatch, what: str
) -> Decision:
    save_moved(unit, before, changed, Mover.OPERATOR, actor=act.actor)
    detail = f"dispatch {changed.id} {what} by {act.actor}: {act.comment}"
    decision = replace(
        acted(unit, act, Reason.OPERATOR, detail),
        model=changed.model,
        policy=changed.policy,
        dispatch_id=changed.id,
    )
    unit.decisions.append(decision)
    unit.save()
    return decision
