"""The timer: decides held models again when due, and expires alerts that nobody confirms."""

from collections.abc import Collection
from datetime import timedelta

from receiver.core.alerts import AlertStatus, Source
from receiver.core.decisions import Decision, Reason
from receiver.core.durations import show_duration
from receiver.core.explaining import as_alert
from receiver.core.ladder import TIMER_LADDER
from receiver.core.models import FiringAlert
from receiver.core.policy_set import Matched, PolicySet
from receiver.flows.deciding import Origin, decide_alert
from receiver.flows.intake.counting import count_one
from receiver.flows.portions import portion
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.store import Store, Tx

MODELS_AT_ONCE = 200
"""Models in one transaction, if they have few alerts: enough to pay."""


def due_models(store: Store, passed_over: Collection[str] = ()) -> list[str]:
    """The models whose hold has ended, or that have an alert nobody confirms; a step of each.

    Of those that are passed over none takes another's place, however many they are.
    """
    most = MODELS_AT_ONCE + len(passed_over)
    with store.view() as view:
        found = [view.holds.ended(most), view.holds.silent(most)]
        wanted = [
            [name for name in names if name not in passed_over][:MODELS_AT_ONCE] for names in found
        ]
        alerts = view.holds.alerts_of_each({name for names in wanted for name in names})
    return sorted({name for names in wanted for name in portion(names, alerts)})


def recheck(store: Store, policy_set: PolicySet, names: list[str]) -> bool:
    """Decide these models anew, if their time has come. Whether that ordered a run."""
    taken = store.run(lambda tx: _recheck_all(tx, policy_set, names))
    for decision in taken:
        count_one(decision)
    return any(decision.reason is Reason.TRIGGERED for decision in taken)


def postpone(store: Store, name: str, pause: timedelta) -> None:
    """Look at a model again later: it could not be decided now."""
    with store.begin() as tx:
        tx.postpone_check(name, tx.now() + pause)


def _recheck_all(tx: Tx, policy_set: PolicySet, names: list[str]) -> list[Decision]:
    """Lock the due models, and those that a new configuration gives their alerts to; decide."""
    alerts = tx.firing_sets(names)
    identities = [policy_set.match(as_alert(alert)).identity for alert in alerts]
    seen = {alert.fingerprint for alert in alerts}
    unit = UnitOfWork(
        tx,
        policy_set,
        models={*names, *(identity.model for identity in identities if identity)},
        fingerprints=seen,
    )
    for name in names:
        recheck_model(unit, name, seen)
    taken = unit.decisions
    unit.save()
    return taken


def recheck_model(unit: UnitOfWork, name: str, seen: Collection[str]) -> None:
    """Decide a locked model's alerts of `seen` anew if it is due; expire those nobody confirms."""
    # Another replica's timer may have been here while this one waited for the lock.
    due = unit.models[name].next_check_at
    for entry in unit.alerts_of(name):
        if entry.fingerprint not in seen:
            continue  # it came while we waited for the lock: its model is due again at once
        if entry.expires_at <= unit.now:
            _expire(unit, entry)
        elif due is not None and due <= unit.now and entry.counts(unit.now):
            _decide_again(unit, unit.policy_set.match(as_alert(entry)), entry)
    unit.rechecked(name)


def _decide_again(unit: UnitOfWork, matched: Matched, entry: FiringAlert) -> None:
    if matched.identity is None or matched.identity.model in unit.models:
        origin = Origin(Source.TIMER, seen_in=entry.seen_in)
        decide_alert(unit, matched, origin, TIMER_LADDER)


def _expire(unit: UnitOfWork, entry: FiringAlert) -> None:
    unit.drop(entry.fingerprint)
    silent = show_duration(unit.now - entry.confirmed_at)
    unit.decisions.append(
        Decision(
            id=unit.tx.decision_id(unit.now),
            decided_at=unit.now,
            source=Source.TIMER,
            reason=Reason.EXPIRED,
            detail=f"nobody confirmed this alert for {silent}: it is taken for gone",
            policy=entry.policy,
            model=entry.model,
            alertname=entry.alertname,
            fingerprint=entry.fingerprint,
            status=AlertStatus.FIRING,
            starts_at=entry.starts_at,
            labels=entry.labels,
            value=entry.value,
            seen_in=entry.seen_in,
            position=entry.position,
            config_hash=unit.policy_set.config_hash,
        )
    )
