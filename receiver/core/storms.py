"""Storms: many models that begin to fire together, which suggests bad data, not bad models."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
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


class Onsets:
    """When the models of a policy began to fire: sorted once, for a question about each of them.

    A storm of ten thousand asks ten thousand times; to look at all of them each time would take
    the square of that.
    """

    def __init__(self, onsets: Mapping[str, Onset], storm: Storm, now: datetime) -> None:
        self._storm, self._now = storm, now
        self._counted = {name: one for name, one in onsets.items() if self._counts(one)}
        counted = sorted(self._counted.values(), key=_began_at)
        self._firing = [onset.began_at for onset in counted if onset.emptied_at is None]
        self._ceasing = [onset for onset in counted if onset.emptied_at is not None]
        self._ceasing_began = [onset.began_at for onset in self._ceasing]

    def around(self, name: str, began_at: datetime) -> Gathering:
        """Who began to fire close to `began_at`, before or after, with this model, which fires.

        What is known of the model itself is not asked: it may fire anew since.
        """
        first, last = self._near(self._firing, began_at)
        from_, to = self._near(self._ceasing_began, began_at)
        firing, ceasing = last - first + 1, to - from_
        known = self._counted.get(name)
        if known is not None and abs(known.began_at - began_at) <= self._storm.within:
            firing -= known.emptied_at is None
            ceasing -= known.emptied_at is not None
        if not firing <= self._storm.models < firing + ceasing:
            return Gathering(firing + ceasing)
        others = [one for one in self._ceasing[from_:to] if one is not known]
        ends = sorted(one.emptied_at + self._storm.calm for one in others if one.emptied_at)
        return Gathering(firing + ceasing, ends[firing + ceasing - self._storm.models - 1])

    def calm_models(self, names: Iterable[str]) -> frozenset[str]:
        """Those of these models that few enough others began to fire close to."""
        return frozenset(
            name
            for name in names
            if (own := self._counted.get(name)) is not None
            and self.around(name, own.began_at).count <= self._storm.models
        )

    def _counts(self, onset: Onset) -> bool:
        ended = onset.emptied_at
        return ended is None or ended + self._storm.calm > self._now

    def _near(self, moments: Sequence[datetime], began_at: datetime) -> tuple[int, int]:
        within = self._storm.within
        return bisect_left(moments, began_at - within), bisect_right(moments, began_at + within)


def _began_at(onset: Onset) -> datetime:
    return onset.began_at
