"""An operator approves or rejects what a rung asks about a model."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Decision, Reason
from receiver.core.playbook import Playbook
from receiver.core.policies import APPROVAL_EXPIRY, Policy
from receiver.flows.acts import Act, Conflict, NotFound, acted, once
from receiver.flows.ledger import Ledger
from receiver.store.store import Store, Tx


def approve(store: Store, playbook: Playbook, act: Act, name: str) -> int:
    """Let the model have one run, which the timer orders at once if nothing else holds it."""
    return _answer(store, playbook, act, name, approved=True)


def reject(store: Store, playbook: Playbook, act: Act, name: str) -> int:
    """Let the model have no run in this episode, unless an operator says otherwise."""
    return _answer(store, playbook, act, name, approved=False)


def _answer(store: Store, playbook: Playbook, act: Act, name: str, *, approved: bool) -> int:
    def do(tx: Tx) -> Decision:
        if not tx.knows_model(name):
            raise NotFound(f"no alert named the model {name} yet; see GET /models")
        ledger = Ledger(tx, playbook, models=[name])
        asked = _asked(ledger, name)
        expiry = _expiry(playbook.policy(ledger.models[name].policy))
        answered = replace(
            asked,
            approved=approved,
            answered_at=ledger.now,
            actor=act.actor,
            comment=act.comment,
            expires_at=ledger.now + expiry if approved else None,
        )
        tx.save_approval(answered)
        ledger.free(name)
        said = f"{answered.answer} by {act.actor}: {act.comment}"
        detail = f"what {asked.rung} asked about the model {name} is {said}"
        decision = replace(
            acted(ledger, act, Reason.OPERATOR, detail),
            model=name,
            policy=ledger.models[name].policy,
            labels=ledger.models[name].labels,
        )
        ledger.decisions.append(decision)
        ledger.save()
        return decision

    return once(store, act, do)


def _asked(ledger: Ledger, name: str) -> Approval:
    """The question that is open, or was answered and not used yet. Raises `Conflict`."""
    model = ledger.models[name]
    known = ledger.tx.approval(name)
    asked = in_force(known, model.episode_started_at, model.latest, ledger.now)
    if asked is None or not ledger.alerts_of(name):
        raise Conflict(f"nothing is asked about the model {name} now; retrain orders a run anyway")
    return asked


def _expiry(policy: Policy | None) -> timedelta:
    return APPROVAL_EXPIRY if policy is None else policy.approval_expiry
