"""Draws a model's chart: values against their threshold, runs, and what held it, over time.

Pure: facts in, the places of what the template draws out. Across, places are parts of a hundred,
so that a chart is as wide as the screen and its texts stay as large as they are; the line alone is
drawn in units of its own, `WIDTH` by `HEIGHT`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from receiver.core.expressions import Comparison
from receiver.web.page.axes import Scale, TimeTick, scale_of, time_ticks
from receiver.web.page.sparkline import Point

WIDTH, HEIGHT = 1000, 160
EDGE = 4.0
"""So near to an edge a text would be cut off; in parts of a hundred."""

CROWDED = {"wide": 1.3, "narrow": 3.6}
"""Marks nearer to each other than this would overlap on such a screen; one stands for all."""

THINNEST = 0.3
"""A run or a hold that was ever so short is still seen."""

LISTED = 20
"""Rows of each table below a chart; the log has all of them."""

GRAVEST = ("failed", "parked", "refused", "unknown", "cancelled", "abandoned", "running")
"""Which of crowded runs is told by its sign; of others the last."""


@dataclass(frozen=True, slots=True)
class Range:
    """How far back a chart looks."""

    name: str
    words: str
    span: timedelta
    tick: timedelta
    slot: timedelta


RANGES = {
    one.name: one
    for one in (
        Range("24h", "24 hours", timedelta(days=1), timedelta(hours=3), timedelta(minutes=5)),
        Range("7d", "7 days", timedelta(days=7), timedelta(days=1), timedelta(minutes=30)),
        Range("30d", "30 days", timedelta(days=30), timedelta(days=5), timedelta(hours=2)),
    )
}
"""By name. A slot is what one pixel or two stand for: values nearer than that are one."""


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one alert.

    Attributes:
        delivered: What deliveries said, oldest first.
        between: What Prometheus says, at each step; empty if it was not asked.
        step: How far those are apart.
        ended: When the alert was resolved: what was delivered then and later is not joined.

    """

    name: str
    delivered: Sequence[Point]
    between: Sequence[Point] = ()
    step: timedelta = timedelta(0)
    ended: Sequence[datetime] = ()
    threshold: float | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run; `ended_at` None while it goes on, `effect` empty until it is known."""

    id: str
    state: str
    ordered_at: datetime
    ended_at: datetime | None
    effect: str = ""
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause or a silence; `end` None while it lasts."""

    kind: str
    begin: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted: where it begins and how wide it is, in parts of a hundred."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign over one moment, standing for `count` of them."""

    left: float
    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Lane:
    """What lasted, and its signs for each kind of screen."""

    bars: Sequence[Bar]
    marks: Mapping[str, Sequence[Mark]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One alert's values.

    Attributes:
        grid: Heights of round values, from the top, and what they are called.
        line: The way of the line in SVG; empty without one.
        good: Dots of deliveries on the good side or where no side is known, `bad` of the others.
        joined: The way from delivery to delivery, where there is no line between them.

    """

    name: str
    grid: Sequence[tuple[float, str]]
    line: str
    good: str
    bad: str
    joined: str
    threshold: float | None
    threshold_y: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready to be drawn."""

    begin: datetime
    end: datetime
    ticks: Sequence[tuple[float, TimeTick, bool]]
    panels: Sequence[Panel]
    holds: Lane
    runs: Lane
    recoveries: Lane
    ends: Sequence[Mark]


def draw(
    wanted: Range,
    now: datetime,
    series: Sequence[Series],
    runs: Sequence[ShownRun],
    holds: Sequence[Hold],
) -> Chart:
    """Draw everything as far as it lies between the range's beginning and now."""
    begin = now - wanted.span
    across = _Across(begin, now)
    within = [run for run in runs if begin <= (run.ended_at or now) and run.ordered_at <= now]
    seen = [hold for hold in holds if begin <= (hold.end or now) and hold.begin <= now]
    bars = [across.bar(run.ordered_at, run.ended_at, run.state) for run in within]
    hold_bars = [across.bar(hold.begin, hold.end, hold.kind) for hold in seen]
    ends = [Mark(across.left(run.ended_at), run.state) for run in within if run.ended_at]
    recovered = [
        Mark(across.left(run.recovered_at), "recovered")
        for run in runs
        if run.recovered_at and begin <= run.recovered_at <= now
    ]
    return Chart(
        begin=begin,
        end=now,
        ticks=_time_axis(across, wanted),
        panels=[_panel(one, across) for one in series],
        holds=_lane(hold_bars, [_middle(bar) for bar in hold_bars]),
        runs=_lane(bars, [Mark(bar.left + bar.width, bar.kind) for bar in bars]),
        recoveries=_lane((), recovered),
        ends=ends,
    )


class _Across:
    """Places in time, as parts of a hundred."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self.begin = begin
        self.end = end

    def left(self, moment: datetime) -> float:
        part = (moment - self.begin) / (self.end - self.begin)
        return round(100 * min(max(part, 0.0), 1.0), 2)

    def bar(self, begin: datetime, end: datetime | None, kind: str) -> Bar:
        left = self.left(begin)
        width = max(self.left(end or self.end) - left, THINNEST)
        return Bar(min(left, 100 - THINNEST), round(width, 2), kind)


def _middle(bar: Bar) -> Mark:
    return Mark(round(bar.left + bar.width / 2, 2), bar.kind)


def _time_axis(across: _Across, wanted: Range) -> list[tuple[float, TimeTick, bool]]:
    """Round moments that are not at an edge; every other one may be left out on a phone."""
    ticks = time_ticks(across.begin, across.end, wanted.tick)
    placed = [(across.left(tick.at), tick) for tick in ticks]
    return [
        (left, tick, number % 2 == 1)
        for number, (left, tick) in enumerate(placed)
        if EDGE <= left <= 100 - EDGE
    ]


def _panel(one: Series, across: _Across) -> Panel:
    delivered = [point for point in one.delivered if across.begin <= point.at <= across.end]
    between = [point for point in one.between if across.begin <= point.at <= across.end]
    values = [point.value for point in (*delivered, *between)]
    if one.threshold is not None:
        values.append(one.threshold)
    scale = scale_of(values)
    place = _Plane(across, scale)
    good: list[str] = []
    bad: list[str] = []
    for point in delivered:
        is_bad = one.comparison is not None and one.comparison.is_bad(point.value)
        (bad if is_bad else good).append(place.dot(point))
    return Panel(
        name=one.name,
        grid=[(place.top(value), words) for value, words in scale.ticks] if values else (),
        line=place.way(_unbroken(between, one.step)),
        # Points that fall together are one: how often something is told must not make a page long.
        good="".join(dict.fromkeys(good)),
        bad="".join(dict.fromkeys(bad)),
        joined="" if between else place.way(_spells(delivered, one.ended)),
        threshold=one.threshold,
        threshold_y=None if one.threshold is None else place.top(one.threshold),
    )


class _Plane:
    """Places of values in the units of the line."""

    def __init__(self, across: _Across, scale: Scale) -> None:
        self._across = across
        self._scale = scale

    def top(self, value: float) -> float:
        return round((1 - self._scale.part(value)) * HEIGHT, 1)

    def place(self, point: Point) -> str:
        return f"{self._across.left(point.at) / 100 * WIDTH:g} {self.top(point.value):g}"

    def dot(self, point: Point) -> str:
        """A line of no length: its round end is the dot, as large on every screen."""
        return f"M{self.place(point)}h0"

    def way(self, parts: Iterable[Sequence[Point]]) -> str:
        ways = (dict.fromkeys(self.place(point) for point in part) for part in parts)
        return "".join(
            "M" + "L".join(way) + ("h0" if len(way) == 1 else "") for way in ways if way
        )


def _unbroken(points: Sequence[Point], step: timedelta) -> list[list[Point]]:
    """The parts of a line: where values are missing, nothing is drawn."""
    parts: list[list[Point]] = [list(points[:1])]
    for before, point in pairwise(points):
        if point.at - before.at > step * 1.5:
            parts.append([])
        parts[-1].append(point)
    return parts


def _spells(points: Sequence[Point], ended: Sequence[datetime]) -> list[list[Point]]:
    """Values between which the alert fired all the time, as far as we were told."""
    parts: list[list[Point]] = [[] for _ in range(len(ended) + 1)]
    for point in points:
        parts[bisect_left(ended, point.at)].append(point)
    return parts


def _lane(bars: Sequence[Bar], marks: Sequence[Mark]) -> Lane:
    return Lane(bars, {screen: crowded(marks, apart) for screen, apart in CROWDED.items()})


def crowded(marks: Iterable[Mark], apart: float) -> list[Mark]:
    """Marks that would overlap become one, which is told by the gravest of them."""
    found: list[Mark] = []
    for mark in sorted(marks, key=lambda one: one.left):
        if found and mark.left - found[-1].left < apart:
            kind = min(mark.kind, found[-1].kind, key=_gravity)
            found[-1] = Mark(found[-1].left, kind, found[-1].count + 1)
        else:
            found.append(mark)
    return found


def _gravity(kind: str) -> int:
    return GRAVEST.index(kind) if kind in GRAVEST else len(GRAVEST)
