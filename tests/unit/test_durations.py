from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.durations import LONGEST, format_duration, parse_duration, show_duration

spans = st.integers(0, LONGEST // timedelta(milliseconds=1)).map(
    lambda number: timedelta(milliseconds=number)
)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("6h", timedelta(hours=6)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("250ms", timedelta(milliseconds=250)),
        ("1h30m", timedelta(minutes=90)),
        ("1w2d3h4m5s6ms", timedelta(9, 5, 0, 6, 4, 3)),
        ("0s", timedelta(0)),
        ("0", timedelta(0)),
        ("90m", timedelta(minutes=90)),
        ("36500d", LONGEST),
    ],
)
def test_durations_are_read_as_prometheus_reads_them(text, span):
    """Each unit, alone and compound from long to short."""
    assert parse_duration(text) == span


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "6 hours",
        "-6h",
        "+6h",
        "1.5h",
        "30m1h",
        "1h1h",
        "6H",
        "6h ",
        "٦h",
        "6h\n",
        6,
        None,
    ],
)
def test_anything_else_is_no_duration(text):
    """The complaint shows what was written and what to write."""
    with pytest.raises(ValueError, match="is not a duration; write 30m, 6h or 2d") as caught:
        parse_duration(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["36501d", "999999999999999999w", "36500d1ms"])
def test_a_duration_never_leaves_the_calendar(text):
    """What datetime could not add is refused where it is written."""
    with pytest.raises(ValueError, match="longer than 100 years"):
        parse_duration(text)


@given(spans)
def test_a_written_duration_is_read_as_the_same(span):
    """Nothing is lost on the way through text."""
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3h12m", "3h12m"),
        ("2d4h", "2d4h"),
        ("2d4h59m", "2d4h"),
        ("12m30s", "12m30s"),
        ("59m59s", "59m59s"),
        ("1h59s", "1h"),
        ("45s", "45s"),
        ("1w", "7d"),
        ("999ms", "0s"),
        ("0s", "0s"),
    ],
)
def test_a_shown_duration_has_two_units_at_most(text, shown):
    """Seconds are told below an hour only, minutes below a day only."""
    assert show_duration(parse_duration(text)) == shown


def test_a_span_that_is_over_shows_its_sign():
    """A sentence never turns the past into the future."""
    assert show_duration(timedelta(minutes=-90)) == "-1h30m"
    assert show_duration(timedelta(milliseconds=-5)) == "0s"


@given(spans)
def test_a_shown_duration_is_never_too_long(span):
    """What is shown can be read again and promises no more time than there is."""
    assert span - timedelta(hours=1) < parse_duration(show_duration(span)) <= span
