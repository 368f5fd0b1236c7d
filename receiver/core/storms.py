"""Storms: many models that begin to fire together, which suggests bad data, not bad models."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Storm:
    """When a policy suspects the data.

    Attributes:
        models: More than so many are a storm.
        within: How close together they began to fire.
        wait: How long each is held first, so that the first models of a storm are held too.
        calm: How long so many must have ceased to fire before the storm is over.

    """

    models: int
    within: timedelta
    wait: timedelta
    calm: timedelta


@dataclass(frozen=True, slots=True)
class Onset:
    """A model's episode: when it began, and since when nothing of it fires."""

    began_at: datetime
    emptied_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gathering:
    """The models that began to fire close to one of them, itself included.

    Attributes:
        count: Those that fire, or ceased to so lately that it is no calm yet.
        calm_at: When few enough are left if nothing else happens; None if too many fire.

    """

    count: int = 0
    calm_at: datetime | None = None


ALONE = Gathering()


def calm_models(onsets: Mapping[str, Onset], storm: Storm, now: datetime) -> frozenset[str]:
    """The models that few enough others began to fire close to: `gather` for all at once."""
    counted = sorted(
        onset.began_at
        for onset in onsets.values()
        if onset.emptied_at is None or onset.emptied_at + storm.calm > now
    )

    def count(began_at: datetime) -> int:
        first = bisect_left(counted, began_at - storm.within)
        return bisect_right(counted, began_at + storm.within) - first

    return frozenset(name for name, one in onsets.items() if count(one.began_at) <= storm.models)


def gather(
    onsets: Collection[Onset], began_at: datetime, storm: Storm, now: datetime
) -> Gathering:
    """Who began to fire close to `began_at`, before or after."""
    near = [onset for onset in onsets if abs(onset.began_at - began_at) <= storm.within]
    firing = sum(onset.emptied_at is None for onset in near)
    ends = [onset.emptied_at + storm.calm for onset in near if onset.emptied_at is not None]
    ceasing = sorted(end for end in ends if end > now)
    count = firing + len(ceasing)
    calm_at = None
    if firing <= storm.models < count:
        calm_at = ceasing[count - storm.models - 1]
    return Gathering(count, calm_at)
