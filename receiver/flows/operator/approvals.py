"""Approves or rejects what a rung asks about a model."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Decision, Reason
from receiver.core.policies import APPROVAL_EXPIRY, Policy
from receiver.core.policy_set import PolicySet
from receiver.flows.operator.acts import Act, Conflict, NotFound, acted, once
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.store import Store, Tx


def approve(store: Store, policy_set: PolicySet, act: Act, name: str) -> int:
    """Let the model have one run, which the timer orders at once if nothing else holds it."""
    return _answer(store, policy_set, act, name, approved=True)


def reject(store: Store, policy_set: PolicySet, act: Act, name: str) -> int:
    """Let the model have no run in this episode, unless an operator says otherwise."""
    return _answer(store, policy_set, act, name, approved=False)


def _answer(store: Store, policy_set: PolicySet, act: Act, name: str, *, approved: bool) -> int:
    def do(tx: Tx) -> Decision:
        if not tx.knows_model(name):
            raise NotFound(f"no alert named the model {name} yet; see GET /models")
        unit = UnitOfWork(tx, policy_set, models=[name])
        asked = _asked(unit, name)
        expiry = _expiry(policy_set.policy(unit.models[name].policy))
        answered = replace(
            asked,
            approved=approved,
            answered_at=unit.now,
            actor=act.actor,
            comment=act.comment,
            expires_at=unit.now + expiry if approved else None,
        )
        tx.save_approval(answered)
        unit.free(name)
        said = f"{answered.answer} by {act.actor}: {act.comment}"
        detail = f"what {asked.rung} asked about the model {name} is {said}"
        decision = replace(
            acted(unit, act, Reason.OPERATOR, detail),
            model=name,
            policy=unit.models[name].policy,
            labels=unit.models[name].labels,
        )
        unit.decisions.append(decision)
        unit.save()
        return decision

    return once(store, act, do)


def _asked(unit: UnitOfWork, name: str) -> Approval:
    """The question that is open, or was answered and not used yet. Raises `Conflict`."""
    model = unit.models[name]
    known = unit.tx.approval(name)
    asked = in_force(known, model.episode_started_at, model.latest, unit.now)
    if asked is None or not unit.alerts_of(name):
        raise Conflict(f"nothing is asked about the model {name} now; retrain orders a run anyway")
    return asked


def _expiry(policy: Policy | None) -> timedelta:
    return APPROVAL_EXPIRY if policy is None else policy.approval_expiry
