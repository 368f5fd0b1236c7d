"""Metrics and log lines of decisions: counters once per commit, a line per notification."""

from collections import Counter
from collections.abc import Sequence

from receiver.core.decisions import Decision, Reason
from receiver.flows.intake.arrivals import Arrival, Receipt
from receiver.telemetry import alerts_received, alerts_truncated, decisions, log, recoveries


def count(arrivals: Sequence[Arrival], receipts: Sequence[Receipt]) -> None:
    """Count the alerts and decisions of one commit; one by one it costs ten times as much."""
    received = Counter(one.alert.status for arrival in arrivals for one in arrival.matched)
    for status, number in received.items():
        alerts_received.labels(status.value if status else "unreadable").inc(number)
    reasons = Counter(decision.reason for receipt in receipts for decision in receipt.decisions)
    for reason, number in reasons.items():
        decisions.labels(reason.value).inc(number)
    begins = [arrival for arrival in arrivals if arrival.begun is None]
    alerts_truncated.inc(sum(max(0, one.notification.truncated_alerts) for one in begins))
    recoveries.inc(sum(len(receipt.recovered) for receipt in receipts))


def tell(arrival: Arrival, receipt: Receipt) -> None:
    """One line per notification, with counts by reason."""
    notification = arrival.notification
    log().info(
        "notification_decided",
        notification_id=receipt.notification_id,
        source=arrival.source.value,
        sender=arrival.sender,
        receiver=notification.receiver,
        truncated_alerts=notification.truncated_alerts,
        **Counter(str(decision.reason) for decision in receipt.decisions),
    )


def tell_runs(receipt: Receipt) -> None:
    """One line per trigger and recovery."""
    for decision in receipt.decisions:
        if decision.reason is Reason.TRIGGERED:
            tell_triggered(decision)
    for model in receipt.recovered:
        log().info("model_recovered", model=model)


def count_one(decision: Decision) -> None:
    """Count a decision that no notification asked for, and log it if it ordered a run."""
    decisions.labels(decision.reason.value).inc()
    if decision.reason is Reason.TRIGGERED:
        tell_triggered(decision)


def tell_triggered(decision: Decision) -> None:
    """One line per trigger."""
    log().info(
        "triggered",
        decision_id=decision.id,
        dispatch_id=decision.dispatch_id,
        model=decision.model,
        policy=decision.policy,
        source=decision.source.value,
        alertname=decision.alertname,
        value=decision.value,
    )
