"""An operator retries or abandons a dispatch that went wrong."""

from dataclasses import replace

from receiver.core import cooldowns
from receiver.core.decisions import Decision, Reason
from receiver.core.dispatches import ATTENTION, LIVE, Dispatch, DispatchState
from receiver.core.playbook import Playbook
from receiver.flows.acts import Act, Conflict, NotFound, acted, once
from receiver.flows.ledger import Ledger, latest
from receiver.flows.moving import save_moved
from receiver.store.store import Store, Tx


def retry(store: Store, playbook: Playbook, act: Act, dispatch_id: str) -> int:
    """Look once more for the run of a parked or refused dispatch, else send it again."""

    def do(tx: Tx) -> Decision:
        ledger, dispatch = _dispatch(tx, playbook, dispatch_id)
        model = ledger.models[dispatch.model]
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
            doubt_since=ledger.now,
            due_at=ledger.now,
            ended_at=None,
            # A refusal gives back what the retry takes, not what was taken since it was ordered.
            cooldown_before=model.cooldown_until,
            detail=f"retried by {act.actor}: looked up first",
        )
        ledger.update(replace(model, latest=latest(changed), backoff_until=None, refusals=0))
        return _note_dispatch(ledger, act, changed, "retried")

    return once(store, act, do)


def abandon(store: Store, playbook: Playbook, act: Act, dispatch_id: str) -> int:
    """Give a dispatch up on our side; a run that goes on at the target is not stopped."""

    def do(tx: Tx) -> Decision:
        ledger, dispatch = _dispatch(tx, playbook, dispatch_id)
        if dispatch.state not in LIVE | ATTENTION:
            raise Conflict(f"the dispatch has ended: it is {dispatch.state}")
        sent = dispatch.state in LIVE and bool(dispatch.in_doubt)
        goes_on = "; a run at the target is not stopped by this" if sent else ""
        changed = replace(
            tx.take_over(dispatch),
            state=DispatchState.ABANDONED,
            ended_at=ledger.now,
            detail=f"abandoned by {act.actor}: {act.comment}{goes_on}",
        )
        if sent:
            model = ledger.models[dispatch.model]
            ledger.update(cooldowns.settle(model, dispatch.settle, ledger.now))
        return _note_dispatch(ledger, act, changed, "abandoned")

    return once(store, act, do)


def _dispatch(tx: Tx, playbook: Playbook, dispatch_id: str) -> tuple[Ledger, Dispatch]:
    found = tx.dispatch(dispatch_id)
    if found is None:
        raise NotFound(f"there is no dispatch {dispatch_id}")
    ledger = Ledger(tx, playbook, models=[found.model])
    return ledger, tx.dispatch(dispatch_id) or found  # read again, behind the lock


def _note_dispatch(ledger: Ledger, act: Act, changed: Dispatch, what: str) -> Decision:
    save_moved(ledger, changed, actor=act.actor)
    detail = f"dispatch {changed.id} {what} by {act.actor}: {act.comment}"
    decision = replace(
        acted(ledger, act, Reason.OPERATOR, detail),
        model=changed.model,
        policy=changed.policy,
        dispatch_id=changed.id,
    )
    ledger.decisions.append(decision)
    ledger.save()
    return decision
