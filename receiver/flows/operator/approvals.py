"""Approves or rejects what a rung asks about a model."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Decision, Reason
from receiver.core.models import unknown_model
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


MOST = 1000
"""Questions that one act answers: all their models are locked meanwhile."""


def reject_many(store: Store, policy_set: PolicySet, act: Act, policy: str) -> int:
    """Let no model of a policy that asks have a run in this episode. The decision's id.

    Each model's own log says so, and one entry how many they were.
    """

    def do(tx: Tx) -> Decision:
        if policy_set.policy(policy) is None:
            raise NotFound(f"there is no policy {policy}")
        names = tx.asking_models(policy, MOST)
        unit = UnitOfWork(tx, policy_set, models=names)
        rejected = [name for name in names if _reject(unit, act, name)]
        if not rejected:
            raise Conflict(f"no model of policy {policy} asks anything now")
        more = "; there may be more: do it again" if len(names) == MOST else ""
        many = "1 model" if len(rejected) == 1 else f"{len(rejected)} models"
        detail = f"what {many} of policy {policy} asked is rejected by {act.actor}: {act.comment}"
        note = acted(unit, act, Reason.OPERATOR, detail + more)
        decision = replace(note, policy=policy)
        unit.decisions.append(decision)
        unit.save()
        return decision

    return once(store, act, do)


def _reject(unit: UnitOfWork, act: Act, name: str) -> bool:
    """Reject what is asked about a model. False if nothing is, any more."""
    try:
        asked = _asked(unit, name)
    except Conflict:
        return False
    unit.decisions.append(_say(unit, act, asked, approved=False))
    return True


def _answer(store: Store, policy_set: PolicySet, act: Act, name: str, *, approved: bool) -> int:
    def do(tx: Tx) -> Decision:
        if not tx.knows_model(name):
            raise NotFound(f"{unknown_model(name)}; see GET /models")
        unit = UnitOfWork(tx, policy_set, models=[name])
        return answer_in(unit, act, name, approved=approved)

    return once(store, act, do)


def answer_in(unit: UnitOfWork, act: Act, name: str, *, approved: bool) -> Decision:
    """Answer what is asked about a locked model, and write it. Raises `Conflict`."""
    decision = _say(unit, act, _asked(unit, name), approved=approved)
    unit.decisions.append(decision)
    unit.save()
    return decision


def _say(unit: UnitOfWork, act: Act, asked: Approval, *, approved: bool) -> Decision:
    """Write an answer down; what the model waits for is decided anew."""
    name = asked.model
    expiry = _expiry(unit.policy_set.policy(unit.models[name].policy))
    answered = replace(
        asked,
        approved=approved,
        answered_at=unit.now,
        actor=act.actor,
        comment=act.comment,
        expires_at=unit.now + expiry if approved else None,
    )
    unit.tx.save_approval(answered)
    unit.free(name)
    said = f"{answered.answer} by {act.actor}: {act.comment}"
    detail = f"what {asked.rung} asked about the model {name} is {said}"
    return replace(
        acted(unit, act, Reason.OPERATOR, detail),
        model=name,
        policy=unit.models[name].policy,
        labels=unit.models[name].labels,
    )


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
