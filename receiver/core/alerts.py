"""Notifications and alerts, as Alertmanager sent them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

VALUE = "value"
"""The annotation that holds an alert's number, unless its policy names another."""

LABELS_BYTES = 64 * 1024
"""The most that an alert's labels may take as JSON in ASCII, which is how they are stored.

Alertmanager was seen with 320 labels in 20 KB. Labels are stored with every decision and shown in
lists, so that what one alert may have, hundreds may have at a time.
"""


class AlertStatus(StrEnum):
    """What an alert's own `status` says. A notification's top-level status is never read."""

    FIRING = "firing"
    RESOLVED = "resolved"


class ValueIs(StrEnum):
    """What the value beside a decision is. Shown: never rename one."""

    DECIDED = "when decided"  # of an alert that fired then
    LAST_FIRING = "last seen firing"  # a resolved alert still carries it: not the recovered value


def value_is(status: str | None, value: float | None) -> ValueIs | None:
    """What a decision's value is; None without one."""
    if value is None:
        return None
    return ValueIs.LAST_FIRING if status == AlertStatus.RESOLVED.value else ValueIs.DECIDED


class Source(StrEnum):
    """Who asked for a decision. Stored and shown: never rename one."""

    ALERTMANAGER = "alertmanager"
    TIMER = "timer"
    OPERATOR = "operator"
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class Alert:
    """One entry of a notification.

    Attributes:
        status: Firing or resolved; None if the entry did not say.
        labels: As sent; strangers' text.
        starts_at: When the alert began to fire; None for "never" (year 1) or if unreadable.
        ends_at: When it was resolved; None while it fires.
        fingerprint: Alertmanager's hash of all labels: names the alert, never the model.
        value: The `value` annotation as a finite or non-finite number, None if there is none.
        numbers: Other annotations that are numbers, by name, for policies that name one; None
            without any.
        position: Its place in the notification, from 0.
        problem: Why it can't be understood, in one clause; None for a healthy alert.
        cut: Whether most of its labels were left out, so that nothing can be told by them.

    """

    status: AlertStatus | None
    labels: Mapping[str, str]
    starts_at: datetime | None
    ends_at: datetime | None
    fingerprint: str
    value: float | None
    position: int
    problem: str | None = None
    cut: bool = False
    numbers: Mapping[str, float] | None = None

    def valued_by(self, annotation: str) -> "Alert":
        """The same, with the number of this annotation as its value; None if it holds none."""
        return replace(self, value=(self.numbers or {}).get(annotation))

    @property
    def alertname(self) -> str:
        """The `alertname` label; Alertmanager also delivers alerts without one."""
        return self.labels.get("alertname", "")

    @property
    def is_test(self) -> bool:
        """Whether it is a test alert: observed, never acted on."""
        return self.labels.get("retrain_test") == "true"


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook POST of Alertmanager, version 4.

    Attributes:
        receiver: The receiver's name, un-escaped.
        group_key: Alertmanager's name of the group; contains the route, so it identifies nothing.
        status: The top-level status, kept for the record only.
        truncated_alerts: How many alerts `max_alerts` cut off: models we were not told about.
        notification_reason: Why Alertmanager sent it (0.32 and later), None before.
        route_labels: Labels of the matching route (0.34 and later), None before.
        body: The bytes as received.

    """

    receiver: str
    group_key: str
    external_url: str
    status: str
    truncated_alerts: int
    notification_reason: str | None
    route_labels: Mapping[str, str] | None
    alerts: tuple[Alert, ...]
    body: bytes


class BadNotification(ValueError):
    """The body is not an Alertmanager notification; the message says why, in one line."""
