"""What a run brought is told by one definition."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.reports import Verdict
from receiver.core.run_ends import (
    INEFFECTIVE,
    READ_AGAIN,
    Effect,
    RunEnd,
    Signs,
    effect_of,
    median,
    next_read,
)
from tests.fakes import NOON

WELL = DispatchState.SUCCEEDED
PROMOTED, REJECTED = Verdict.PROMOTED, Verdict.REJECTED
MINUTE = timedelta(minutes=1)
END = RunEnd("id", "42", "drift", "pipeline", WELL, NOON, NOON, NOON + MINUTE, fired=True)


@pytest.mark.parametrize(
    ("signs", "effect"),
    [
        ((DispatchState.FAILED, REJECTED, True, True, True), Effect.FAILED),
        ((DispatchState.CANCELLED, PROMOTED, True, True, True), Effect.CANCELLED),
        ((WELL, REJECTED, True, True, True), Effect.REJECTED),
        ((WELL, REJECTED, False, False, False), Effect.REJECTED),
        ((WELL, PROMOTED, True, True, True), Effect.RECOVERED),
        ((WELL, None, True, True, False), Effect.RECOVERED),
        ((WELL, None, False, False, True), Effect.UNCLEAR),
        ((WELL, PROMOTED, True, False, False), Effect.SETTLING),
        ((WELL, PROMOTED, True, False, True), Effect.NO_EFFECT),
        ((WELL, PROMOTED, True, False, True, False), Effect.UNKNOWN),
        ((WELL, PROMOTED, True, False, False, False), Effect.SETTLING),
    ],
)
def test_effects(signs, effect):
    """Each sign, and who wins: how it ended, the run's own verdict, the recovery, time."""
    assert effect_of(Signs(*signs)) is effect


def test_an_effect_is_told_to_the_microsecond():
    """A run has settled at the very moment at which a better model must show."""
    moment = timedelta(microseconds=1)

    assert END.effect(END.settles_at - moment) is Effect.SETTLING
    assert END.effect(END.settles_at) is Effect.NO_EFFECT


def test_an_effect_is_told_from_what_is_remembered():
    """The run's own verdict, and the recovery if there was one."""
    assert replace(END, verdict=REJECTED).effect(NOON) is Effect.REJECTED
    assert replace(END, recovered_at=NOON).effect(NOON) is Effect.RECOVERED
    assert replace(END, fired=False).effect(NOON) is Effect.UNCLEAR
    assert replace(END, state=DispatchState.CANCELLED).effect(NOON) is Effect.CANCELLED


def test_a_rejected_model_helped_nobody():
    """`exhausted` and the metrics count it like a run without effect."""
    assert frozenset({Effect.NO_EFFECT, Effect.REJECTED}) == INEFFECTIVE


def test_a_report_is_tried_again_for_an_hour_and_a_half_at_most():
    """Then it stays unread: the run's end stands anyway."""
    moments, now = [], NOON
    while (due := next_read(len(moments) + 1, now)) is not None:
        moments.append(due)
        now = due

    waits = [after - before for before, after in pairwise([NOON, *moments])]
    assert waits == list(READ_AGAIN)
    assert now - NOON < timedelta(hours=1, minutes=30)


@pytest.mark.parametrize(
    ("minutes", "middle"), [([], None), ([3], 3), ([1, 2], 1.5), ([1, 5, 30], 5)]
)
def test_the_median_of_sorted_times(minutes, middle):
    """One slow recovery does not move it."""
    expected = None if middle is None else middle * MINUTE

    assert median([n * MINUTE for n in minutes]) == expected
