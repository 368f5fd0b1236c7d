"""Dispatches: how long an order waited, and when it is tried or looked up again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import (
    LATER_LOOKS,
    LOOKS,
    Dispatch,
    DispatchError,
    Failure,
    least_window,
    next_attempt,
    next_look,
    waited_for_send,
    why_never_shown,
)
from receiver.core.targets import TargetKind
from tests.fakes import NOON

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ORDERED = Dispatch(
    id="01h",
    model="42",
    policy="drift",
    target="pipeline",
    kind=TargetKind.KFP,
    place={},
    inputs={},
    created_at=NOON,
    due_at=NOON,
    cooldown=6 * HOUR,
    settle=HOUR,
    decision_id=1,
)


@pytest.mark.parametrize(
    ("attempt", "sent_at", "waited"),
    [
        (0, None, None),
        (1, NOON, timedelta(0)),
        (1, NOON + SECOND, SECOND),
        (1, NOON - SECOND, timedelta(0)),
        (1, None, None),
        (2, NOON + SECOND, None),
    ],
)
def test_an_order_waits_for_its_first_attempt_only(attempt, sent_at, waited):
    """A retry says nothing about how fast we are; a clock that was set back is no time machine."""
    assert waited_for_send(replace(ORDERED, attempt=attempt, sent_at=sent_at)) == waited


def test_an_error_says_what_the_target_answered():
    """Its status and its wish, if it answered at all."""
    told = DispatchError("429", Failure.UNAVAILABLE, status_code=429, retry_after=SECOND)
    silent = DispatchError("cut", Failure.UNKNOWN)

    assert (told.failure, told.status_code, told.retry_after) == ("unavailable", 429, SECOND)
    assert (silent.failure, silent.status_code, silent.retry_after) == ("unknown", None, None)
    assert str(told) == "429"


@pytest.mark.parametrize(
    ("attempt", "asked", "wait"),
    [
        (1, None, 5 * SECOND),
        (2, None, 10 * SECOND),
        (6, None, 160 * SECOND),
        (7, None, 300 * SECOND),
        (10_000, None, 300 * SECOND),
        (1, SECOND, 5 * SECOND),
        (1, 6 * SECOND, 6 * SECOND),
        (7, HOUR, HOUR),
    ],
)
def test_an_unavailable_target_is_asked_again_later_and_later(attempt, asked, wait):
    """Up to five minutes, unless it wishes for more; any number of attempts can be counted."""
    assert next_attempt(attempt, asked, NOON) == NOON + wait


@pytest.mark.parametrize(
    ("looks", "left", "wait"),
    [
        *((looks, HOUR, wait) for looks, wait in enumerate(LOOKS)),
        (len(LOOKS), HOUR, LATER_LOOKS),
        (0, SECOND / 2, SECOND / 2),
        (0, -SECOND, timedelta(0)),
    ],
)
def test_a_doubt_is_looked_into_at_the_latest_when_its_window_ends(looks, left, wait):
    """Soon at first; at once if the window is over already."""
    assert next_look(looks, NOON, left) == NOON + wait


@pytest.mark.parametrize(
    ("kind", "status_code", "window"),
    [
        (TargetKind.KFP, 500, 300),
        (TargetKind.KFP, 503, 300),
        (TargetKind.KFP, 404, 0),
        (TargetKind.KFP, 200, 0),
        (TargetKind.KFP, None, 0),
        (TargetKind.GITHUB, 502, 0),
    ],
)
def test_only_a_5xx_of_kfp_makes_the_window_longer(kind, status_code, window):
    """Its row comes after its workflow; elsewhere the target's own window counts."""
    assert least_window(kind, status_code) == window * SECOND


def test_where_no_id_was_ever_seen_the_cure_is_the_targets_own():
    """A workflow shows it in its name; elsewhere an address may be wrong."""
    assert "run-name" in why_never_shown(TargetKind.GITHUB)
    assert "run.url" in why_never_shown(TargetKind.HTTP)
