"""Budgets: what is counted, when there is room again, what a run cost after all."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.budgets import (
    Counted,
    Limit,
    Scope,
    Spending,
    Usage,
    real_cost,
    show_amount,
    usage,
)
from tests.fakes import NOON

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@settings(deadline=None)
@given(
    ages=st.lists(st.timedeltas(timedelta(0), DAY - timedelta(microseconds=1)), max_size=12),
    amounts=st.lists(st.integers(1, 5), min_size=12, max_size=12),
    most=st.integers(1, 20),
    needed=st.integers(1, 5),
)
def test_there_is_room_when_a_budget_says_so_and_not_before(ages, amounts, most, needed):
    """As somebody finds who asks again at each moment at which something leaves the span."""
    limit = Limit(Scope.TOTAL, Counted.COST, most, DAY, "EUR")
    times = sorted(NOON - age for age in ages)
    spent = [Spending(at, amount) for at, amount in zip(times, amounts, strict=False)]

    told = usage(limit, spent, needed)

    def fits(now):
        left = sum(one.amount for one in spent if one.at > now - DAY)
        return left + needed <= most

    moments = [NOON, *(one.at + DAY for one in spent)]
    room = next((now for now in moments if fits(now)), None)
    assert told.is_spent is not fits(NOON)
    if room is not None:
        assert (told.frees_at or NOON) == room


@pytest.mark.parametrize(
    ("scope", "whose"), [(Scope.MODEL, "42"), (Scope.POLICY, "drift"), (Scope.TOTAL, "")]
)
def test_a_limit_counts_the_runs_of_its_scope(scope, whose):
    """Of the model, of the policy's models, or of all, which have no name."""
    limit = Limit(scope, Counted.RUNS, 3, DAY)

    assert limit.whose("drift", "42") == whose
    assert limit.is_wide is (scope is not Scope.MODEL)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(Scope.TOTAL, Counted.RUNS, 3, DAY), "2 of 3 runs in 1d in total are ordered"),
        (Limit(Scope.MODEL, Counted.COST, 3, DAY, "EUR"), "2 of 3 EUR in 1d per model are spent"),
        (Limit(Scope.POLICY, Counted.IN_FLIGHT, 3), "2 of 3 in flight per policy"),
    ],
)
def test_a_usage_says_how_much_of_what_is_used(limit, text):
    """In the words of what is counted."""
    assert str(Usage(limit, 2)) == text
    assert Usage(limit, 1.5).share == 0.5


def test_only_a_runs_end_makes_room_in_flight():
    """No moment is known for it."""
    limit = Limit(Scope.TOTAL, Counted.IN_FLIGHT, 2)

    full = usage(limit, [Spending(NOON), Spending(NOON)], 1)

    assert (full.is_spent, full.frees_at) == (True, None)
    assert usage(limit, [Spending(NOON)], 1).fits()
    assert not usage(limit, [Spending(NOON)], 1).fits(promised=1)


@pytest.mark.parametrize(
    ("run_time", "took", "cost"),
    [
        (2 * HOUR, HOUR, 6.0),
        (2 * HOUR, 4 * HOUR, 24.0),
        (2 * HOUR, timedelta(0), 0.0),
        (2 * HOUR, -HOUR, 12.0),
        (None, 4 * HOUR, 12.0),
        (2 * HOUR, None, 0.0),
        (None, None, 0.0),
    ],
)
def test_a_run_costs_what_its_time_says(run_time, took, cost):
    """Where a time is known; and nothing if it never began."""
    assert real_cost(12.0, run_time, took) == cost


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (4, "4"),
        (12.5, "12.5"),
        (49.40625, "49.41"),
        (500.0, "500"),
        (2_000_000, "2000000"),
        (1_234_567.891, "1234567.89"),
        (0.004, "0.004"),
    ],
)
def test_amounts_are_written_as_people_write_them(amount, text):
    """Yen by the million keep their digits, and cents are not drawn out."""
    assert show_amount(amount) == text
