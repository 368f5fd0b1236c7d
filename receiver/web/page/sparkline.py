"""Draws a model's alert values as a sparkline, with threshold and runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT = 180, 44
MARGIN = 4


@dataclass(frozen=True, slots=True)
class Point:
    """One stored value."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What the template draws, in pixels.

    Attributes:
        path: The line's way in SVG.
        dots: Where single values stand; only the last one if they are many.
        threshold_y: The threshold's height; None if it is not known.
        marks: Where runs were sent.
        label: The same in words.

    """

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]
    threshold_y: float | None
    marks: tuple[float, ...]
    label: str


def draw(
    name: str,
    points: Sequence[Point],
    threshold: float | None,
    runs: Sequence[datetime],
    now: datetime,
) -> Sparkline | None:
    """Draw values, oldest first, up to now; None without any."""
    if not points:
        return None
    begin = points[0].at
    span = max(now - begin, timedelta(seconds=1))
    heights = [point.value for point in points] + ([] if threshold is None else [threshold])
    low, high = min(heights), max(heights)

    def x(moment: datetime) -> float:
        return round(MARGIN + (moment - begin) / span * (WIDTH - 2 * MARGIN), 1)

    def y(value: float) -> float:
        # Each is divided first: the distance of two finite numbers need not be finite.
        part = 0.5 if high == low else (value / 2 - low / 2) / (high / 2 - low / 2)
        return round(HEIGHT - MARGIN - part * (HEIGHT - 2 * MARGIN), 1)

    places = [(x(point.at), y(point.value)) for point in points]
    marks = tuple(x(run) for run in runs if begin <= run <= now)
    return Sparkline(
        name=name,
        path="M" + "L".join(f"{left} {top}" for left, top in places),
        dots=(places[-1],),
        threshold_y=None if threshold is None else y(threshold),
        marks=marks,
        label=_label(name, points, threshold, len(marks)),
    )


def _label(name: str, points: Sequence[Point], threshold: float | None, runs: int) -> str:
    values = [point.value for point in points]
    count = "1 value" if len(values) == 1 else f"{len(values)} values"
    against = "" if threshold is None else f", threshold {threshold:.4g}"
    marked = "" if not runs else f", {runs} run{'s' if runs > 1 else ''} marked"
    return (
        f"{name}: {count} from {min(values):.4g} to {max(values):.4g}, "
        f"last {values[-1]:.4g}{against}{marked}"
    )
