"""Models: their episodes, what counts as firing, which pause holds, when the timer comes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.models import (
    FiringAlert,
    LatestDispatch,
    Model,
    ModelState,
    Pause,
    PauseScope,
    helping_run,
    latest_of,
    next_check,
    pause_in_force,
    relapsed,
    state_of,
    with_firing,
)
from tests.fakes import NOON

MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
EARLIER = NOON - HOUR

ENTRY = FiringAlert(
    fingerprint="f",
    model="42",
    policy="drift",
    alertname="HighModelMAE",
    labels={},
    value=None,
    starts_at=NOON,
    confirmed_at=NOON,
    expires_at=NOON + 13 * HOUR,
)
LATE_COPY = replace(ENTRY, stale_until=NOON + HOUR)


def pause(scope, name, until=None):
    return Pause(scope, name, EARLIER, until, "ana", "backfill")


def run(state=DispatchState.SUCCEEDED, ended_at=NOON):
    return LatestDispatch("01h", state, ended_at=ended_at)


@pytest.mark.parametrize(
    ("started_at", "emptied_at", "began"),
    [
        (None, None, NOON),
        (None, NOON, NOON),  # it never fired; what it was emptied of began no episode
        (EARLIER, None, EARLIER),
        (EARLIER, NOON, EARLIER),
        (EARLIER, NOON - HOUR + MOMENT, EARLIER),
        (EARLIER, NOON - HOUR, NOON),
        (EARLIER, NOON - 2 * HOUR, NOON),
    ],
)
def test_an_episode_goes_on_unless_nothing_fired_for_a_whole_cooldown(
    started_at, emptied_at, began
):
    """Otherwise a new one begins; either way something fires now."""
    model = Model("42", policy="drift", episode_started_at=started_at, emptied_at=emptied_at)

    fires = with_firing(model, cooldown=HOUR, now=NOON)

    assert fires == replace(model, episode_started_at=began, emptied_at=None)


@pytest.mark.parametrize(
    ("expires_at", "stale_until", "counts"),
    [
        (NOON + MOMENT, None, True),
        (NOON, None, False),
        (NOON - MOMENT, None, False),
        (NOON + HOUR, NOON, True),
        (NOON + HOUR, NOON - MOMENT, True),
        (NOON + HOUR, NOON + MOMENT, False),
        (NOON, NOON, False),
    ],
)
def test_an_alert_counts_until_it_expires_and_from_when_it_is_no_late_copy(
    expires_at, stale_until, counts
):
    """To the moment: at its end it is gone, at the end of its doubt it is there."""
    entry = replace(ENTRY, expires_at=expires_at, stale_until=stale_until)

    assert entry.counts(NOON) is counts


def test_what_held_an_alert_is_forgotten_when_it_is_freed():
    """All else that is known of it stays."""
    held = replace(ENTRY, held_by="budget", held_until=NOON, asks=True)

    assert held.freed() == ENTRY


@pytest.mark.parametrize(
    ("pauses", "held_by"),
    [
        ([], None),
        ([pause(PauseScope.MODEL, "42")], 0),
        ([pause(PauseScope.MODEL, "43")], None),
        ([pause(PauseScope.POLICY, "drift")], 0),
        ([pause(PauseScope.POLICY, "other")], None),
        ([pause(PauseScope.POLICY, "42")], None),  # a policy of the model's name
        ([pause(PauseScope.MODEL, "drift")], None),  # a model of the policy's name
        ([pause(PauseScope.EVERYTHING, "")], 0),
        ([pause(PauseScope.MODEL, "42", NOON)], None),
        ([pause(PauseScope.MODEL, "43", NOON)], None),
        ([pause(PauseScope.MODEL, "42", NOON + MOMENT)], 0),
        ([pause(PauseScope.MODEL, "42", NOON + HOUR), pause(PauseScope.POLICY, "drift")], 1),
        ([pause(PauseScope.MODEL, "42"), pause(PauseScope.POLICY, "drift", NOON + HOUR)], 0),
        ([pause(PauseScope.MODEL, "42", NOON + HOUR), pause(PauseScope.EVERYTHING, "", NOON)], 0),
        (
            [
                pause(PauseScope.MODEL, "42", NOON + HOUR),
                pause(PauseScope.EVERYTHING, "", NOON + 2 * HOUR),
            ],
            1,
        ),
    ],
)
def test_the_pause_that_holds_a_model_longest_counts(pauses, held_by):
    """Of those in force that name it, its policy or everything; one without an end beats all."""
    found = pause_in_force(pauses, model="42", policy="drift", now=NOON)

    assert found == (None if held_by is None else pauses[held_by])


def test_the_latest_moment_is_among_those_that_are_set():
    """In any order; None if none is."""
    assert latest_of(None, EARLIER, NOON) == latest_of(NOON, None, EARLIER) == NOON
    assert latest_of(None) is None
    assert Model("42", cooldown_until=EARLIER, backoff_until=NOON).held_until == NOON


@pytest.mark.parametrize(
    ("latest", "ended", "helped"),
    [
        (None, ENTRY, False),
        (run(), ENTRY, True),
        (run(ended_at=NOON - MOMENT), ENTRY, False),  # the alert began after it
        (run(ended_at=NOON + HOUR), ENTRY, True),
        (run(ended_at=None), ENTRY, False),
        (run(DispatchState.FAILED), ENTRY, False),
        (run(DispatchState.RUNNING, ended_at=None), ENTRY, False),
        (run(), LATE_COPY, False),
    ],
)
def test_a_run_has_helped_if_it_succeeded_while_the_alert_fired(latest, ended, helped):
    """An alert that began after its end, or was perhaps a late copy, says nothing."""
    assert helping_run(Model("42", latest=latest), ended) == (latest if helped else None)


OPEN = Model("42", episode_started_at=EARLIER)
OVER = replace(OPEN, emptied_at=NOON)


@pytest.mark.parametrize(
    ("before", "began", "known", "back"),
    [
        (OVER, EARLIER, None, True),
        (OVER, EARLIER, ENTRY, True),
        (OVER, NOON, None, False),
        (OPEN, EARLIER, None, False),
        (OPEN, EARLIER, ENTRY, False),
        (OPEN, EARLIER, LATE_COPY, True),
        (OPEN, NOON, LATE_COPY, False),
    ],
)
def test_an_alert_relapses_in_the_episode_that_was_over(before, began, known, back):
    """Its set was empty, or held nothing but what looked like a late copy."""
    after = replace(before, episode_started_at=began, emptied_at=None)

    assert relapsed(before, after, known) is back


HELD = replace(ENTRY, held_by="window", held_until=NOON + HOUR)
FLYING = Model("42", latest=run(DispatchState.RUNNING))
OBSERVING = replace(ENTRY, observing=True)
OBSERVED = Model("42", observed_until=NOON + HOUR)


@pytest.mark.parametrize(
    ("model", "alerts", "pauses", "due"),
    [
        (Model("42"), [], [], None),
        (Model("42"), [ENTRY], [], NOON),
        (Model("42", cooldown_until=NOON + HOUR), [ENTRY], [], NOON + HOUR),
        (Model("42", cooldown_until=EARLIER), [ENTRY], [], NOON),
        (Model("42", backoff_until=NOON + HOUR), [ENTRY], [], NOON + HOUR),
        # a late copy waits for the end of its doubt, whatever else there is ...
        (Model("42"), [LATE_COPY], [], NOON + HOUR),
        (FLYING, [LATE_COPY], [], NOON + HOUR),
        (Model("42"), [replace(ENTRY, stale_until=NOON)], [], NOON),
        # ... a pause for its own end, before flight and cooldown ...
        (FLYING, [ENTRY], [pause(PauseScope.MODEL, "42", NOON + HOUR)], NOON + HOUR),
        (Model("42"), [ENTRY], [pause(PauseScope.POLICY, "drift", NOON + HOUR)], NOON + HOUR),
        (Model("42"), [ENTRY], [pause(PauseScope.MODEL, "42")], None),
        (Model("42"), [ENTRY], [pause(PauseScope.MODEL, "43")], NOON),
        (Model("42"), [ENTRY], [pause(PauseScope.MODEL, "42", NOON)], NOON),
        # ... a flight for an event, and only an observer for what it observed.
        (FLYING, [ENTRY], [], None),
        (FLYING, [replace(ENTRY, stale_until=NOON)], [], None),
        (OBSERVED, [ENTRY], [], NOON),
        (replace(OBSERVED, cooldown_until=NOON + 2 * HOUR), [OBSERVING], [], NOON + 2 * HOUR),
        (OBSERVED, [OBSERVING], [], NOON + HOUR),
        # The first of several alerts; those that wait for an event don't count.
        (Model("42"), [HELD, replace(HELD, held_until=NOON + MOMENT)], [], NOON + MOMENT),
        (Model("42"), [replace(HELD, held_until=None), HELD], [], NOON + HOUR),
    ],
)
def test_the_timer_comes_at_the_first_moment_at_which_something_can_change(
    model, alerts, pauses, due
):
    """At once if nothing holds an alert, never if only an event can."""
    assert next_check(model, alerts, pauses, NOON) == due


@pytest.mark.parametrize(
    ("model", "alerts", "pauses", "state"),
    [
        (Model("42", latest=run(DispatchState.PARKED)), [], [], ModelState.ATTENTION),
        (Model("42", latest=run(DispatchState.REFUSED)), [], [], ModelState.ATTENTION),
        (Model("42", latest=run()), [], [], ModelState.QUIET),
        (FLYING, [replace(HELD, asks=True)], [], ModelState.ATTENTION),
        (FLYING, [ENTRY], [pause(PauseScope.MODEL, "42")], ModelState.RUNNING),
        (Model("42"), [ENTRY], [pause(PauseScope.MODEL, "42")], ModelState.PAUSED),
        (Model("42"), [], [pause(PauseScope.EVERYTHING, "")], ModelState.PAUSED),
        (Model("42", policy="drift"), [], [pause(PauseScope.POLICY, "drift")], ModelState.PAUSED),
        (Model("42"), [], [pause(PauseScope.MODEL, "42", NOON)], ModelState.QUIET),
        (Model("42"), [HELD], [], ModelState.HELD),
        (Model("42"), [ENTRY], [pause(PauseScope.POLICY, "drift")], ModelState.HELD),
        (Model("42"), [replace(HELD, held_until=None)], [], ModelState.HELD),
        (Model("42"), [replace(HELD, held_until=NOON)], [], ModelState.FIRING),
        (Model("42"), [ENTRY], [], ModelState.FIRING),
        (Model("42"), [], [], ModelState.QUIET),
    ],
)
def test_a_models_state_is_what_an_operator_wants_to_know_first(model, alerts, pauses, state):
    """A human who is needed comes before a run, a run before a pause, a pause before a hold."""
    assert state_of(model, alerts, pauses, NOON) is state
