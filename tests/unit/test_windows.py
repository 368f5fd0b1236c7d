"""Windows: the hours that a wall clock shows, also where the clocks are changed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.config.restraint_fields import parse_hours
from receiver.core.windows import Hours
from tests.restrained import window

MINUTE = timedelta(minutes=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hours", "shown"),
    [
        ("daily", Hours(frozenset(range(7))), "daily"),
        ("sat,sun", Hours(frozenset({5, 6})), "sat,sun"),
        ("Saturday,SUN", Hours(frozenset({5, 6})), "sat,sun"),
        ("fri-mon", Hours(frozenset({4, 5, 6, 0})), "mon,fri,sat,sun"),
        ("mon-mon", Hours(frozenset({0})), "mon"),
        ("20:00-06:30", Hours(frozenset(range(7)), 1200, 390), "daily 20:00-06:30"),
        ("mon-fri 08:00-24:00", Hours(frozenset(range(5)), 480, 1440), None),
    ],
)
def test_hours_are_read_and_shown(text, hours, shown):
    """What a sentence shows reads as the same."""
    assert parse_hours(text) == hours
    assert str(hours) == (shown or "mon,tue,wed,thu,fri 08:00-24:00")
    assert parse_hours(str(hours)) == hours


def test_a_window_is_shown_as_it_is_written():
    """Each of its hours, and where the clock hangs."""
    hours = window("sat,sun", "20:00-06:00", zone="Europe/Berlin")

    assert str(hours) == "sat,sun; daily 20:00-06:00 in Europe/Berlin"


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        ("2026-11-23T19:59:59", False),  # a Monday
        ("2026-11-23T20:00:00", True),
        ("2026-11-24T05:59:59", True),
        ("2026-11-24T06:00:00", False),
        ("2026-11-28T03:00:00", True),  # Friday's night goes on into Saturday
        ("2026-11-28T20:00:00", False),
        ("2026-11-29T03:00:00", False),
        ("2026-11-23T03:00:00", False),  # Sunday's night is none of them
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(at, open_):
    """From the first minute to the one before the last."""
    nights = window("mon-fri 20:00-06:00")

    assert nights.is_open(utc(at)) is open_


@pytest.mark.parametrize(
    ("hours", "closed", "opens"),
    [
        # Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
        ("sun 02:30-04:00", "2026-03-29T00:59:59", "2026-03-29T01:00:00"),
        ("sun 03:30-04:00", "2026-03-29T00:30:00", "2026-03-29T01:30:00"),
        ("sun 02:10-02:50", "2026-03-28T12:00:00", "2026-04-05T00:10:00"),  # skipped this week
        # 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC; 02:30 comes twice.
        ("sun 02:30-02:45", "2026-10-25T00:00:00", "2026-10-25T00:30:00"),
        ("sun 02:30-02:45", "2026-10-25T00:45:00", "2026-10-25T01:30:00"),
        ("sun 02:30-02:45", "2026-10-25T01:45:00", "2026-11-01T01:30:00"),
        # An ordinary week, in summer and in winter.
        ("mon 08:00-09:00", "2026-07-06T07:00:00", "2026-07-13T06:00:00"),
        ("mon 08:00-09:00", "2026-11-23T08:00:00", "2026-11-30T07:00:00"),
    ],
)
def test_it_opens_when_a_clock_on_the_wall_says_so(hours, closed, opens):
    """A skipped hour is not there; a repeated one counts both times."""
    berlin = window(hours, zone="Europe/Berlin")
    now = utc(closed)

    assert not berlin.is_open(now)
    assert berlin.opens_at(now) == utc(opens)


texts = st.builds(
    lambda days, start, end: (
        f"{','.join(sorted(days))} {start[0]:02}:{start[1]:02}-{end[0]:02}:{end[1]:02}"
    ),
    st.sets(st.sampled_from(("mon", "wed", "sat", "sun")), min_size=1),
    st.tuples(st.integers(0, 23), st.sampled_from((0, 5, 30))),
    st.tuples(st.integers(0, 23), st.sampled_from((0, 10, 45))),
).filter(lambda text: text[-11:-6] != text[-5:])


@settings(deadline=None)
@given(
    hours=st.lists(texts, min_size=1, max_size=2),
    zone=st.sampled_from(
        ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
    ),
    day=st.dates(datetime(2026, 1, 1).date(), datetime(2027, 12, 31).date()),  # noqa: DTZ001
    minute=st.integers(0, 1439),
)
def test_it_opens_at_the_first_open_minute(hours, zone, day, minute):
    """As somebody would find who looks at the clock every five minutes."""
    some = window(*hours, zone=zone)
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) + (minute - minute % 5) * MINUTE
    if some.is_open(now):
        return

    opens = some.opens_at(now)

    looked = now
    while not some.is_open(looked):
        looked += 5 * MINUTE
    assert opens == looked


def test_a_window_that_never_opened_would_be_looked_at_again():
    """The configuration has none; a zone's rules might change."""
    none = window()
    now = utc("2026-11-23T12:00:00")

    assert none.opens_at(now) > now
