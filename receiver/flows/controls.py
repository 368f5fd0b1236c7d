"""An operator pauses, resumes, retrains, retries, abandons; each act leaves a decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from receiver.core import cooldowns
from receiver.core.alerts import Source
from receiver.core.decisions import (
    HOLDS,
    Case,
    Decision,
    Gate,
    Reason,
    climb,
    facts_of,
)
from receiver.core.dispatches import ATTENTION, LIVE, Dispatch, DispatchState
from receiver.core.explaining import as_alert
from receiver.core.models import FiringAlert, Pause, PauseScope
from receiver.core.playbook import Playbook
from receiver.core.policies import Identity, NoIdentity, Policy, identify
from receiver.core.times import clock_time
from receiver.flows.dispatching import save_moved
from receiver.flows.intake import tell_triggered
from receiver.flows.ledger import Ledger, latest
from receiver.store.log_rows import Answer
from receiver.store.store import Store, Tx
from receiver.telemetry import decisions, log

ANSWERS_KEPT = timedelta(hours=24)
"""How long an `Idempotency-Key` is honoured."""


class NotFound(Exception):  # noqa: N818  says what is true
    """There is no such model, policy or dispatch; the message says what would help."""


class Conflict(Exception):  # noqa: N818  says what is true
    """It can't be done in the present state; the message says why."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, why, and how to recognise the same request again.

    Attributes:
        key: The `Idempotency-Key`, None without one.
        request: What was asked for, so that a key used for something else is refused.

    """

    actor: str
    comment: str
    key: str | None = None
    request: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """What an operator says about a model that was never seen (or to say it anew)."""

    policy: str | None = None
    labels: Mapping[str, str] | None = None


def pause(
    store: Store,
    playbook: Playbook,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    length: timedelta | None,
    named: Named | None = None,
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

    return _once(store, act, do)


def resume(
    store: Store,
    playbook: Playbook,
    act: Act,
    scope: PauseScope,
    name: str,
    *,
    named: Named | None = None,
) -> int:
    """Lift a pause; what still fires is decided at once. The decision's id."""

    def do(tx: Tx) -> Decision:
        ledger = _ledger_of(tx, playbook, scope, name, named)
        lifted = tx.end_pause(scope, name)
        ledger.pauses = [p for p in ledger.pauses if (p.scope, p.name) != (scope, name)]
        return _note_scope(ledger, act, scope, name, "resumed" if lifted else "was not paused")

    return _once(store, act, do)


def retrain(
    store: Store, playbook: Playbook, act: Act, name: str, named: Named | None = None
) -> int:
    """Order one run now, whatever holds the model back, unless one is in flight."""

    def do(tx: Tx) -> Decision:
        ledger = _ledger_of(tx, playbook, PauseScope.MODEL, name, named)
        policy, identity = _identity(ledger, name, named)
        model = ledger.models[name]
        entry = next(iter(ledger.alerts_of(name)), None)
        gates = tuple(climb(_case(ledger, policy, name, entry), HOLDS[:-1]))
        if model.in_flight:
            held = gates[1]
            decision = _decision(ledger, act, Reason.IN_FLIGHT, held.detail, gates)
            decision = replace(decision, dispatch_id=model.latest.id if model.latest else None)
        else:
            detail = f"ordered by {act.actor}: {act.comment}"
            decision = _decision(ledger, act, Reason.TRIGGERED, detail, gates)
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

    return _once(store, act, do)


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
            detail=f"retried by {act.actor}: looked up first",
        )
        ledger.update(replace(model, latest=latest(changed), backoff_until=None, refusals=0))
        return _note_dispatch(ledger, act, changed, "retried")

    return _once(store, act, do)


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

    return _once(store, act, do)


def _once(store: Store, act: Act, do: Callable[[Tx], Decision]) -> int:
    """Do it, or find what the same request did before."""
    with store.begin() as tx:
        if act.key is not None:
            known = tx.answer(act.actor, act.key, tx.now() - ANSWERS_KEPT)
            if known is not None and known.request != act.request:
                raise Conflict("this Idempotency-Key was used for another request")
            if known is not None:
                return known.decision_id
        decision = do(tx)
        if act.key is not None:
            answer = Answer(request=act.request, decision_id=decision.id)
            tx.save_answer(act.actor, act.key, answer, decision.decided_at)
    decisions.labels(decision.reason.value).inc()
    if decision.reason is Reason.TRIGGERED:
        tell_triggered(decision)
    log().info(
        "operator_acted",
        decision_id=decision.id,
        actor=act.actor,
        model=decision.model,
        policy=decision.policy,
        reason=decision.reason.value,
        detail=decision.detail,
    )
    return decision.id


def _ledger_of(
    tx: Tx, playbook: Playbook, scope: PauseScope, name: str, named: Named | None
) -> Ledger:
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
    return Ledger(tx, playbook, models=tx.models_with_alerts())


def _name_model(playbook: Playbook, name: str, named: Named | None) -> tuple[Policy, Identity]:
    """The policy and labels that name a model, from what the operator says."""
    if named is None or named.policy is None or named.labels is None:
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


def _identity(ledger: Ledger, name: str, named: Named | None) -> tuple[Policy, Identity]:
    """How a known model was named last, unless the operator says otherwise."""
    if named is not None and named.policy is not None and named.labels is not None:
        return _name_model(ledger.playbook, name, named)
    model = ledger.models[name]
    policy = ledger.playbook.policy(
        named.policy if named is not None and named.policy is not None else model.policy
    )
    if policy is None:
        raise NotFound(f"policy {model.policy} of {name} is gone; give policy and labels")
    return policy, Identity(name, model.labels)


def _case(ledger: Ledger, policy: Policy, name: str, entry: FiringAlert | None) -> Case:
    facts = facts_of(ledger.models[name], ledger.pause_of(name, policy.name))
    return Case(as_alert(entry), policy, facts, ledger.now)


def _dispatch(tx: Tx, playbook: Playbook, dispatch_id: str) -> tuple[Ledger, Dispatch]:
    model = tx.model_of_dispatch(dispatch_id)
    if model is None:
        raise NotFound(f"there is no dispatch {dispatch_id}")
    ledger = Ledger(tx, playbook, models=[model])
    dispatch = tx.dispatch(dispatch_id)
    if dispatch is None:
        raise NotFound(f"there is no dispatch {dispatch_id}")
    return ledger, dispatch


def _decision(
    ledger: Ledger, act: Act, reason: Reason, detail: str, gates: tuple[Gate, ...] = ()
) -> Decision:
    return Decision(
        id=ledger.tx.decision_id(ledger.now),
        decided_at=ledger.now,
        source=Source.OPERATOR,
        reason=reason,
        detail=detail,
        gates=gates,
        config_hash=ledger.playbook.config_hash,
        actor=act.actor,
        comment=act.comment,
    )


def _note_scope(ledger: Ledger, act: Act, scope: PauseScope, name: str, what: str) -> Decision:
    for model in ledger.models.values():
        ledger.update(model)  # their next checks are due anew
    subject = f"{scope} {name}".strip()
    detail = f"{subject} {what} by {act.actor}: {act.comment}"
    decision = replace(
        _decision(ledger, act, Reason.OPERATOR, detail),
        model=name if scope is PauseScope.MODEL else None,
        policy=name if scope is PauseScope.POLICY else None,
    )
    ledger.decisions.append(decision)
    ledger.save()
    return decision


def _note_dispatch(ledger: Ledger, act: Act, changed: Dispatch, what: str) -> Decision:
    save_moved(ledger, changed, actor=act.actor)
    detail = f"dispatch {changed.id} {what} by {act.actor}: {act.comment}"
    decision = replace(
        _decision(ledger, act, Reason.OPERATOR, detail),
        model=changed.model,
        policy=changed.policy,
        dispatch_id=changed.id,
    )
    ledger.decisions.append(decision)
    ledger.save()
    return decision
