"""Cooldowns: what a send takes, a run's end adds, and a refusal puts in their place."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core import cooldowns
from receiver.core.models import Model
from tests.fakes import NOON

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MODEL = Model("42", policy="drift", cooldown_until=NOON + HOUR, backoff_until=NOON, refusals=2)


@pytest.mark.parametrize(
    ("cooldown", "until"), [(2 * HOUR, NOON + 2 * HOUR), (MINUTE, NOON + HOUR)]
)
def test_a_send_takes_the_cooldown_from_then_on(cooldown, until):
    """Unless the model is held for longer already; nothing else changes."""
    assert cooldowns.take(MODEL, cooldown, NOON) == replace(MODEL, cooldown_until=until)
    assert cooldowns.take(Model("42"), cooldown, NOON).cooldown_until == NOON + cooldown


@pytest.mark.parametrize(
    ("ended_at", "until"),
    [
        (NOON + 2 * HOUR, NOON + 2 * HOUR + MINUTE),
        (NOON, NOON + HOUR),
        (NOON + HOUR, NOON + HOUR + MINUTE),
    ],
)
def test_a_run_that_ended_is_given_time_to_show(ended_at, until):
    """Counted from its end, never shortening the cooldown; it ends any back-off."""
    settled = cooldowns.settle(MODEL, MINUTE, ended_at)

    assert settled == replace(MODEL, cooldown_until=until, backoff_until=None, refusals=0)


def test_what_was_never_sent_gives_back_what_it_took():
    """The cooldown is the one before it, also if that is none."""
    assert cooldowns.give_back(MODEL, NOON) == replace(MODEL, cooldown_until=NOON)
    assert cooldowns.give_back(MODEL, None).cooldown_until is None


def test_what_reached_nobody_gives_back_what_it_took():
    """The attempt's own part alone: what held the model before it, or holds it since, stays."""
    for before in (None, NOON, NOON + 2 * HOUR):
        held = replace(MODEL, cooldown_until=before)
        taken = cooldowns.take(held, HOUR, NOON)
        assert cooldowns.untake(taken, before, NOON + HOUR) == held

    since = cooldowns.settle(MODEL, HOUR, NOON + HOUR)
    assert cooldowns.untake(since, None, NOON + HOUR) is since


def test_a_refusal_puts_a_back_off_in_the_cooldowns_place():
    """It is counted, and waits twice as long as the one before."""
    first = cooldowns.back_off(replace(MODEL, refusals=0), NOON, HOUR, NOON)
    second = cooldowns.back_off(first, NOON, HOUR, NOON)

    assert first == replace(MODEL, cooldown_until=NOON, backoff_until=NOON + MINUTE, refusals=1)
    assert (second.backoff_until, second.refusals) == (NOON + 2 * MINUTE, 2)


@given(refusals=st.integers(0, 10_000), cooldown=st.timedeltas(MINUTE, timedelta(days=700)))
def test_a_back_off_is_never_longer_than_the_cooldown(refusals, cooldown):
    """However often the target refused: no number of doublings overflows."""
    model = cooldowns.back_off(replace(MODEL, refusals=refusals), None, cooldown, NOON)

    assert NOON < model.backoff_until <= NOON + cooldown


def test_a_back_off_stops_doubling_after_two_years():
    """However long the cooldown is."""
    model = cooldowns.back_off(replace(MODEL, refusals=99), None, timedelta(days=9999), NOON)

    assert model.backoff_until == NOON + 2**20 * MINUTE


def test_the_longest_cooldown_is_reached_and_not_passed():
    """30 days, or the policy's own if that is longer."""
    longest, most = cooldowns.LONGEST_GROWN, cooldowns.MOST_DOUBLINGS
    year = timedelta(days=365)

    assert cooldowns.grown(timedelta(days=15), 2, 1) == longest == timedelta(days=30)
    assert cooldowns.grown(timedelta(days=16), 2, 1) == longest
    assert cooldowns.grown(timedelta(days=14), 2, 1) == timedelta(days=28)
    assert cooldowns.grown(year, 2, 5) == year
    assert cooldowns.grown(HOUR, 1.5, 3) == HOUR * 1.5**3
    assert cooldowns.grown(HOUR, 1.000001, 10 * most) == HOUR * 1.000001**most
