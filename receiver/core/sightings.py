"""Sightings: what sources said of each alert, and how far it may be believed by that."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from receiver.core.models import FiringAlert, latest_of
from receiver.core.sources import Asking, Listed, Quiet

ENOUGH = 2
"""Answers in a row without an alert that together say: it is over."""

HUMAN_AFTER = timedelta(minutes=15)
"""How long an unconfirmed alert may hold its model before a human must look."""

DELIVERED = "webhook"
"""Who confirms an alert that was delivered to us."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one source said of one alert that we have, or may soon have, to do with.

    Attributes:
        missed_since: Since when its answers do not list it; None while they do.
        misses: How many such answers in a row count.
        refused_by: The configuration by which it was `invalid`, and then left alone;
            None if it was not.
        clashes: Whether that was because another alert's labels have the name of its model.
        heard_at: When the source answered last, whatever it said of others.

    """

    source: str
    fingerprint: str
    starts_at: datetime
    missed_since: datetime | None = None
    misses: int = 0
    quiet: Quiet | None = None
    refused_by: str | None = field(default=None, compare=False)
    clashes: bool = field(default=False, compare=False)
    heard_at: datetime | None = field(default=None, compare=False)

    @property
    def is_listed(self) -> bool:
        """Whether the source's last answer had it."""
        return self.missed_since is None

    def was_heard(self, now: datetime, within: timedelta) -> bool:
        """Whether its source answered so recently that its word is about now.

        Either side of it: a clock that went back says nothing.
        """
        return self.heard_at is not None and abs(now - self.heard_at) < within

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


def seen(source: str, listed: Listed, asked_at: datetime | None = None) -> Sighting:
    """What a source that lists an alert says of it."""
    return Sighting(
        source, listed.fingerprint, listed.starts_at, quiet=listed.quiet, heard_at=asked_at
    )


@dataclass(frozen=True, slots=True)
class Consensus:
    """What all sources said of one alert in their last answers.

    Attributes:
        listed_by: Those that list it.
        missed_by: Those that did, and list it no more.
        missed_since: Since when none lists it that ever did; None if one does or none ever did.
        over: Whether each that knew it has missed it often enough.
        quiet: Why nobody is told of it, as one that lists it says now; the one that holds longest.

    """

    listed_by: tuple[str, ...] = ()
    missed_by: tuple[str, ...] = ()
    missed_since: datetime | None = None
    over: bool = False
    quiet: Quiet | None = None


def consensus_of(sightings: Iterable[Sighting], asking: Asking, now: datetime) -> Consensus:
    """Join what the configured sources said of one alert.

    That somebody is not told of it counts only while its source is heard: a mute time has no end
    that we know, and a silence may have been expired by hand.
    """
    known = sorted((s for s in sightings if s.source in asking.sources), key=lambda s: s.source)
    listed = [one for one in known if one.is_listed]
    missed = [one for one in known if not one.is_listed]
    return Consensus(
        listed_by=tuple(one.source for one in listed),
        missed_by=tuple(one.source for one in missed),
        missed_since=None if listed else latest_of(*(one.missed_since for one in missed)),
        over=bool(known) and all(one.misses >= ENOUGH for one in known),
        quiet=_longest(o.quiet for o in listed if o.was_heard(now, asking.confirm_within)),
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
    entry: FiringAlert, sightings: Iterable[Sighting], asking: Asking | None, now: datetime
) -> Belief | None:
    """What is known of an entry of a firing set; None where nobody can be asked."""
    if asking is None:
        return None
    return Belief(
        confirm_within=asking.confirm_within,
        confirmed_at=entry.confirmed_at,
        confirmed_by=entry.confirmed_by or DELIVERED,
        held_since=entry.held_since if entry.held_by == UNCONFIRMED else None,
        consensus=consensus_of(sightings, asking, now),
    )


UNCONFIRMED = "unconfirmed"
SILENCED = "silenced"
"""The rungs' names, as an entry keeps what held it."""


def delivered(
    sightings: Iterable[Sighting],
    asking: Asking | None,
    now: datetime,
    told_by: str | None = None,
) -> Belief | None:
    """What is known of an alert that was delivered just now: that confirms it.

    A silence counts all the same while its source is heard: Alertmanager repeats a notification
    for minutes, and what was silenced meanwhile is still in it.
    """
    if asking is None:
        return None
    consensus = consensus_of(sightings, asking, now)
    told = replace(consensus, missed_by=(), missed_since=None, over=False)
    return Belief(asking.confirm_within, now, told_by or DELIVERED, consensus=told)


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
