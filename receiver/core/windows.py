"""Windows: a policy's allowed hours, by weekday and time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MIDNIGHT = 24 * 60
"""The end of a day, in minutes."""

SEARCHED = timedelta(days=16)
"""Every window opens within two weeks: what the clocks skip this week is there in the next."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Some hours of some weekdays.

    Attributes:
        days: The days on which they begin; Monday is 0.
        start: Minutes after midnight.
        end: The same; not later than `start` means: on the day after.

    """

    days: frozenset[int]
    start: int = 0
    end: int = MIDNIGHT

    def contain(self, day: int, minute: int) -> bool:
        """Whether a wall clock shows one of these hours."""
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        began_today = day in self.days and minute >= self.start
        began_yesterday = (day - 1) % len(DAYS) in self.days and minute < self.end
        return began_today or began_yesterday

    def __str__(self) -> str:
        days = (
            "daily"
            if len(self.days) == len(DAYS)
            else ",".join(DAYS[d] for d in sorted(self.days))
        )
        if (self.start, self.end) == (0, MIDNIGHT):
            return days
        return f"{days} {_clock(self.start)}-{_clock(self.end)}"


@dataclass(frozen=True, slots=True)
class Window:
    """The hours in which runs may start, as a wall clock of that place shows them.

    An hour that the clocks repeat counts both times; one that they skip is not there.
    """

    location: str
    zone: tzinfo
    hours: tuple[Hours, ...]

    def is_open(self, now: datetime) -> bool:
        """Whether a run may start now."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        return any(hours.contain(local.weekday(), minute) for hours in self.hours)

    def opens_at(self, now: datetime) -> datetime:
        """The first moment after `now` at which it is open. Ask when it is closed."""
        opening = (at for at in self._changes(now) if at > now and self.is_open(at))
        return min(opening, default=now + SEARCHED)

    def __str__(self) -> str:
        return f"{'; '.join(str(hours) for hours in self.hours)} in {self.location}"

    def _changes(self, now: datetime) -> Iterator[datetime]:
        """Every moment at which it may open: when hours begin, and when the clocks change."""
        today = now.astimezone(self.zone).date()
        for number in range(-1, SEARCHED.days):
            day = today + number * _DAY
            for hours in self.hours:
                yield from self._begins(day, hours)
            yield from _clocks_change(self.zone, datetime.combine(day, time(), UTC))

    def _begins(self, day: date, hours: Hours) -> Iterator[datetime]:
        wall = datetime.combine(day, time(*divmod(hours.start, 60)), self.zone)
        for fold in (0, 1):
            yield wall.replace(fold=fold).astimezone(UTC)


def _clocks_change(zone: tzinfo, begin: datetime) -> Iterator[datetime]:
    """The moment of this day at which the zone's offset changes, if it does."""
    before, after = begin, begin + _DAY
    old = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == old:
        return
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    yield after


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
