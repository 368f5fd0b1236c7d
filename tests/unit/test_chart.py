"""Where a chart's axes, lines, dots, bars and marks stand."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.expressions import Comparison
from receiver.web.page.axes import scale_of, time_ticks
from receiver.web.page.chart import (
    HEIGHT,
    RANGES,
    WIDTH,
    Hold,
    Mark,
    Series,
    ShownRun,
    crowded,
    draw,
)
from receiver.web.page.sparkline import Point
from tests.fakes import NOON

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = RANGES["24h"]
ABOVE = Comparison("mae", 0.45, bad_above=True)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.45, 0.71), ["0.4", "0.5", "0.6", "0.7", "0.8"]),
        ((0.0, 1.0), ["0", "0.5", "1.0"]),
        ((-3, 39), ["-20", "0", "20", "40"]),
        ((41,), ["35", "40", "45", "50"]),
        ((0,), ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        ((), ["0", "0.5", "1.0"]),
        ((1200, 1201), ["1200.0", "1200.5", "1201.0"]),
        ((2e6, 8e6), ["2e+06", "4e+06", "6e+06", "8e+06"]),
        ((1e-9, 2e-9), ["1e-09", "1.5e-09", "2e-09"]),
    ],
)
def test_values_have_round_ticks(values, ticks):
    """Multiples of 1, 2 or 5 times a power of ten, with as many digits as tell them apart."""
    assert [words for _, words in scale_of(values).ticks] == ticks


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_any_values_stand_on_their_axis(values):
    """From the bottom to the top, however large, small or near to each other; with few ticks."""
    scale = scale_of(values)

    assert 2 <= len(scale.ticks) <= 7
    assert all(0 <= scale.part(value) <= 1 for value in values)
    assert all(0 <= scale.part(tick) <= 1 for tick, _ in scale.ticks)


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("24h", "12:00 15:00 18:00 21:00 22 Nov 03:00 06:00 09:00 12:00"),
        ("7d", "16 Nov 17 Nov 18 Nov 19 Nov 20 Nov 21 Nov 22 Nov"),
        ("30d", "24 Oct 29 Oct 03 Nov 08 Nov 13 Nov 18 Nov"),
    ],
)
def test_times_have_round_ticks(name, ticks):
    """Hours of the day, and days by their date."""
    found = time_ticks(NOON - RANGES[name].span, NOON, RANGES[name].tick)

    assert " ".join(tick.words for tick in found) == ticks
    assert [tick.is_day for tick in found] == [":" not in tick.words for tick in found]


def chart(*series, runs=(), holds=(), wanted=DAY):
    return draw(wanted, NOON, series, runs, holds)


def test_values_are_dots_on_the_side_of_the_threshold_that_they_are_on():
    """Deliveries are dots, joined where nobody knows what was between; the threshold is a line."""
    points = [Point(NOON - 12 * HOUR, 0.5), Point(NOON - 6 * HOUR, 0.4), Point(NOON, 0.4)]
    [panel] = chart(Series("MAE", points, threshold=0.45, comparison=ABOVE)).panels

    assert [words for _, words in panel.grid] == ["0.40", "0.45", "0.50"]
    assert panel.bad == f"M{WIDTH / 2:g} 0h0"
    assert panel.good == f"M750 {HEIGHT}h0M1000 {HEIGHT}h0"
    assert panel.joined == f"M500 0L750 {HEIGHT}L1000 {HEIGHT}"
    assert panel.line == ""
    assert (panel.threshold, panel.threshold_y) == (0.45, HEIGHT / 2)


def test_what_was_resolved_between_is_not_joined():
    """Whether it was bad all the time is told by the line: after a recovery it begins anew."""
    points = [Point(NOON - hours * HOUR, 0.5) for hours in (18, 12, 6)]
    [panel] = chart(Series("MAE", points, ended=[NOON - 9 * HOUR])).panels

    assert panel.joined == f"M250 {HEIGHT / 2:g}L500 {HEIGHT / 2:g}M750 {HEIGHT / 2:g}h0"


def test_what_prometheus_says_is_a_line_with_its_gaps():
    """Where a step is missing nothing is drawn; a single one is a dot."""
    between = [Point(NOON - minutes * MINUTE, 1.0) for minutes in (600, 595, 585, 575, 570)]
    [panel] = chart(Series("MAE", [Point(NOON, 2.0)], between, 5 * MINUTE)).panels

    ways = panel.line.removeprefix("M").split("M")
    assert [way.count("L") for way in ways] == [1, 0, 1]
    assert ways[1].endswith("h0")
    assert panel.joined == ""
    assert panel.threshold_y is None
    assert panel.good == "M1000 0h0"  # on no side, for nobody knows which is bad


def test_what_lies_before_the_range_is_not_drawn():
    """Neither values nor runs nor holds; what reaches into it is drawn from its beginning."""
    old, early = NOON - 30 * HOUR, NOON - 26 * HOUR
    found = chart(
        Series("MAE", [Point(old, 9.0)]),
        runs=[
            ShownRun("a", "failed", old, early),
            ShownRun("b", "succeeded", old, NOON - 12 * HOUR, "recovered", NOON - 6 * HOUR),
            ShownRun("c", "running", NOON - HOUR, None),
        ],
        holds=[Hold("paused", old, early), Hold("silenced", early, NOON - 12 * HOUR)],
    )

    assert found.panels[0].good == ""
    assert found.panels[0].grid == ()
    assert [(bar.kind, bar.left, bar.width) for bar in found.runs.bars] == [
        ("succeeded", 0, 50),
        ("running", 95.83, 4.17),
    ]
    assert [(bar.kind, bar.left, bar.width) for bar in found.holds.bars] == [("silenced", 0, 50)]
    assert [(mark.kind, mark.left) for mark in found.ends] == [("succeeded", 50)]
    assert [(mark.kind, mark.left) for mark in found.recoveries.marks["wide"]] == [
        ("recovered", 75)
    ]
    assert [(mark.kind, mark.left) for mark in found.holds.marks["wide"]] == [("silenced", 25)]


def test_what_was_short_is_seen_all_the_same():
    """A run of a second has a width, also at the right edge."""
    runs = [ShownRun("a", "failed", NOON - timedelta(seconds=1), NOON)]

    [bar] = chart(runs=runs, wanted=RANGES["30d"]).runs.bars
    assert bar.width > 0
    assert bar.left + bar.width <= 100


def test_no_label_of_the_time_axis_is_cut_off():
    """Near the edges there is none; every other one can be left out."""
    ticks = chart().ticks

    assert " ".join(tick.words for _, tick, _ in ticks) == (
        "15:00 18:00 21:00 22 Nov 03:00 06:00 09:00"
    )
    assert [may_go for _, _, may_go in ticks] == [True, False, True, False, True, False, True]


def test_crowded_marks_are_one_that_tells_the_gravest():
    """So that none lies over another on a phone, and a failure is not hidden by a success."""
    marks = [Mark(1, "succeeded"), Mark(0, "failed"), Mark(1.5, "succeeded"), Mark(50, "running")]

    assert crowded(marks, 2) == [Mark(0, "failed", 3), Mark(50, "running")]
    assert crowded(marks, 1) == [
        Mark(0, "failed"),
        Mark(1, "succeeded", 2),
        Mark(50, "running"),
    ]


def test_a_value_that_is_told_often_is_one_dot():
    """However often it is delivered, a page is no longer for it."""
    often = [Point(NOON - number * timedelta(seconds=1), 0.5) for number in range(60)]
    [panel] = chart(Series("MAE", often[::-1]), wanted=RANGES["30d"]).panels

    assert panel.good.count("M") <= 2
