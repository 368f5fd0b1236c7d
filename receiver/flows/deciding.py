"""One alert is decided, and what follows for its model is carried forward in the unit of work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from receiver.core.alerts import Alert, AlertStatus, Source
from receiver.core.approvals import Approval
from receiver.core.cases import Case
from receiver.core.claims import Claim, claimed
from receiver.core.clashes import clash
from receiver.core.clusters import of_other_clusters, other_firings
from receiver.core.decisions import BELIEF, RESTRAINTS, Decision, Facts, Reason, facts_of
from receiver.core.deliveries import remembered_until
from receiver.core.durations import show_duration
from receiver.core.ladder import LADDER, Finding, Rung, decide
from receiver.core.messages import question_asked
from receiver.core.models import FiringAlert, helping_run, relapsed, told_beside, with_firing
from receiver.core.policies import Mode, Policy, shown
from receiver.core.policy_set import Matched
from receiver.core.restraints import Restraints
from receiver.core.sightings import UNCONFIRMED, Belief, believed, delivered
from receiver.flows.unit_of_work import UnitOfWork, finite
from receiver.store.model_rows import Delivery

UNHELD = frozenset({Reason.OBSERVED, Reason.TRIGGERED})
"""Reasons that a policy's own restraints come before."""

HOLDING = RESTRAINTS | BELIEF
"""Rungs below `cooldown` that can hold an alert."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an alert came from.

    Attributes:
        notification_id: The notification that brought it; None for the timer.
        seen_in: The notification that holds the raw alert.
        url: The `externalURL` of the Alertmanager that sent it.
        told_by: The source that was asked; None for a delivery, which nobody asked for.
        adds: What the decision's sentence says besides.

    """

    source: Source
    notification_id: str | None = None
    seen_in: str | None = None
    url: str = ""
    told_by: str | None = None
    adds: str = ""


def decide_alert(
    unit: UnitOfWork, matched: Matched, origin: Origin, ladder: Sequence[Rung] = LADDER
) -> Decision:
    """Decide one alert and carry forward what follows from the reason."""
    case, finding = _descend(unit, matched, origin, ladder)
    decision = _decision(unit, matched, finding, origin)
    match finding.reason:
        case Reason.UNMATCHED | Reason.INVALID | Reason.RESOLVED:
            besides = _leave(unit, matched, origin)
            if besides:
                decision = replace(decision, detail=decision.detail + besides)
        case Reason.DUPLICATE:
            _confirm(unit, matched, finding, origin)
        case Reason.TRIGGERED:
            _fire(unit, matched, finding, origin)
            decision = replace(decision, dispatch_id=_order(unit, matched, decision))
        case Reason.UNCONFIRMED:
            _fire(unit, matched, finding, origin)
            unit.want_answers()
        case _:  # held, or `observed`
            _fire(unit, matched, finding, origin)
            _ask(unit, matched, case.facts.restraints, finding)
    unit.decisions.append(decision)
    return decision


def _descend(
    unit: UnitOfWork, matched: Matched, origin: Origin, ladder: Sequence[Rung]
) -> tuple[Case, Finding]:
    """Find the rung that decides the alert."""
    case = Case(matched.alert, matched.policy, _facts(unit, matched, origin), unit.now)
    finding = decide(case, ladder)
    if finding.reason in UNHELD and case.ruling.restrained:
        # Read only now: most alerts are held before.
        restraints = unit.restraints(case.ruling, matched.named[1].model)
        case = replace(case, facts=replace(case.facts, restraints=restraints))
        finding = decide(case, ladder)
    return case, finding


def _facts(unit: UnitOfWork, matched: Matched, origin: Origin) -> Facts:
    if matched.identity is None:
        return Facts(problem=matched.problem)
    name = matched.identity.model
    policy = matched.policy.name if matched.policy else None
    delivery = unit.delivery(matched.alert)
    entry = unit.entry(matched.alert.fingerprint)
    return facts_of(
        unit.models[name],
        unit.pause_of(name, policy),
        problem=matched.problem or _clash(unit, matched),
        decided_at=delivery.decided_at if delivery else None,
        resolved_at=delivery.resolved_at if delivery else None,
        stale_until=entry.stale_until if entry else None,
        belief=_belief(unit, matched, entry, origin),
    )


def _clash(unit: UnitOfWork, matched: Matched) -> str | None:
    """Whether the model is named by other labels now. What ended names nothing."""
    if matched.alert.status is AlertStatus.RESOLVED:
        return None
    policy, identity = matched.named
    alerts = unit.alerts_of(identity.model)
    return clash(policy, identity, unit.models[identity.model], alerts)


def _belief(
    unit: UnitOfWork, matched: Matched, entry: FiringAlert | None, origin: Origin
) -> Belief | None:
    """How far the alert may be believed; of what a check found, as the rule's alert beside it."""
    alert, asking = matched.alert, unit.policy_set.asking
    if asking is None:
        return None
    fires = unit.alerts_of(matched.identity.model) if matched.identity else ()
    beside = told_beside(alert.labels, fires)
    if beside is not None:
        unit.read_sightings(beside.fingerprint)
    sightings = unit.sightings_of(alert.fingerprint if beside is None else beside.fingerprint)
    if origin.source is Source.TIMER and entry is not None:
        told = entry if beside is None else entry.confirmed_as(beside)
        return believed(told, sightings, asking, unit.now)
    return delivered(sightings, asking, unit.now, origin.told_by)


def _decision(unit: UnitOfWork, matched: Matched, finding: Finding, origin: Origin) -> Decision:
    alert = matched.alert
    model = matched.identity.model if matched.identity else None
    latest = unit.models[model].latest if model else None
    in_flight = latest is not None and finding.reason is Reason.IN_FLIGHT
    return Decision(
        id=unit.tx.decision_id(unit.now),
        decided_at=unit.now,
        source=origin.source,
        reason=finding.reason,
        detail="; ".join(filter(None, [finding.detail, _adds(unit, alert, origin)])),
        gates=finding.gates,
        policy=matched.policy.name if matched.policy else None,
        model=model,
        alertname=alert.alertname,
        fingerprint=alert.fingerprint,
        status=alert.status,
        starts_at=alert.starts_at,
        labels=None if alert.cut else alert.labels,
        value=finite(alert.value),
        next_check_at=finding.next_check_at,
        dispatch_id=latest.id if latest and in_flight else None,
        notification_id=origin.notification_id,
        seen_in=origin.seen_in,
        position=alert.position,
        config_hash=unit.policy_set.config_hash,
    )


def _leave(unit: UnitOfWork, matched: Matched, origin: Origin) -> str:
    """Take the alert out of its set if it ended, or if no policy names its model now.

    What the decision's sentence says besides; mostly nothing.
    """
    if matched.alert.status is AlertStatus.RESOLVED:
        return _resolve(unit, matched, origin)
    if origin.source is Source.TIMER:
        unit.drop(matched.alert.fingerprint)
    return ""


def _order(unit: UnitOfWork, matched: Matched, decision: Decision) -> str:
    """Order the run that the decision asks for; the dispatch's id."""
    policy, identity = matched.named
    return unit.order(
        policy,
        identity,
        decision_id=decision.id,
        value=matched.alert.value,
        alertname=matched.alert.alertname,
    ).id


def _adds(unit: UnitOfWork, alert: Alert, origin: Origin) -> str:
    """What a decision's sentence says besides: for the timer's, when the alert was heard of."""
    entry = unit.entry(alert.fingerprint)
    if origin.source is not Source.TIMER or entry is None:
        return origin.adds
    ago = show_duration(max(unit.now - entry.confirmed_at, timedelta(0)))
    if entry.confirmed_by is None:
        return f"the alert was last heard of {ago} ago"
    return f"{entry.confirmed_by} listed the alert {ago} ago"


def _fire(unit: UnitOfWork, matched: Matched, finding: Finding, origin: Origin) -> None:
    """Carry forward that an alert fires, and what was decided about it."""
    alert, (policy, identity) = matched.alert, matched.named
    if origin.source is Source.TIMER:
        # The timer accepts a stale alert as firing: what resolved it counts no more.
        _remember(unit, alert, policy, lambda known: replace(known, resolved_at=None))
    else:
        _remember(unit, alert, policy, lambda known: replace(known, decided_at=unit.now))
    if alert.is_test:
        unit.tries(identity.model)
        return
    if finding.reason is Reason.OBSERVED and finding.next_check_at is not None:
        model = unit.models[identity.model]
        unit.update(replace(model, observed_until=finding.next_check_at))
    _join(unit, matched, finding, origin)


def _join(unit: UnitOfWork, matched: Matched, finding: Finding, origin: Origin) -> None:
    """Put the alert into its model's firing set; an alert belongs to one model at a time."""
    alert, (policy, identity) = matched.alert, matched.named
    known = unit.entry(alert.fingerprint)
    if alert.starts_at is None or (known is not None and known.starts_at > alert.starts_at):
        # A late copy of an earlier firing says nothing about the present one, unless it is no
        # copy: in another cluster the alert has been firing for longer.
        earlier = None if finding.reason is Reason.STALE else alert.starts_at
        if known and earlier and known.may_fire_at(origin.url, earlier):
            unit.renew(known.confirmed(origin.url, earlier, unit.now, policy.alert_expiry))
        return
    claims = known.claims if known is not None else None
    if origin.source is not Source.TIMER:
        claims = claimed(claims or (), origin.url, alert.starts_at, unit.now)
    entry = FiringAlert(
        fingerprint=alert.fingerprint,
        model=identity.model,
        policy=policy.name,
        alertname=alert.alertname,
        labels=alert.labels,
        value=finite(alert.value),
        starts_at=alert.starts_at,
        confirmed_at=unit.now,
        expires_at=unit.now + policy.alert_expiry,
        stale_until=finding.next_check_at if finding.reason is Reason.STALE else None,
        held_by=finding.reason.value if finding.reason in HOLDING else None,
        held_until=_held_until(finding),
        asks=finding.asks,
        observing=policy.mode is Mode.OBSERVE,
        seen_in=origin.seen_in,
        position=alert.position,
        config_hash=unit.policy_set.config_hash,
        claims=claims,
        confirmed_by=origin.told_by,
        held_since=_held_since(unit, known, finding),
    )
    if known is not None and origin.source is Source.TIMER:  # which confirms nothing
        entry = replace(
            entry,
            confirmed_at=known.confirmed_at,
            confirmed_by=known.confirmed_by,
            expires_at=known.expires_at,
        )
    else:
        unit.confirms(identity.model)
    if known is not None and known.model != identity.model:
        unit.drop(alert.fingerprint)
    unit.keep(entry)
    model = replace(unit.models[identity.model], policy=policy.name, labels=identity.labels)
    changed = with_firing(model, cooldown=policy.cooldown, now=unit.now)
    unit.update(changed)
    if finding.reason is not Reason.STALE and relapsed(model, changed, known):
        unit.relapses(identity.model)


def _held_until(finding: Finding) -> datetime | None:
    """When the timer ends the hold; room that models share is given out by `releasing`."""
    if finding.reason is Reason.BUDGET:
        return finding.own_end
    return finding.next_check_at if finding.reason in HOLDING else None


def _held_since(unit: UnitOfWork, known: FiringAlert | None, finding: Finding) -> datetime | None:
    if finding.reason not in HOLDING:
        return None
    same = known is not None and known.held_by == finding.reason.value
    return known.held_since if known is not None and same else unit.now


def _ask(
    unit: UnitOfWork, matched: Matched, restraints: Restraints | None, finding: Finding
) -> None:
    """Write down what the rung asks a human and tell of it, unless the question is open."""
    if not finding.asks or restraints is None or matched.alert.is_test:
        return
    policy, identity = matched.named
    known, rung, name = restraints.approval, finding.reason.value, identity.model
    if known is None or known.rung != rung:
        began = restraints.episode_started_at or unit.now
        asked = Approval(name, began, rung, unit.now, expires_at=finding.next_check_at)
        # A storm asks for each of its models; one message is enough to wake somebody.
        told = finding.reason is Reason.STORM and unit.tx.storm_is_told(policy.name)
        unit.save_approval(asked)
        if not told:
            unit.announce(question_asked(policy.name, asked, finding.detail))


def _resolve(unit: UnitOfWork, matched: Matched, origin: Origin) -> str:
    """End what this Alertmanager said, whatever policy matches now (`receiver.core.claims`).

    What the decision's sentence says besides: who still says that it fires, or what else ended.
    """
    alert, entry = matched.alert, unit.entry(matched.alert.fingerprint)
    left, others = (None, "") if entry is None else _what_is_left(unit, alert, entry, origin)
    if entry is not None and left is entry:
        entry = None  # it was another firing
    if entry is not None and alert.starts_at is None:  # then it is this one that ended
        alert = replace(alert, starts_at=entry.starts_at)
    if matched.policy is not None:
        _remember(unit, alert, matched.policy, lambda known: replace(known, resolved_at=unit.now))
    if entry is not None and left is not None:
        unit.keep(left)
    elif entry is not None:
        return _end(unit, entry, alert.ends_at or unit.now)
    return f", but {others}" if others else ""


def _what_is_left(
    unit: UnitOfWork, alert: Alert, entry: FiringAlert, origin: Origin
) -> tuple[FiringAlert | None, str]:
    """What a `resolved` leaves of an entry, None if nothing; and who says so, as a clause."""
    if origin.told_by is not None:  # all that knew it said that it ended
        return None, ""
    ended = (alert.starts_at, alert.ends_at or unit.now, origin.url)
    left = tuple(claim for claim in entry.said if not claim.ends_with(*ended))
    if not left:
        return _what_is_elsewhere(unit, entry, alert.starts_at or entry.starts_at, origin.url)
    told = ", ".join(shown(claim.url) for claim in left if claim.url not in {"", origin.url})
    kept = entry if left == entry.said else entry.said_by(left, unit.now)
    return kept, f"{told} still says that it fires" if told else ""


def _what_is_elsewhere(
    unit: UnitOfWork, entry: FiringAlert, ended: datetime, url: str
) -> tuple[FiringAlert | None, str]:
    """The firing of another cluster that is known by its listing only, None if there is none."""
    asking, sightings = unit.policy_set.asking, unit.sightings_of(entry.fingerprint)
    asked = [one for one in sightings if asking and one.source in asking.sources]
    listed = other_firings(asked, ended)
    going = of_other_clusters(listed, unit.urls_of_sources(), url) if listed else []
    if not going:
        return None, ""
    claims = tuple(Claim("", one.starts_at, one.heard_at or unit.now) for one in going)
    names = [one.source for one in going]
    verb = "list" if len(names) > 1 else "lists"
    kept = replace(entry.said_by(claims, unit.now), confirmed_by=names[0])
    return kept, f"{' and '.join(names)} still {verb} it"


def _end(unit: UnitOfWork, entry: FiringAlert, ended_at: datetime) -> str:
    """Take an alert out of its set, with what `check-drift` had found of it by itself.

    Nobody else may ever end that: whoever asks by hand asks once. What is still true is found
    again by the next check.
    """
    unit.drop(entry.fingerprint)
    polled = [
        one
        for one in unit.alerts_of(entry.model)
        if one.was_polled_as(entry) and one.starts_at <= ended_at
    ]
    for one in polled:
        unit.drop(one.fingerprint)
    run = helping_run(unit.models[entry.model], entry)
    if run is not None and not unit.alerts_of(entry.model):
        unit.recovers(entry.model, run)
    return ", and what check-drift found of it ended too" if polled else ""


def _confirm(unit: UnitOfWork, matched: Matched, finding: Finding, origin: Origin) -> None:
    """A repeat says that the alert still fires, even if a resolve of another firing took it out.

    Two Prometheus servers that see the same alert begin and end it apart from each other.
    """
    alert, (policy, _) = matched.alert, matched.named
    entry = unit.entry(alert.fingerprint)
    delivery = unit.delivery(alert)
    if entry is not None and entry.starts_at == alert.starts_at:
        confirmed = entry.confirmed(origin.url, entry.starts_at, unit.now, policy.alert_expiry)
        if entry.held_by == UNCONFIRMED:
            unit.keep(confirmed.freed())
        else:
            unit.renew(confirmed)
        unit.confirms(entry.model)
    elif delivery is not None and delivery.resolved_at is None and not alert.is_test:
        _join(unit, matched, finding, origin)


def _remember(
    unit: UnitOfWork, alert: Alert, policy: Policy, change: Callable[[Delivery], Delivery]
) -> None:
    """Remember something of this delivery for as long as a copy of it may come."""
    if alert.starts_at is None:
        return  # there is no time to know a copy by
    forget_at = remembered_until(policy, unit.now)
    known = unit.delivery(alert) or Delivery(alert.fingerprint, alert.starts_at, forget_at)
    unit.remember(change(replace(known, forget_at=forget_at)))
