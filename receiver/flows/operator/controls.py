"""Pauses, resumes and retrains at an operator's word; each act leaves a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from receiver.core.cases import Case
from receiver.core.decisions import Decision, Reason, facts_of
from receiver.core.explaining import as_alert
from receiver.core.ladder import HOLDS, climb
from receiver.core.models import FiringAlert, Pause, PauseScope
from receiver.core.policies import Identity, NoIdentity, Policy, identify
from receiver.core.policy_set import PolicySet
from receiver.core.times import clock_time
from receiver.flows.operator.acts import Act, NotFound, acted, once
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store, Tx


@dataclass(frozen=True, slots=True)
class Named:
    """The policy and labels that an operator gives to name a model that was never seen."""

    policy: str | None = None
    labels: Mapping[str, str] | None = None


UNNAMED = Named()


def pause(
    store: Store,
    policy_set: PolicySet,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    length: timedelta | None,
    named: Named = UNNAMED,
) -> int:
    """Hold back a model, a policy or everything. The decision's id."""

    def do(tx: Tx) -> Decision:
        unit = _unit_of(tx, policy_set, scope, name, named)
        until = None if length is None else unit.now + length
        made = Pause(scope, name, unit.now, until, act.actor, act.comment)
        tx.save_pause(made)
        unit.pauses = [p for p in unit.pauses if (p.scope, p.name) != (scope, name)] + [made]
        end = f"until {clock_time(until, unit.now)}" if until else "until resumed"
        return _note_scope(unit, act, scope, name, f"paused {end}")

    return once(store, act, do)


def resume(
    store: Store,
    policy_set: PolicySet,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    named: Named = UNNAMED,
) -> int:
    """Lift a pause; what still fires is decided at once. The decision's id."""

    def do(tx: Tx) -> Decision:
        orphaned = policy_set.orphaned(tx.pauses(), tx.now())
        known = name in {pause.name for pause in orphaned}
        unit = _unit_of(tx, policy_set, scope, name, named, known=known)
        lifted = tx.end_pause(scope, name)
        unit.pauses = [p for p in unit.pauses if (p.scope, p.name) != (scope, name)]
        released = 0 if scope is PauseScope.MODEL else _release(unit, name)
        what = "resumed" if lifted else "was not paused"
        if released:
            models = "1 model is" if released == 1 else f"{released} models are"
            what = f"resumed, {models} released from a storm,"
        return _note_scope(unit, act, scope, name, what)

    return once(store, act, do)


def _release(unit: UnitOfWork, name: str) -> int:
    """Release a policy's models from its storm, or all; how many were held by one."""
    policies = {p.name for p in unit.policy_set.policies if p.storm and name in {"", p.name}}
    for policy in sorted(policies):
        unit.tx.release_storm(policy, unit.now)
    held = {
        entry.model
        for model in unit.models
        for entry in unit.alerts_of(model)
        if entry.held_by == Reason.STORM.value and entry.policy in policies
    }
    for model in held:
        unit.free(model)
    return len(held)


def retrain(
    store: Store, policy_set: PolicySet, act: Act, name: str, named: Named = UNNAMED
) -> int:
    """Order one run now, whatever holds the model back, unless one is in flight."""

    def do(tx: Tx) -> Decision:
        unit = _unit_of(tx, policy_set, PauseScope.MODEL, name, named)
        policy, identity = _identity(unit, name, named)
        model = unit.models[name]
        entry = next(iter(unit.alerts_of(name)), None)
        gates = tuple(climb(_case(unit, policy, name, entry), HOLDS[:-1]))
        if model.in_flight:
            held = gates[1]
            decision = acted(unit, act, Reason.IN_FLIGHT, held.detail, gates)
            decision = replace(decision, dispatch_id=model.latest.id if model.latest else None)
        else:
            detail = f"ordered by {act.actor}: {act.comment}"
            decision = acted(unit, act, Reason.TRIGGERED, detail, gates)
            unit.update(replace(model, backoff_until=None, refusals=0))
            dispatch = unit.order(
                policy,
                identity,
                decision_id=decision.id,
                value=entry.value if entry else None,
                alertname=entry.alertname if entry else "",
                ordered=True,
            )
            decision = replace(decision, dispatch_id=dispatch.id)
        decision = replace(decision, model=name, policy=policy.name, labels=identity.labels)
        unit.decisions.append(decision)
        unit.save()
        return decision

    return once(store, act, do)


def _unit_of(
    tx: Tx,
    policy_set: PolicySet,
    scope: PauseScope,
    name: str,
    named: Named,
    *,
    known: bool = False,
) -> UnitOfWork:
    """Lock what the act is about. Raises `NotFound`, except for a policy known otherwise."""
    if scope is PauseScope.MODEL:
        seen = tx.knows_model(name)
        policy, identity = (None, None) if seen else _name_model(policy_set, name, named)
        unit = UnitOfWork(tx, policy_set, models=[name])
        if policy is not None and identity is not None:
            model = unit.models[name]
            unit.update(replace(model, policy=policy.name, labels=identity.labels))
        return unit
    if scope is PauseScope.POLICY and policy_set.policy(name) is None and not known:
        raise NotFound(f"there is no policy {name}")
    # A model that is decided at this moment would be held by a pause that is being lifted.
    tx.take_advisory_lock(AdvisoryLock.PAUSE)
    return UnitOfWork(tx, policy_set, models=tx.models_with_alerts())


def _name_model(policy_set: PolicySet, name: str, named: Named) -> tuple[Policy, Identity]:
    """The policy and labels that name a model, from what the operator says."""
    if named.policy is None or named.labels is None:
        raise NotFound(
            f"no alert named the model {name} yet; give policy and labels, for example "
            '{"policy": "model-quality", "labels": {"user_id": "42"}}'
        )
    policy = policy_set.policy(named.policy)
    if policy is None:
        raise NotFound(f"there is no policy {named.policy}")
    try:
        identity = identify(policy, named.labels)
    except NoIdentity as problem:
        raise NotFound(
            f"policy {policy.name} names no model from these labels: {problem}"
        ) from None
    if identity.model != name:
        raise NotFound(f"policy {policy.name} names the model {identity.model}, not {name}")
    return policy, identity


def _identity(unit: UnitOfWork, name: str, named: Named) -> tuple[Policy, Identity]:
    """How a known model was named last, unless the operator says otherwise."""
    if named.policy is not None and named.labels is not None:
        return _name_model(unit.policy_set, name, named)
    model = unit.models[name]
    policy = unit.policy_set.policy(named.policy or model.policy)
    if policy is None:
        said = named.policy or model.policy
        raise NotFound(f"there is no policy {said} now; give policy and labels for {name}")
    return policy, Identity(name, model.labels)


def _case(unit: UnitOfWork, policy: Policy, name: str, entry: FiringAlert | None) -> Case:
    model = unit.models[name]
    restraints = None
    if policy.restrained:
        restraints = unit.tx.restraints(policy, model, unit.now)
    facts = facts_of(model, unit.pause_of(name, policy.name), restraints)
    return Case(as_alert(entry), policy, facts, unit.now)


def _note_scope(unit: UnitOfWork, act: Act, scope: PauseScope, name: str, what: str) -> Decision:
    for model in unit.models.values():
        unit.update(model)  # their next checks are due anew
    subject = f"{scope} {name}".strip()
    detail = f"{subject} {what} by {act.actor}: {act.comment}"
    decision = replace(
        acted(unit, act, Reason.OPERATOR, detail),
        model=name if scope is PauseScope.MODEL else None,
        policy=name if scope is PauseScope.POLICY else None,
    )
    unit.decisions.append(decision)
    unit.save()
    return decision
