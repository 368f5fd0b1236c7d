"""Deadlines: what only a clock that was ahead can have written is cut, and nothing else is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.claims import Claim
from receiver.core.cooldowns import LONGEST_GROWN
from receiver.core.deadlines import (
    LEASE,
    LONGEST_ASKED,
    SLACK,
    is_believable,
    mend_alert,
    mend_dispatch,
    mend_model,
    mend_pause,
    spans_of,
)
from receiver.core.dispatches import LIVE, Dispatch, DispatchState
from receiver.core.models import FiringAlert, Model, Pause, PauseScope
from receiver.core.runs import LATEST_POLL, SOONEST_POLL
from receiver.core.sightings import HUMAN_AFTER
from receiver.core.targets import TargetKind
from tests.examples import DRIFT
from tests.fakes import NOON
from tests.restrained import RESTRAINED, STORM

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
NOTHING = timedelta(0)
SPANS = spans_of([DRIFT])

spans = st.timedeltas(NOTHING, timedelta(days=400))
moments = st.none() | st.builds(lambda span: NOON - 200 * DAY + span, spans)

DISPATCH = Dispatch(
    id="0" * 26,
    model="42",
    policy="drift",
    target="pipeline",
    kind=TargetKind.KFP,
    place={},
    inputs={},
    created_at=NOON,
    due_at=NOON,
    cooldown=DRIFT.cooldown,
    settle=DRIFT.settle,
    decision_id=1,
)

ENTRY = FiringAlert(
    fingerprint="f",
    model="42",
    policy="drift",
    alertname="HighModelMAE",
    labels={},
    value=None,
    starts_at=NOON,
    confirmed_at=NOON,
    expires_at=NOON + DRIFT.alert_expiry,
)

models = st.builds(
    Model,
    name=st.just("42"),
    episode_started_at=moments,
    emptied_at=moments,
    cooldown_until=moments,
    backoff_until=moments,
    observed_until=moments,
)


@given(cooldown=spans, ahead=spans, gone=spans)
def test_a_cut_never_ends_a_cooldown_before_the_rule_would(cooldown, ahead, gone):
    """Sent at noon by a clock that was ahead and was set back later: it holds long enough (G9).

    In true time: `gone` after the send the clock is right, and from then on nothing ends before
    the cooldown after the send would.
    """
    sent = Model("42", cooldown_until=NOON + ahead + cooldown)

    mended = mend_model(sent, NOON + gone, SPANS, taken=cooldown)

    assert mended.cooldown_until >= NOON + cooldown
    assert mended.cooldown_until <= max(NOON + gone + max(cooldown, SPANS.cooldown), NOON)


@given(cooldown=spans, back=spans, gone=spans)
def test_a_clock_that_goes_back_and_stays_back_holds_the_whole_cooldown(cooldown, back, gone):
    """It was right when the run was sent: what is left by the new clock is the rule or more."""
    sent = Model("42", cooldown_until=NOON + cooldown)
    now = NOON + min(gone, cooldown) - back

    mended = mend_model(sent, now, SPANS, taken=cooldown)

    left = min(cooldown, NOON + cooldown - now)
    assert mended.cooldown_until - now >= left


@given(model=models, later=spans)
def test_what_was_mended_is_not_mended_again(model, later):
    """Else it would move on with the clock, and hold for ever."""
    once = mend_model(model, NOON, SPANS, NOTHING)

    assert mend_model(once, NOON, SPANS, NOTHING) == once
    assert mend_model(once, NOON + later, SPANS, NOTHING) == once


@given(model=models)
def test_nothing_is_ever_put_off(model):
    """A cut brings every moment nearer, or leaves it."""
    mended = mend_model(model, NOON, SPANS, NOTHING)

    for name in ("cooldown_until", "backoff_until", "observed_until", "episode_started_at"):
        before, after = getattr(model, name), getattr(mended, name)
        assert (before is None) == (after is None)
        assert before is None or after <= before


def test_what_the_rules_write_themselves_is_left_alone():
    """Right clock, right moments: neither the longest cooldown nor one of another policy."""
    model = Model(
        "42",
        cooldown_until=NOON + 30 * DAY,
        backoff_until=NOON + DRIFT.cooldown,
        observed_until=NOON + DRIFT.cooldown,
        episode_started_at=NOON,
        emptied_at=NOON + SLACK,
    )

    assert mend_model(model, NOON, SPANS, taken=30 * DAY) == model
    assert mend_alert(ENTRY, NOON, SPANS) == ENTRY
    assert mend_dispatch(DISPATCH, NOON, SPANS.cooldown) == DISPATCH


@pytest.mark.parametrize(
    ("rung", "most"),
    [
        ("window", 8 * DAY),
        ("unconfirmed", HUMAN_AFTER),
        ("storm", STORM.calm),
        ("budget", 3 * DAY),
        ("approval", DAY),
        ("silenced", 300 * DAY),
    ],
)
def test_each_rung_holds_no_longer_than_its_own_rule(rung, most):
    """Hours of a week, a storm's calm, a budget's span; a silence's end is others' word."""
    limit = Limit(Scope.TOTAL, Counted.RUNS, 1, 3 * DAY)
    spans = spans_of([replace(RESTRAINED, limits=(limit,), storm=STORM)])
    entry = replace(ENTRY, held_by=rung, held_until=NOON + 300 * DAY)

    assert mend_alert(entry, NOON, spans).held_until == NOON + most


def test_an_alert_is_confirmed_now_at_most_and_expires_in_time():
    """A clock that was ahead confirmed it in the future."""
    entry = replace(
        ENTRY, confirmed_at=NOON + DAY, expires_at=NOON + 9 * DAY, stale_until=NOON + DAY
    )

    mended = mend_alert(entry, NOON, SPANS)

    assert mended.confirmed_at == NOON
    assert mended.expires_at == NOON + DRIFT.alert_expiry
    assert mended.stale_until == NOON + DRIFT.dedup_window


def test_whoever_says_that_it_fires_said_so_now_at_most():
    """Each cluster's last word, and since when a rung holds it."""
    said = (Claim("a", NOON, NOON + DAY), Claim("b", NOON, NOON - DAY))
    entry = replace(ENTRY, claims=said, held_by="unconfirmed", held_since=NOON + DAY)

    mended = mend_alert(entry, NOON, SPANS)

    assert [claim.said_at for claim in mended.claims] == [NOON, NOON - DAY]
    assert mended.held_since == NOON


@given(began=spans, length=st.none() | spans, back=spans)
def test_a_pause_ends_within_its_own_length(began, length, back):
    """Begun by any clock; it is never put off, and is not cut twice."""
    since = NOON - 200 * DAY + began
    pause = Pause(PauseScope.EVERYTHING, "", since, length and since + length, "ana", "")

    mended = mend_pause(pause, NOON)

    assert mended.since <= NOON + SLACK
    assert (mended.until is None) == (length is None or not length)
    if mended.until is not None:
        assert mended.until - mended.since == length
        assert mended.until <= pause.until
    assert mend_pause(mended, NOON) == mend_pause(mended, NOON + back) == mended


def test_what_a_dispatch_may_give_back_is_within_the_longest_cooldown():
    """And its target has not known its run for no longer than until now."""
    dispatch = replace(DISPATCH, missing_since=NOON + DAY, cooldown_before=NOON + 300 * DAY)

    mended = mend_dispatch(dispatch, NOON, 30 * HOUR)

    assert (mended.missing_since, mended.cooldown_before) == (NOON, NOON + 30 * HOUR)


@given(
    state=st.sampled_from(sorted(DispatchState)),
    attempt=st.integers(0, 3),
    ahead=spans,
    sent=moments,
)
def test_a_live_dispatch_is_looked_after_soon(state, attempt, ahead, sent):
    """Whatever the clock wrote, its next step comes within the rule of its state."""
    dispatch = replace(DISPATCH, state=state, attempt=attempt, due_at=NOON + ahead, sent_at=sent)

    mended = mend_dispatch(dispatch, NOON, SPANS.cooldown)

    asked = state is DispatchState.PENDING and attempt > 0
    assert mended.due_at <= dispatch.due_at
    if state in LIVE:
        assert mended.due_at <= NOON + (LONGEST_ASKED if asked else LEASE)
    else:
        assert mended.due_at == dispatch.due_at
    assert mended.sent_at is None or mended.sent_at <= NOON + SLACK


@pytest.mark.parametrize(
    ("state", "wait"),
    [
        (DispatchState.RUNNING, SOONEST_POLL),
        (DispatchState.UNKNOWN, SOONEST_POLL),
        (DispatchState.SENDING, LEASE),
        (DispatchState.PENDING, LEASE),
    ],
)
def test_looks_come_at_once_and_calls_keep_their_lease(state, wait):
    """To ask once more is harmless; to take a call for dead that goes on is not."""
    dispatch = replace(DISPATCH, state=state, due_at=NOON + 300 * DAY)

    assert mend_dispatch(dispatch, NOON, SPANS.cooldown).due_at == NOON + wait


@pytest.mark.parametrize("ahead", [NOTHING, 2 * HOUR, 300 * DAY])
def test_a_wait_that_the_target_asked_for_is_kept(ahead):
    """It is counted from the attempt, by the clock of then."""
    sent_at = NOON + ahead
    dispatch = replace(DISPATCH, attempt=1, sent_at=sent_at, due_at=sent_at + HOUR)

    assert mend_dispatch(dispatch, NOON, SPANS.cooldown).due_at == NOON + HOUR


def test_the_longest_spans_are_those_of_all_policies_or_the_defaults():
    """A cooldown may grow; a configuration without policies cuts nothing to nothing."""
    long = replace(DRIFT, settle=9 * HOUR, alert_expiry=40 * HOUR, dedup_window=30 * HOUR)

    assert spans_of([]) == spans_of([DRIFT])
    assert spans_of([long]).cooldown == 9 * HOUR
    assert spans_of([long]).remembered == 60 * HOUR
    assert spans_of([replace(DRIFT, backoff=2)]).cooldown == LONGEST_GROWN


def test_the_polls_of_a_right_clock_are_never_cut():
    """The lease is the longest of what is planned without being asked."""
    assert LATEST_POLL < LEASE


def test_a_clock_that_shows_a_time_before_us_is_not_believed():
    """It has no battery and is about to be set."""
    assert is_believable(NOON)
    assert not is_believable(datetime(1970, 1, 1, tzinfo=UTC))
