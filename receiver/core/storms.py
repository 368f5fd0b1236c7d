"""Storms: many models that begin to fire together, which suggests bad data, not bad models."""

from collections.abc import Collection
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
