"""Sources: who can be asked which alerts fire, and what they answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from receiver.core.alerts import Alert, AlertStatus

STEADY = timedelta(minutes=5)
"""So long a source must have answered without a restart before its silence counts: one that lost
its data hears of most alerts again within Prometheus' resend delay, and of all within minutes."""

SOONEST_ASK = timedelta(seconds=5)
"""A source that is wanted at once is still not asked more often than this."""

PROMETHEUS = "prometheus"
"""What Prometheus is called among the sources."""


class SourceDown(Exception):
    """A source did not say which alerts fire; the message is one sentence with its cure."""


class Hush(StrEnum):
    """Why Alertmanager keeps an alert to itself although it fires. Stored and shown."""

    SILENCED = "silenced"  # somebody made a silence
    MUTED = "muted"  # its route has hours in which nobody is told


@dataclass(frozen=True, slots=True)
class Quiet:
    """Somebody said of an alert: don't act.

    Attributes:
        id: The silence's, or the name of the time interval.
        ends_at: None if that is not known.

    """

    how: Hush
    id: str
    author: str = ""
    comment: str = ""
    ends_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is still in force, as far as we were told."""
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True, slots=True)
class Listed:
    """One alert that a source says fires.

    Attributes:
        fingerprint: Empty where the source names its alerts by labels only.
        annotations: Of which only numbers are kept.
        settled: Whether the source has decided yet if somebody is told of it, and nothing that
            inhibits it speaks against that.
        value: What its rule's expression gave last, where the source says so.

    """

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    quiet: Quiet | None = None
    settled: bool = True
    value: float | None = None

    @property
    def alert(self) -> Alert:
        """The same as policies match it."""
        return Alert(
            status=AlertStatus.FIRING,
            labels=self.labels,
            starts_at=self.starts_at,
            ends_at=None,
            fingerprint=self.fingerprint,
            value=None,
            position=0,
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of a source: everything of ours that fires there.

    Attributes:
        up_since: When it says that it was started: tells one life of it from the next.

    """

    alerts: Sequence[Listed]
    up_since: str = ""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What we remember of a source between two answers.

    Attributes:
        due_at: When it is asked next.
        leased_until: Until then whoever asks it now has it for himself.
        up_since: What its last answer said.
        steady_since: Since when, by our clock, its answers came from one life of it.
        error: Why the last try failed, None if it did not.
        error_since: When the tries began to fail.
        urls: The `externalURL`s that it speaks for, the newest first; None if none was learned.

    """

    name: str
    due_at: datetime
    leased_until: datetime | None = None
    asked_at: datetime | None = None
    last_answer_at: datetime | None = None
    up_since: str = ""
    steady_since: datetime | None = None
    error: str | None = None
    error_since: datetime | None = None
    urls: Sequence[str] | None = None

    def is_due(self, now: datetime, poll: timedelta) -> bool:
        """Whether it may be asked now. A deadline further ahead than the rule is not trusted."""
        taken = self.leased_until is not None and now < self.leased_until <= now + LEASE
        return not taken and not now < self.due_at <= now + poll

    def taken(self, now: datetime, poll: timedelta) -> "SourceRecord":
        """The same, being asked."""
        return replace(self, due_at=now + poll, leased_until=now + LEASE, asked_at=now)

    def wanted(self, now: datetime) -> "SourceRecord":
        """The same, to be asked as soon as that may be."""
        soonest = now if self.asked_at is None else min(self.asked_at, now) + SOONEST_ASK
        return replace(self, due_at=min(self.due_at, max(now, soonest)))

    def answered(self, asked_at: datetime, up_since: str) -> "SourceRecord":
        """The same after an answer to what was asked then."""
        known = self.steady_since is not None and self.up_since == up_since
        began = min(self.steady_since or asked_at, asked_at) if known else asked_at
        return replace(
            self,
            leased_until=None,
            last_answer_at=asked_at,
            up_since=up_since,
            steady_since=began,
            error=None,
            error_since=None,
        )

    def failed(self, asked_at: datetime, why: str) -> "SourceRecord":
        """The same after a try that brought no answer."""
        since = self.error_since or asked_at
        return replace(self, leased_until=None, error=why, error_since=since)

    def is_steady(self, now: datetime) -> bool:
        """Whether it has been up so long that what it does not list is over."""
        return self.steady_since is not None and now - self.steady_since >= STEADY


LEASE = timedelta(minutes=2)
"""Longer than any asking, which promises to end within one and a half."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom the configuration lets us ask.

    Attributes:
        sources: The Alertmanagers' names.
        prometheus: Whether Prometheus may object to the end of an alert.

    """

    sources: frozenset[str]
    confirm_within: timedelta = timedelta(minutes=5)
    prometheus: bool = False

    @property
    def everybody(self) -> frozenset[str]:
        """The names of all that are asked."""
        return self.sources | ({PROMETHEUS} if self.prometheus else set())


def shows(listed: Iterable[Listed], labels: Mapping[str, str]) -> bool:
    """Whether one of Prometheus' own alerts may be this one of Alertmanager's.

    In doubt it fires.
    """
    return any(_may_be(one, labels) for one in listed)


def value_shown(listed: Iterable[Listed], labels: Mapping[str, str]) -> float | None:
    """What Prometheus has evaluated for an alert of Alertmanager's.

    None if it shows none, or several that may be this one and differ.
    """
    values = {one.value for one in listed if _may_be(one, labels)}
    return values.pop() if len(values) == 1 else None


def _may_be(one: Listed, labels: Mapping[str, str]) -> bool:
    """On the way external labels were added and others dropped: what both have must agree."""
    return one.labels.get("alertname") == labels.get("alertname") and all(
        labels.get(name, value) == value for name, value in one.labels.items()
    )
