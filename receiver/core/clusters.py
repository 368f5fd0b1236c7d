"""Clusters: which `externalURL` a source speaks for, and what goes on in another cluster.

Nobody configures which source belongs to which sender. It is learned: one that lists an alert of
the beginning that an `externalURL` told is of that cluster, for two clusters never share one by
chance. The members of one cluster share beginnings, whatever their URLs are.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from receiver.core.claims import Claim
from receiver.core.ids import MILLISECOND
from receiver.core.sightings import Sighting

MOST_URLS = 8
"""Of one source: its members', and a few that were changed. None is longer than a claim's."""


def are_one(beginning: datetime, other: datetime) -> bool:
    """Whether these are one firing's: Alertmanager's API rounds to milliseconds."""
    return abs(beginning - other) < MILLISECOND


def urls_of(claims: Iterable[Claim], starts_at: datetime) -> set[str]:
    """Whom a source speaks for that lists what these said, since then."""
    return {one.url for one in claims if one.url and are_one(one.starts_at, starts_at)}


def learned(known: Sequence[str], heard: Collection[str]) -> Sequence[str]:
    """What is known of a source's cluster after an answer, the newest first."""
    news = sorted(set(heard) - set(known))
    return [*news, *known][:MOST_URLS] if news else known


def other_firings(sightings: Iterable[Sighting], ended: datetime) -> list[Sighting]:
    """What is listed besides the firing that began then and has ended, by source.

    Whoever lists what began together soon says so, too. And what was heard of before the firing
    began may be over since.
    """
    return [
        one
        for one in sorted(sightings, key=lambda one: one.source)
        if one.is_listed
        and not are_one(one.starts_at, ended)
        and one.heard_at is not None
        and one.heard_at >= ended
    ]


def of_other_clusters(
    firings: Iterable[Sighting], speak_for: Mapping[str, Sequence[str]], url: str
) -> list[Sighting]:
    """Those of other clusters than the one that this URL is of.

    Where no source is known to speak for the URL, nobody can be told from its cluster.
    """
    if not any(url in urls for urls in speak_for.values()):
        return []
    return [one for one in firings if url not in speak_for.get(one.source, ())]
