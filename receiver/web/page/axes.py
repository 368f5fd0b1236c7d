"""Places the ticks of a chart's axes on round numbers and round times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

STEPS = (1, 2, 5, 10)
"""A round step is one of these times a power of ten."""

PARTS = 4
"""About as many spaces as there shall be between the ticks of an axis of values."""

PLAIN = 1e6
"""From here on a number is told by its power of ten."""

LARGEST, SMALLEST = 1e300, 1e-300
"""Between these a distance is a finite number that is not nothing."""

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis of values: from `low` to `high`, both of them ticks."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def part(self, value: float) -> float:
        """How far up a value stands: 0 at the bottom, 1 at the top."""
        # Each is divided first: the distance of two finite numbers need not be finite.
        part = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return min(max(part, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A round moment; `is_day` where a day begins."""

    at: datetime
    words: str
    is_day: bool


def scale_of(values: Sequence[float]) -> Scale:
    """An axis that all of these stand on; values that are all the same stand in its middle."""
    known = [min(max(value, -LARGEST), LARGEST) for value in values]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if high - low <= max(abs(low), abs(high)) * 1e-9:
        pad = abs(low) / 10 or 1.0
        low, high = low - pad, high + pad
    step = _round_step(max((high - low) / PARTS, SMALLEST))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [number * step for number in range(first, max(last, first + 1) + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return Scale(ticks[0], ticks[-1], [(tick, _words(tick, digits)) for tick in ticks])


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - 1e-9))


def _words(tick: float, digits: int) -> str:
    """A tick as it is written: all of an axis with as many digits behind the point."""
    if digits > 6 or abs(tick) >= PLAIN:  # noqa: PLR2004  more are not read but counted
        return f"{tick:.4g}"
    return f"{tick:.{digits}f}" if tick else "0"


def time_ticks(begin: datetime, end: datetime, step: timedelta) -> list[TimeTick]:
    """The multiples of a step, counted from midnight in UTC or in whole days."""
    number = -((EPOCH - begin) // step)
    found = []
    while (at := EPOCH + number * step) <= end:
        is_day = (at - EPOCH) % DAY == timedelta(0)
        if at >= begin:
            found.append(TimeTick(at, at.strftime("%d %b" if is_day else "%H:%M"), is_day))
        number += 1
    return found
