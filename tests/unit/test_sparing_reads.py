"""Scrapes cost a large store little: what took long to read is shown for a while."""

from datetime import timedelta

import pytest

from receiver.gauges import KEPT_FOR, LONGEST_KEPT, QUICK, SparingReads
from tests.fakes import HandClock

SLOW = timedelta(seconds=1)


class Store:
    """Takes its time; counts."""

    def __init__(self, clock, takes):
        self.clock, self.takes, self.read = clock, takes, 0

    def __call__(self):
        self.clock.pass_(self.takes)
        self.read += 1
        return self.read if self.takes else None


@pytest.mark.parametrize("takes", [SLOW, timedelta(minutes=1)])
def test_what_took_long_is_kept_ten_times_as_long_within_a_bound(takes):
    """Then it is read again."""
    clock = HandClock()
    store = Store(clock, takes)
    reads = SparingReads(store, clock)
    kept_for = min(KEPT_FOR * takes, LONGEST_KEPT)

    assert reads() == 1
    clock.pass_(kept_for - timedelta(milliseconds=1))
    assert reads() == 1
    clock.pass_(timedelta(milliseconds=1))
    assert reads() == 2


def test_a_quick_store_is_read_each_time():
    """What is shown is what is."""
    clock = HandClock()
    reads = SparingReads(Store(clock, QUICK), clock)

    assert [reads(), reads()] == [1, 2]


def test_that_the_store_is_away_is_never_kept():
    """It is asked again at once."""
    clock = HandClock()
    store = Store(clock, timedelta(0))
    reads = SparingReads(store, clock)

    assert [reads(), reads(), store.read] == [None, None, 2]
