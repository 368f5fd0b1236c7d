"""Sources: who can be asked which alerts fire, what they said, and what may be believed of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from receiver.core.alerts import Alert, AlertStatus
from receiver.core.models import FiringAlert, latest_of

STEADY = timedelta(minutes=5)
"""So long a source must have answered without a restart before its silence counts: one that lost
its data hears of most alerts again within Prometheus' resend delay, and of all within minutes."""

ENOUGH = 2
"""Answers in a row without an alert that together say: it is over."""

HUMAN_AFTER = timedelta(minutes=15)
"""How long an unconfirmed alert may hold its model before a human must look."""

SOONEST_ASK = timedelta(seconds=5)
"""A source that is wanted at once is still not asked more often than this."""

PROMETHEUS = "prometheus"
"""What Prometheus is called among the sources."""

DELIVERED = "webhook"
"""Who confirms an alert that was delivered to us."""


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
class Sighting:
    """What one source said of one alert that we have, or may soon have, to do with.

    Attributes:
        missed_since: Since when its answers do not list it; None while they do.
        misses: How many such answers in a row count.
        refused_by: The configuration by which it was `invalid`, and then left alone;
            None if it was not.
        clashes: Whether that was because another alert's labels have the name of its model.

    """

    source: str
    fingerprint: str
    starts_at: datetime
    missed_since: datetime | None = None
    misses: int = 0
    quiet: Quiet | None = None
    refused_by: str | None = field(default=None, compare=False)
    clashes: bool = field(default=False, compare=False)

    @property
    def is_listed(self) -> bool:
        """Whether the source's last answer had it."""
        return self.missed_since is None

    def missed(self, asked_at: datetime, confirmed_at: datetime, *, counts: bool) -> "Sighting":
        """The same after an answer that does not list it.

        An alert that was confirmed after an earlier such answer begins anew; so does the count
        with an answer that does not count.
        """
        again = self.missed_since is not None and not is_between(
            self.missed_since, confirmed_at, asked_at
        )
        since = self.missed_since if again else asked_at
        before = self.misses if again else 0
        misses = before + 1 if counts else 0
        return replace(self, missed_since=since, misses=misses, quiet=None)


def is_between(earlier: datetime, moment: datetime, later: datetime) -> bool:
    """Whether it was confirmed since, and not in a future that a clock was set back from."""
    return earlier <= moment <= later


def seen(source: str, listed: Listed) -> Sighting:
    """What a source that lists an alert says of it."""
    return Sighting(source, listed.fingerprint, listed.starts_at, quiet=listed.quiet)


@dataclass(frozen=True, slots=True)
class Consensus:
    """What all sources said of one alert in their last answers.

    Attributes:
        listed_by: Those that list it.
        missed_by: Those that did, and list it no more.
        missed_since: Since when none lists it that ever did; None if one does or none ever did.
        over: Whether each that knew it has missed it often enough.
        quiet: Why nobody is told of it, as one that lists it says; the one that holds longest.

    """

    listed_by: tuple[str, ...] = ()
    missed_by: tuple[str, ...] = ()
    missed_since: datetime | None = None
    over: bool = False
    quiet: Quiet | None = None


def consensus_of(sightings: Iterable[Sighting], sources: Collection[str]) -> Consensus:
    """Join what the configured sources said of one alert."""
    known = sorted((s for s in sightings if s.source in sources), key=lambda s: s.source)
    listed = [one for one in known if one.is_listed]
    missed = [one for one in known if not one.is_listed]
    return Consensus(
        listed_by=tuple(one.source for one in listed),
        missed_by=tuple(one.source for one in missed),
        missed_since=None if listed else latest_of(*(one.missed_since for one in missed)),
        over=bool(known) and all(one.misses >= ENOUGH for one in known),
        quiet=_longest(one.quiet for one in listed),
    )


def _longest(quiets: Iterable[Quiet | None]) -> Quiet | None:
    found = [quiet for quiet in quiets if quiet is not None]
    endless = next((quiet for quiet in found if quiet.ends_at is None), None)
    return endless or max(found, key=lambda quiet: str(quiet.ends_at), default=None)


@dataclass(frozen=True, slots=True)
class Belief:
    """How far an alert may be believed: what the rungs `silenced` and `unconfirmed` look at.

    Attributes:
        confirm_within: A run needs an alert that was confirmed so recently.
        confirmed_at: When somebody last said that it fires.
        confirmed_by: Who: a source, or a delivery.
        held_since: Since when `unconfirmed` has held it; None if it does not yet.

    """

    confirm_within: timedelta
    confirmed_at: datetime
    confirmed_by: str = DELIVERED
    held_since: datetime | None = None
    consensus: Consensus = Consensus()


def believed(
    entry: FiringAlert, sightings: Iterable[Sighting], asking: "Asking | None"
) -> Belief | None:
    """What is known of an entry of a firing set; None where nobody can be asked."""
    if asking is None:
        return None
    return Belief(
        confirm_within=asking.confirm_within,
        confirmed_at=entry.confirmed_at,
        confirmed_by=entry.confirmed_by or DELIVERED,
        held_since=entry.held_since if entry.held_by == UNCONFIRMED else None,
        consensus=consensus_of(sightings, asking.sources),
    )


UNCONFIRMED = "unconfirmed"
SILENCED = "silenced"
"""The rungs' names, as an entry keeps what held it."""


def delivered(
    sightings: Iterable[Sighting],
    asking: "Asking | None",
    now: datetime,
    told_by: str | None = None,
) -> Belief | None:
    """What is known of an alert that was delivered just now: that confirms it.

    A silence counts all the same: Alertmanager repeats a notification for minutes, and what was
    silenced meanwhile is still in it.
    """
    if asking is None:
        return None
    consensus = consensus_of(sightings, asking.sources)
    told = replace(consensus, missed_by=(), missed_since=None, over=False)
    return Belief(asking.confirm_within, now, told_by or DELIVERED, consensus=told)


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


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """What an answer is compared with: an entry of some firing set, without its labels.

    Twenty thousand of them are read for each answer.
    """

    model: str
    confirmed_at: datetime
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Differences:
    """What an answer changes.

    Attributes:
        confirmed: Entries that it lists and whose confirmation is due, or whose sighting changed.
        missed: Entries that it knew and lists no more.
        untold: Alerts that it listed twice in a row, and nobody told us of.
        refused: The same of what was decided as `invalid`, with what was known of each.
        noticed: Alerts that it lists for the first time, or anew, and that are in no set.
        gone: Fingerprints that it knew, lists no more, and that are in no set.

    """

    confirmed: Mapping[str, Listed] = field(default_factory=dict)
    missed: Collection[str] = ()
    untold: Sequence[Listed] = ()
    refused: Sequence[tuple[Listed, Sighting]] = ()
    noticed: Sequence[Listed] = ()
    gone: Collection[str] = ()


def compare(
    listed: Iterable[Listed],
    entries: Mapping[str, KnownEntry],
    known: Mapping[str, Sighting],
    asked_at: datetime,
    renew_after: timedelta,
) -> Differences:
    """Compare an answer with what we have: `entries` of all sets, `known` of this source.

    Entries that were confirmed a moment ago, and of which nothing else changed, are left alone:
    20,000 of them need no write at each answer.
    """
    confirmed: dict[str, Listed] = {}
    untold: list[Listed] = []
    refused: list[tuple[Listed, Sighting]] = []
    noticed: list[Listed] = []
    there: set[str] = set()
    for one in listed:
        there.add(one.fingerprint)
        entry, before = entries.get(one.fingerprint), known.get(one.fingerprint)
        changed = before is None or before != seen(before.source, one)
        if entry is not None:
            if changed or _is_due(entry, asked_at, renew_after):
                confirmed[one.fingerprint] = one
        elif before is None or changed:
            noticed.append(one)
        elif one.settled and before.refused_by is not None:
            refused.append((one, before))
        elif one.settled:
            untold.append(one)
    missed = [name for name in known if name not in there and name in entries]
    gone = [name for name in known if name not in there and name not in entries]
    return Differences(confirmed, missed, untold, refused, noticed, gone)


def _is_due(entry: KnownEntry, asked_at: datetime, renew_after: timedelta) -> bool:
    aged = abs(asked_at - entry.confirmed_at) >= renew_after
    return aged or entry.held_by == UNCONFIRMED


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
