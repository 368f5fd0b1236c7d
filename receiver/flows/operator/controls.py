"""Operators' controls: pause, resume, release, retrain, forget; each leaves a decision."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from receiver.core.cases import Case
from receiver.core.decisions import Decision, Reason, facts_of
from receiver.core.dispatches import DispatchState
from receiver.core.explaining import as_alert
from receiver.core.ladder import HOLDS, climb
from receiver.core.models import FiringAlert, Pause, PauseScope, unknown_model
from receiver.core.policies import Identity, NoIdentity, Policy, identify
from receiver.core.policy_set import PolicySet
from receiver.core.sweeps import Sweep
from receiver.core.times import clock_time
from receiver.flows.operator.acts import Act, Conflict, NotFound, acted, once
from receiver.flows.sweeping import begin_sweep
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
        _lock(tx, policy_set, scope, name)
        now = tx.now()
        until = None if length is None else now + length
        tx.save_pause(Pause(scope, name, now, until, act.actor, act.comment))
        end = f"until {clock_time(until, now)}" if until else "until resumed"
        return _note_scope(tx, policy_set, act, (scope, name), f"paused {end}", named=named)

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
    """Lift a pause, and nothing else; what still fires is decided at once. The decision's id."""

    def do(tx: Tx) -> Decision:
        orphaned = policy_set.orphaned(tx.pauses(), tx.now())
        known = name in {pause.name for pause in orphaned}
        _lock(tx, policy_set, scope, name, known=known)
        what = "resumed" if tx.end_pause(scope, name) else "was not paused; resume asked for"
        return _note_scope(tx, policy_set, act, (scope, name), what, named=named)

    return once(store, act, do)


def release(store: Store, policy_set: PolicySet, act: Act, scope: PauseScope, name: str) -> int:
    """Let the models of a policy's storm go, or of all. The decision's id.

    It says how many runs that may order: their pauses, cooldowns and budgets hold them as before.
    """
    return once(store, act, lambda tx: release_in(tx, policy_set, act, scope, name))


def release_in(tx: Tx, policy_set: PolicySet, act: Act, scope: PauseScope, name: str) -> Decision:
    """The same within a transaction."""
    _lock(tx, policy_set, scope, name)
    stormy = [p.name for p in policy_set.policies if p.storm and name in {"", p.name}]
    now = tx.now()
    for policy in sorted(stormy):
        tx.release_storm(policy, now)
    count = tx.free_stormed(stormy)
    models = "1 model, 1 run" if count == 1 else f"{count} models, {count} runs"
    what = f"released from storms ({models} at most)"
    return _note_scope(tx, policy_set, act, (scope, name), what)


def retrain(
    store: Store, policy_set: PolicySet, act: Act, name: str, named: Named = UNNAMED
) -> int:
    """Order one run now, whatever holds the model back, unless one is in flight."""

    def do(tx: Tx) -> Decision:
        unit = _unit_of(tx, policy_set, name, named)
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


def forget(store: Store, policy_set: PolicySet, act: Act, name: str) -> int:
    """Forget a model that is no more. The decision's id; the log and its dispatches stay.

    Raises `NotFound`; `Conflict` while it fires, runs, or a dispatch of it waits for a human.
    """

    def do(tx: Tx) -> Decision:
        if not tx.has_model(name):
            raise NotFound(f"nothing is remembered of a model {name}")
        unit = UnitOfWork(tx, policy_set, models=[name])
        _require_over(unit, name)
        detail = f"model {name} forgotten by {act.actor}: {act.comment}"
        policy = unit.models[name].policy
        decision = replace(acted(unit, act, Reason.OPERATOR, detail), model=name, policy=policy)
        unit.decisions.append(decision)
        unit.save()
        tx.forget_model(name)
        return decision

    return once(store, act, do)


def _require_over(unit: UnitOfWork, name: str) -> None:
    """Raise `Conflict` if a forgotten model could be retrained twice, or nobody would look."""
    latest = unit.models[name].latest
    if latest is not None and latest.live:
        raise Conflict(f"dispatch {latest.id} is {latest.state}: wait for its end, or abandon it")
    if latest is not None and latest.state is DispatchState.PARKED:
        raise Conflict(f"dispatch {latest.id} is parked: its run may exist; abandon or retry it")
    if unit.alerts_of(name):
        raise Conflict("an alert of it still fires: it is forgotten once none does")


def _lock(
    tx: Tx, policy_set: PolicySet, scope: PauseScope, name: str, *, known: bool = False
) -> None:
    """Keep everybody from deciding while many models are paused or let go.

    A model that is decided at this moment would be held by a pause that is being lifted.
    Raises `NotFound`, except for a policy known otherwise.
    """
    if scope is PauseScope.POLICY and policy_set.policy(name) is None and not known:
        raise NotFound(f"there is no policy {name}")
    if scope is not PauseScope.MODEL:
        tx.take_advisory_lock(AdvisoryLock.PAUSE)


def _unit_of(tx: Tx, policy_set: PolicySet, name: str, named: Named) -> UnitOfWork:
    """Lock the model that the act is about. Raises `NotFound`."""
    known = tx.knows_model(name)
    policy, identity = (None, None) if known else _name_model(policy_set, name, named)
    unit = UnitOfWork(tx, policy_set, models=[name])
    if policy is not None and identity is not None:
        model = unit.models[name]
        unit.update(replace(model, policy=policy.name, labels=identity.labels))
    return unit


def _name_model(policy_set: PolicySet, name: str, named: Named) -> tuple[Policy, Identity]:
    """The policy and labels that name a model, from what the operator says."""
    if named.policy is None or named.labels is None:
        raise NotFound(
            f"{unknown_model(name)}; give policy and labels, for example "
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
        restraints = unit.restraints(policy, name)
    facts = facts_of(model, unit.pause_of(name, policy.name), restraints)
    return Case(as_alert(entry), policy, facts, unit.now)


def _note_scope(
    tx: Tx,
    policy_set: PolicySet,
    act: Act,
    whom: tuple[PauseScope, str],
    what: str,
    *,
    named: Named = UNNAMED,
) -> Decision:
    """Log the act, and find anew when the holds of the models end that it is about.

    Those of many models are found in steps, so that the webhook hardly waits (`sweeping`).
    """
    scope, name = whom
    if scope is PauseScope.MODEL:
        unit = _unit_of(tx, policy_set, name, named)
        unit.update(unit.models[name])
    else:
        begin_sweep(tx, policy_set, Sweep.LOOK)
        unit = UnitOfWork(tx, policy_set, models=())
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
