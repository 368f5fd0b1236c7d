"""An operator pauses, resumes, retrains; each act leaves a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from receiver.core.cases import Case
from receiver.core.decisions import Decision, Reason, facts_of
from receiver.core.explaining import as_alert
from receiver.core.ladder import HOLDS, climb
from receiver.core.models import FiringAlert, Pause, PauseScope
from receiver.core.playbook import Playbook
from receiver.core.policies import Identity, NoIdentity, Policy, identify
from receiver.core.times import clock_time
from receiver.flows.acts import Act, NotFound, acted, once
from receiver.flows.ledger import Ledger
from receiver.store.store import Store, Tx
from receiver.store.turns import Turn


@dataclass(frozen=True, slots=True)
class Named:
    """What an operator says about a model that was never seen (or to say it anew)."""

    policy: str | None = None
    labels: Mapping[str, str] | None = None


UNNAMED = Named()


def pause(
    store: Store,
    playbook: Playbook,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    length: timedelta | None,
    named: Named = UNNAMED,
) -> int:
    """Hold back a model, a policy or everything. The decision's id."""

    def do(tx: Tx) -> Decision:
        ledger = _ledger_of(tx, playbook, scope, name, named)
        until = None if length is None else ledger.now + length
        made = Pause(scope, name, ledger.now, until, act.actor, act.comment)
        tx.save_pause(made)
        ledger.pauses = [p for p in ledger.pauses if (p.scope, p.name) != (scope, name)] + [made]
        end = f"until {clock_time(until, ledger.now)}" if until else "until resumed"
        return _note_scope(ledger, act, scope, name, f"paused {end}")

    return once(store, act, do)


def resume(
    store: Store,
    playbook: Playbook,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    named: Named = UNNAMED,
) -> int:
    """Lift a pause; what still fires is decided at once. The decision's id."""

    def do(tx: Tx) -> Decision:
        ledger = _ledger_of(tx, playbook, scope, name, named)
        lifted = tx.end_pause(scope, name)
        ledger.pauses = [p for p in ledger.pauses if (p.scope, p.name) != (scope, name)]
        released = 0 if scope is PauseScope.MODEL else _release(ledger, name)
        what = "resumed" if lifted else "was not paused"
        if released:
            models = "1 model is" if released == 1 else f"{released} models are"
            what = f"resumed, {models} released from a storm,"
        return _note_scope(ledger, act, scope, name, what)

    return once(store, act, do)


def _release(ledger: Ledger, name: str) -> int:
    """Release a policy's models from its storm, or all; how many were held by one."""
    policies = {p.name for p in ledger.playbook.policies if p.storm and name in {"", p.name}}
    for policy in sorted(policies):
        ledger.tx.release_storm(policy, ledger.now)
    held = {
        entry.model
        for model in ledger.models
        for entry in ledger.alerts_of(model)
        if entry.held_by == Reason.STORM.value and entry.policy in policies
    }
    for model in held:
        ledger.free(model)
    return len(held)


def retrain(store: Store, playbook: Playbook, act: Act, name: str, named: Named = UNNAMED) -> int:
    """Order one run now, whatever holds the model back, unless one is in flight."""

    def do(tx: Tx) -> Decision:
        ledger = _ledger_of(tx, playbook, PauseScope.MODEL, name, named)
        policy, identity = _identity(ledger, name, named)
        model = ledger.models[name]
        entry = next(iter(ledger.alerts_of(name)), None)
        gates = tuple(climb(_case(ledger, policy, name, entry), HOLDS[:-1]))
        if model.in_flight:
            held = gates[1]
            decision = acted(ledger, act, Reason.IN_FLIGHT, held.detail, gates)
            decision = replace(decision, dispatch_id=model.latest.id if model.latest else None)
        else:
            detail = f"ordered by {act.actor}: {act.comment}"
            decision = acted(ledger, act, Reason.TRIGGERED, detail, gates)
            ledger.update(replace(model, backoff_until=None, refusals=0))
            dispatch = ledger.order(
                policy,
                identity,
                decision_id=decision.id,
                value=entry.value if entry else None,
                alertname=entry.alertname if entry else "",
                ordered=True,
            )
            decision = replace(decision, dispatch_id=dispatch.id)
        decision = replace(decision, model=name, policy=policy.name, labels=identity.labels)
        ledger.decisions.append(decision)
        ledger.save()
        return decision

    return once(store, act, do)


def _ledger_of(tx: Tx, playbook: Playbook, scope: PauseScope, name: str, named: Named) -> Ledger:
    """Lock what the act is about. Raises `NotFound`."""
    if scope is PauseScope.MODEL:
        known = tx.knows_model(name)
        policy, identity = (None, None) if known else _name_model(playbook, name, named)
        ledger = Ledger(tx, playbook, models=[name])
        if policy is not None and identity is not None:
            model = ledger.models[name]
            ledger.update(replace(model, policy=policy.name, labels=identity.labels))
        return ledger
    if scope is PauseScope.POLICY and playbook.policy(name) is None:
        raise NotFound(f"there is no policy {name}")
    # A model that is decided at this moment would be held by a pause that is being lifted.
    tx.take_turn(Turn.PAUSE)
    return Ledger(tx, playbook, models=tx.models_with_alerts())


def _name_model(playbook: Playbook, name: str, named: Named) -> tuple[Policy, Identity]:
    """The policy and labels that name a model, from what the operator says."""
    if named.policy is None or named.labels is None:
        raise NotFound(
            f"no alert named the model {name} yet; give policy and labels, for example "
            '{"policy": "model-quality", "labels": {"user_id": "42"}}'
        )
    policy = playbook.policy(named.policy)
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


def _identity(ledger: Ledger, name: str, named: Named) -> tuple[Policy, Identity]:
    """How a known model was named last, unless the operator says otherwise."""
    if named.policy is not None and named.labels is not None:
        return _name_model(ledger.playbook, name, named)
    model = ledger.models[name]
    policy = ledger.playbook.policy(named.policy or model.policy)
    if policy is None:
        said = named.policy or model.policy
        raise NotFound(f"there is no policy {said} now; give policy and labels for {name}")
    return policy, Identity(name, model.labels)


def _case(ledger: Ledger, policy: Policy, name: str, entry: FiringAlert | None) -> Case:
    model = ledger.models[name]
    restraints = None
    if policy.restrained:
        restraints = ledger.tx.restraints(policy, model, ledger.now)
    facts = facts_of(model, ledger.pause_of(name, policy.name), restraints)
    return Case(as_alert(entry), policy, facts, ledger.now)


def _note_scope(ledger: Ledger, act: Act, scope: PauseScope, name: str, what: str) -> Decision:
    for model in ledger.models.values():
        ledger.update(model)  # their next checks are due anew
    subject = f"{scope} {name}".strip()
    detail = f"{subject} {what} by {act.actor}: {act.comment}"
    decision = replace(
        acted(ledger, act, Reason.OPERATOR, detail),
        model=name if scope is PauseScope.MODEL else None,
        policy=name if scope is PauseScope.POLICY else None,
    )
    ledger.decisions.append(decision)
    ledger.save()
    return decision
