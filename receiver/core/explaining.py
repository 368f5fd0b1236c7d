"""Explains why a model is not retrained now: every rung, answered by the code that decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from receiver.core.alerts import LABELS_BYTES, Alert, AlertStatus
from receiver.core.cases import Case
from receiver.core.decisions import Gate, Reason, facts_of
from receiver.core.ladder import HOLDS, climb
from receiver.core.models import FiringAlert, Model, Pause, next_check, pause_in_force
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints
from receiver.core.sightings import Belief
from receiver.core.times import clock_time

# Alertmanager has no alert without labels: the store leaves out those that are over their bound.
_LABELS_LOST = f"an earlier release stored its labels: more than {LABELS_BYTES:,} bytes as JSON"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an alert of the model would meet now.

    Attributes:
        holds: The first rung that applies; None if nothing holds it back.
        detail: One sentence: what holds it, and when it is tried next.
        next_check_at: When the timer decides again; None if only an event can change the answer.

    """

    holds: Reason | None
    detail: str
    next_check_at: datetime | None
    gates: tuple[Gate, ...]


def explain(
    model: Model,
    alerts: Sequence[FiringAlert],
    pauses: Sequence[Pause],
    policy_set: PolicySet,
    now: datetime,
    *,
    restraints: Restraints | None = None,
    belief: Belief | None = None,
) -> Explanation:
    """Answer for the model's oldest firing alert, or for one that fired now.

    `belief` is what is known of the oldest one; one that fired now would be believed.
    """
    entry = next(iter(alerts), None)
    policy = ruling_policy(model, alerts, policy_set)
    if policy is None and model.policy is None:
        return Explanation(None, "no alert of it has ever been seen firing", None, ())
    if policy is None:
        detail = f"policy {model.policy} is gone from the configuration: its alerts are unmatched"
        return Explanation(Reason.UNMATCHED, detail, None, ())
    pause = pause_in_force(pauses, model=model.name, policy=policy.name, now=now)
    facts = facts_of(model, pause, restraints, belief=belief)
    case = Case(as_alert(entry), policy, facts, now)
    gates = tuple(climb(case, HOLDS))
    first = next(gate for gate in gates if gate.applies)
    due = next_check(model, alerts, pauses, now)
    if entry is not None and due is None:
        due = first.until
    if entry is not None and not entry.counts(now):
        return Explanation(Reason.STALE, _stale(entry, now), due, gates[:-1])
    return Explanation(
        holds=None if first.rung is Reason.TRIGGERED else first.rung,
        detail=_sentence(first, entry, due, now),
        next_check_at=due,
        gates=gates[:-1],
    )


def ruling_policy(
    model: Model, alerts: Sequence[FiringAlert], policy_set: PolicySet
) -> Policy | None:
    """The policy whose rungs are shown: the oldest alert's, or the one that named the model."""
    return policy_set.policy(alerts[0].policy if alerts else model.policy)


def _stale(entry: FiringAlert, now: datetime) -> str:
    end = clock_time(entry.stale_until or now, now)
    return f"it was reported resolved and may be a late copy; decided at {end}"


def _sentence(first: Gate, entry: FiringAlert | None, due: datetime | None, now: datetime) -> str:
    if entry is None:
        if first.rung is Reason.TRIGGERED:
            return "no alert fires; one that fired now would start a run"
        return f"no alert fires; one that fired now would meet: {first.detail}"
    if first.rung is Reason.TRIGGERED:
        return "nothing holds it back: it is decided within seconds"
    if due is None or first.asks:
        return first.detail
    return f"{first.detail}; next attempt at {clock_time(due, now)} if it still fires"


def as_alert(entry: FiringAlert | None) -> Alert:
    """An entry of a firing set as the alert that it was delivered as; a blank one for None."""
    if entry is None:
        return Alert(None, {}, None, None, "", None, 0)
    cut = not entry.labels
    return Alert(
        status=AlertStatus.FIRING,
        labels={"alertname": entry.alertname} if cut else entry.labels,
        starts_at=entry.starts_at,
        ends_at=None,
        fingerprint=entry.fingerprint,
        value=entry.value,
        position=entry.position or 0,
        problem=_LABELS_LOST if cut else None,
        cut=cut,
    )
