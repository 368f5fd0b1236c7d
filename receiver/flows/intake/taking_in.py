"""Decides notifications and stores decisions and dispatches, all in one transaction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from receiver.core.alerts import Alert, Notification, Source
from receiver.core.claims import LONGEST_URL
from receiver.core.decisions import Decision, Reason
from receiver.core.policy_set import Matched, PolicySet
from receiver.flows.deciding import Origin, decide_alert
from receiver.flows.intake.arrivals import Arrival, Receipt
from receiver.flows.intake.counting import count, tell, tell_runs
from receiver.flows.unit_of_work import UnitOfWork, finite
from receiver.store.store import RowRefused, Store, Tx
from receiver.telemetry import (
    commit_alerts,
    commit_duration,
)

__all__ = ["Arrival", "Receipt", "arrive", "take_in", "try_out"]

SLICE = 500
"""Decisions that are kept in memory before they are written, still in the same transaction."""


def arrive(
    notification: Notification,
    policy_set: PolicySet,
    *,
    source: Source = Source.ALERTMANAGER,
    sender: str = "",
    told_by: str | None = None,
) -> Arrival:
    """Find each alert's policy and model; needs no transaction."""
    matched = tuple(policy_set.match_new(alert) for alert in notification.alerts)
    return Arrival(notification, matched, policy_set, source, sender, told_by)


def take_in(store: Store, arrivals: Sequence[Arrival]) -> list[Receipt]:
    """Decide notifications, or parts of long ones, that wait together, in one commit.

    Who posted it is answered after its last part. If a later part can't be stored, the decisions
    before it stand, and Alertmanager, told 503, sends the whole again: what was decided is then a
    duplicate, and nothing is ordered twice.

    If the database refuses the batch, each is committed alone, and then alert by alert: one bad
    alert never blocks its neighbours. Raises `StoreUnavailable`; then nothing of them was stored.
    """
    try:
        receipts = _commit(store, arrivals)
    except RowRefused:
        if len(arrivals) == 1:
            receipts = [store.run(lambda tx: _decide_one_by_one(tx, arrivals[0]))]
        else:
            return [receipt for arrival in arrivals for receipt in take_in(store, [arrival])]
    count(arrivals, receipts)
    whole = []
    for arrival, receipt in zip(arrivals, receipts, strict=True):
        tell_runs(receipt)
        whole.append(receipt.after(arrival.begun))
        if arrival.is_last:
            tell(arrival, whole[-1])
    return whole


def try_out(store: Store, arrival: Arrival) -> Receipt:
    """Decide a notification as `take_in` would, and store nothing."""

    def try_it(tx: Tx) -> Receipt:
        receipt = _decide_all(tx, [arrival])[0]
        tx.undo()
        return receipt

    return store.run(try_it)


def _commit(store: Store, arrivals: Sequence[Arrival]) -> list[Receipt]:
    store.require_room()
    commit_alerts.observe(sum(len(arrival.matched) for arrival in arrivals))
    with commit_duration.time():
        return store.run(lambda tx: _decide_all(tx, arrivals))


def _decide_all(tx: Tx, arrivals: Sequence[Arrival]) -> list[Receipt]:
    matched = [one for arrival in arrivals for one in arrival.matched]
    unit = _unit(tx, arrivals[0].policy_set, matched)
    # First, while little else is in memory: the engine copies a body twice to store it.
    ids = [_id_of(tx, arrival, unit.now) for arrival in arrivals]
    tx.add_notifications(
        (notification_id, unit.now, arrival.source, arrival.sender, arrival.notification)
        for notification_id, arrival in zip(ids, arrivals, strict=True)
        if arrival.begun is None
    )
    receipts = []
    for notification_id, arrival in zip(ids, arrivals, strict=True):
        origin = _origin(arrival, notification_id)
        unit.policy_set = arrival.policy_set
        taken = _decide_in_slices(unit, arrival, origin)
        receipts.append(Receipt(notification_id, taken, tuple(unit.recovered)))
        unit.recovered.clear()
    unit.save()
    return receipts


def _decide_in_slices(unit: UnitOfWork, arrival: Arrival, origin: Origin) -> tuple[Decision, ...]:
    """Decide each alert; what a long notification decided does not pile up in memory."""
    taken: list[Decision] = []
    for one in arrival.matched:
        taken.append(decide_alert(unit, one, origin))
        if len(unit.decisions) >= SLICE:
            unit.write_log()
            taken[-SLICE:] = map(_what_is_told, taken[-SLICE:])
    return tuple(taken)


def _id_of(tx: Tx, arrival: Arrival, now: datetime) -> str:
    """The notification's id; a part has that of the parts before it."""
    return tx.new_id(now) if arrival.begun is None else arrival.begun.notification_id


def _origin(arrival: Arrival, notification_id: str) -> Origin:
    url = arrival.notification.external_url[:LONGEST_URL]
    return Origin(arrival.source, notification_id, notification_id, url, arrival.told_by)


def _what_is_told(decision: Decision) -> Decision:
    """What answer, log and metrics need of a decision that is written already."""
    return replace(decision, gates=(), labels=None, detail="", fingerprint="")


def _unit(tx: Tx, policy_set: PolicySet, matched: Sequence[Matched]) -> UnitOfWork:
    return UnitOfWork(
        tx,
        policy_set,
        models={one.identity.model for one in matched if one.identity},
        fingerprints={one.alert.fingerprint for one in matched},
    )


def _decide_one_by_one(tx: Tx, arrival: Arrival) -> Receipt:
    """Give each alert a part of the transaction that can fail alone."""
    with suppress(RowRefused), tx.savepoint():
        # All models at once: locked one after the other they would be out of order.
        _unit(tx, arrival.policy_set, arrival.matched)
    now = tx.now()
    notification_id = _id_of(tx, arrival, now)
    if arrival.begun is None:
        tx.add_notifications(
            [(notification_id, now, arrival.source, arrival.sender, arrival.notification)]
        )
    origin = _origin(arrival, notification_id)
    taken: list[Decision] = []
    recovered: list[str] = []
    for one in arrival.matched:
        try:
            with tx.savepoint():
                unit = _unit(tx, arrival.policy_set, [one])
                decision = decide_alert(unit, one, origin)
                unit.save()
            recovered += unit.recovered
        except RowRefused as error:
            decision = _unstorable(tx, arrival, one.alert, origin, str(error))
            tx.add_decisions([decision])
        taken.append(decision)
    return Receipt(notification_id, tuple(taken), tuple(recovered))


def _unstorable(tx: Tx, arrival: Arrival, alert: Alert, origin: Origin, why: str) -> Decision:
    """The decision about an alert that the database refuses: the raw alert is kept."""
    now = tx.now()
    return Decision(
        id=tx.decision_id(now),
        decided_at=now,
        source=arrival.source,
        reason=Reason.INVALID,
        detail=f"this alert can't be stored: {why}",
        alertname=alert.alertname[:200],
        status=alert.status,
        value=finite(alert.value),
        notification_id=origin.notification_id,
        seen_in=origin.seen_in,
        position=alert.position,
        config_hash=arrival.policy_set.config_hash,
    )
