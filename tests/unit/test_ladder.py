"""The decision table: one rung at a time, the edges, and who wins."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.alerts import AlertStatus
from receiver.core.decisions import OUTCOMES, Facts, Outcome, Reason
from receiver.core.dispatches import LIVE, DispatchState
from receiver.core.ladder import HOLDS, LADDER, TIMER_LADDER, Case, climb, decide
from receiver.core.models import LatestDispatch, Pause, PauseScope
from receiver.core.restraints import Runs
from receiver.core.storms import ALONE, Gathering
from tests.examples import DRIFT, alert, observing, resolved
from tests.fakes import NOON
from tests.restrained import (
    ALWAYS,
    ASKED,
    BUSY,
    EPISODE,
    MANY,
    NEVER_NOW,
    NO,
    RESTRAINED,
    SPENT,
    STORM,
    THREE_A_DAY,
    YES,
    approving,
    known,
    window,
)

SECOND = timedelta(seconds=1)
QUIET = Facts()
FIRING = alert()
PAUSE = Pause(PauseScope.MODEL, "42", NOON - SECOND, NOON + SECOND, "ana", "backfill")
RUNNING = LatestDispatch("01h", DispatchState.RUNNING, run_id="8123", sent_at=NOON - SECOND)
EVERYTHING = Facts(
    problem="startsAt is missing",
    decided_at=NOON - SECOND,
    resolved_at=NOON - SECOND,
    pause=PAUSE,
    latest=RUNNING,
    cooldown_until=NOON + SECOND,
)
READABLE = replace(EVERYTHING, problem=None)
NEW = replace(READABLE, decided_at=None)
FRESH = replace(NEW, resolved_at=None)
FREE = replace(FRESH, pause=None)
LANDED = replace(FREE, latest=None)
ASKING = approving()
TWICE = replace(DRIFT, attempts=2)
NIGHTS = replace(DRIFT, window=NEVER_NOW)
OPEN = replace(RESTRAINED, window=ALWAYS)
EVERY = known(runs=9, spent=(SPENT,), gathering=MANY).restraints
FRESHER = replace(EVERY, runs=Runs(), gathering=ALONE)
STORMY = replace(DRIFT, storm=STORM)
CAPPED = replace(DRIFT, limits=(THREE_A_DAY,))
SOFT = replace(SPENT, limit=replace(THREE_A_DAY, asks=True))


def began(moment, **more):
    """What is known of a model whose episode began then."""
    restraints = replace(known(**more).restraints, episode_started_at=moment)
    return Facts(restraints=restraints)


@pytest.mark.parametrize(
    ("what", "policy", "facts", "reason"),
    [
        # One rung at a time ...
        (FIRING, DRIFT, QUIET, Reason.TRIGGERED),
        (FIRING, None, QUIET, Reason.UNMATCHED),
        (FIRING, DRIFT, Facts(problem="startsAt is missing"), Reason.INVALID),
        (resolved(ends_at=NOON), DRIFT, QUIET, Reason.RESOLVED),
        (FIRING, DRIFT, Facts(decided_at=NOON - SECOND), Reason.DUPLICATE),
        (FIRING, DRIFT, Facts(resolved_at=NOON - SECOND), Reason.STALE),
        (FIRING, DRIFT, Facts(pause=PAUSE), Reason.PAUSED),
        (FIRING, DRIFT, Facts(latest=RUNNING), Reason.IN_FLIGHT),
        (FIRING, DRIFT, Facts(cooldown_until=NOON + SECOND), Reason.COOLDOWN),
        (FIRING, DRIFT, Facts(backoff_until=NOON + SECOND), Reason.COOLDOWN),
        (FIRING, observing(), QUIET, Reason.OBSERVED),
        (alert(retrain_test="true"), DRIFT, QUIET, Reason.OBSERVED),
        (alert(retrain_test="false"), DRIFT, QUIET, Reason.TRIGGERED),
        (FIRING, NIGHTS, known(), Reason.WINDOW),
        (FIRING, STORMY, known(gathering=MANY), Reason.STORM),
        (FIRING, TWICE, known(runs=2), Reason.EXHAUSTED),
        (FIRING, CAPPED, known(spent=(SPENT,)), Reason.BUDGET),
        (FIRING, ASKING, known(), Reason.APPROVAL),
        # ... the edges ...
        (FIRING, DRIFT, Facts(decided_at=NOON - DRIFT.dedup_window), Reason.TRIGGERED),
        (FIRING, DRIFT, Facts(decided_at=NOON + SECOND), Reason.DUPLICATE),
        (FIRING, DRIFT, Facts(cooldown_until=NOON), Reason.TRIGGERED),
        (FIRING, DRIFT, Facts(pause=replace(PAUSE, until=NOON)), Reason.TRIGGERED),
        (FIRING, DRIFT, Facts(pause=replace(PAUSE, until=None)), Reason.PAUSED),
        (FIRING, DRIFT, Facts(observed_until=NOON + SECOND), Reason.TRIGGERED),
        (FIRING, observing(), Facts(observed_until=NOON + SECOND), Reason.COOLDOWN),
        (FIRING, observing(), Facts(observed_until=NOON), Reason.OBSERVED),
        (FIRING, replace(DRIFT, window=window("12:00-12:01")), known(), Reason.TRIGGERED),
        (FIRING, replace(DRIFT, window=window("11:59-12:00")), known(), Reason.WINDOW),
        (FIRING, NIGHTS, known(approval=YES), Reason.WINDOW),
        (FIRING, observing(NIGHTS), known(), Reason.WINDOW),
        (FIRING, STORMY, known(gathering=Gathering(5)), Reason.TRIGGERED),
        (FIRING, STORMY, began(NOON - STORM.wait + SECOND), Reason.STORM),
        (FIRING, STORMY, began(NOON - STORM.wait), Reason.TRIGGERED),
        (FIRING, STORMY, began(NOON, released_at=NOON), Reason.TRIGGERED),
        (FIRING, STORMY, known(gathering=MANY, released_at=EPISODE), Reason.TRIGGERED),
        (FIRING, STORMY, known(gathering=MANY, released_at=EPISODE - SECOND), Reason.STORM),
        (FIRING, STORMY, known(gathering=MANY, approval=YES), Reason.TRIGGERED),
        (FIRING, STORMY, known(gathering=MANY, approval=NO), Reason.STORM),
        (FIRING, STORMY, known(gathering=Gathering(5), approval=NO), Reason.APPROVAL),
        (alert(retrain_test="true"), STORMY, known(gathering=MANY), Reason.OBSERVED),
        (FIRING, observing(STORMY), known(gathering=MANY), Reason.STORM),
        (FIRING, TWICE, known(runs=1), Reason.TRIGGERED),
        (FIRING, DRIFT, known(runs=9), Reason.TRIGGERED),
        (FIRING, TWICE, known(runs=2, approval=ASKED), Reason.EXHAUSTED),
        (FIRING, TWICE, known(runs=2, approval=YES), Reason.TRIGGERED),
        (FIRING, TWICE, known(runs=2, approval=NO), Reason.EXHAUSTED),
        (FIRING, TWICE, known(runs=1, approval=NO), Reason.APPROVAL),
        (FIRING, CAPPED, known(spent=(replace(SPENT, used=2),)), Reason.TRIGGERED),
        (FIRING, CAPPED, known(spent=(replace(SPENT, used=2.5),)), Reason.BUDGET),
        (FIRING, CAPPED, known(spent=(SPENT,), approval=YES), Reason.BUDGET),
        (FIRING, CAPPED, known(spent=(replace(SPENT, used=0), BUSY)), Reason.BUDGET),
        (FIRING, CAPPED, known(spent=(SOFT,)), Reason.BUDGET),
        (FIRING, CAPPED, known(spent=(SOFT,), approval=YES), Reason.TRIGGERED),
        (FIRING, CAPPED, known(spent=(SOFT,), approval=NO), Reason.BUDGET),
        (FIRING, CAPPED, known(spent=(SOFT, BUSY), approval=YES), Reason.BUDGET),
        (FIRING, DRIFT, known(spent=(SPENT,)), Reason.TRIGGERED),
        (FIRING, ASKING, known(approval=ASKED), Reason.APPROVAL),
        (FIRING, ASKING, known(approval=YES), Reason.TRIGGERED),
        (FIRING, ASKING, known(approval=NO), Reason.APPROVAL),
        (FIRING, ASKING, QUIET, Reason.TRIGGERED),  # nothing was read: it was held before
        (alert(retrain_test="true"), ASKING, known(), Reason.OBSERVED),
        # ... and, with every cause true, who wins as the causes are peeled off.
        (FIRING, None, READABLE, Reason.UNMATCHED),
        (resolved(ends_at=NOON), DRIFT, EVERYTHING, Reason.INVALID),
        (resolved(ends_at=NOON), DRIFT, READABLE, Reason.RESOLVED),
        (FIRING, observing(), READABLE, Reason.DUPLICATE),
        (FIRING, observing(), NEW, Reason.STALE),
        (FIRING, observing(), FRESH, Reason.PAUSED),
        (FIRING, observing(), FREE, Reason.IN_FLIGHT),
        (FIRING, observing(), LANDED, Reason.COOLDOWN),
        (FIRING, RESTRAINED, replace(LANDED, restraints=EVERY), Reason.COOLDOWN),
        (FIRING, RESTRAINED, Facts(restraints=EVERY), Reason.WINDOW),
        (FIRING, OPEN, Facts(restraints=EVERY), Reason.STORM),
        (FIRING, OPEN, Facts(restraints=replace(EVERY, gathering=ALONE)), Reason.EXHAUSTED),
        (FIRING, OPEN, Facts(restraints=FRESHER), Reason.BUDGET),
        (FIRING, OPEN, Facts(restraints=replace(FRESHER, spent=())), Reason.APPROVAL),
    ],
)
def test_decide(what, policy, facts, reason):
    """Each row of the decision table, its edges and its order."""
    finding = decide(Case(what, policy, facts, NOON))

    assert finding.reason is reason
    assert finding.outcome is OUTCOMES[reason]
    assert finding.gates[-1].rung is reason
    assert [gate.applies for gate in finding.gates] == [False] * (len(finding.gates) - 1) + [True]


def test_an_alert_without_readable_labels_is_invalid_not_unmatched():
    """Nobody can say which policy would have matched it, so its fault is named instead."""
    blank = replace(alert(), labels={})

    finding = decide(Case(blank, None, Facts(problem="it is not an object"), NOON))

    assert finding.reason is Reason.INVALID


@pytest.mark.parametrize("state", list(DispatchState))
def test_only_live_dispatches_are_in_flight(state):
    """A parked, refused or ended dispatch does not hold its model by itself."""
    facts = Facts(latest=LatestDispatch("01h", state))

    reason = decide(Case(FIRING, DRIFT, facts, NOON)).reason

    assert (reason is Reason.IN_FLIGHT) == (state in LIVE)


def test_the_timer_asks_neither_for_copies_nor_for_staleness():
    """An alert of the firing set goes down from `paused` on, its policy found anew."""
    facts = Facts(decided_at=NOON, resolved_at=NOON)

    assert decide(Case(FIRING, DRIFT, facts, NOON), TIMER_LADDER).reason is Reason.TRIGGERED
    assert decide(Case(FIRING, None, facts, NOON), TIMER_LADDER).reason is Reason.UNMATCHED


def test_a_stale_alert_is_decided_when_its_first_copy_said():
    """Repeats of a stale delivery don't move the moment at which it is decided."""
    first = decide(Case(FIRING, DRIFT, Facts(resolved_at=NOON), NOON))
    later = NOON + DRIFT.dedup_window / 2
    facts = Facts(resolved_at=NOON, stale_until=first.next_check_at)

    repeat = decide(Case(FIRING, DRIFT, facts, later))

    assert first.next_check_at == NOON + DRIFT.dedup_window
    assert repeat.next_check_at == first.next_check_at


def test_the_detail_of_a_cooldown_says_how_long_and_why():
    """One plain sentence with the numbers."""
    ended = LatestDispatch(
        "01h",
        DispatchState.SUCCEEDED,
        run_id="8123",
        ended_at=NOON - timedelta(hours=2, minutes=46),
    )
    facts = Facts(latest=ended, cooldown_until=NOON + timedelta(hours=3, minutes=12))

    detail = decide(Case(FIRING, DRIFT, facts, NOON)).detail

    assert detail == "in cooldown for another 3h12m: run 8123 ended at 09:14 UTC"


def test_every_reason_has_an_outcome_and_every_rung_its_place():
    """The ladder keeps the documented order, and no reason is without an outcome."""
    case = Case(FIRING, RESTRAINED, known(), NOON)
    rungs = [gate.rung.value for gate in climb(case, LADDER)]

    assert rungs == [
        "unmatched",
        "invalid",
        "resolved",
        "duplicate",
        "stale",
        "paused",
        "in_flight",
        "cooldown",
        "window",
        "storm",
        "exhausted",
        "budget",
        "approval",
        "observed",
        "triggered",
    ]
    assert set(OUTCOMES) == set(Reason)
    assert [r for r in Reason if OUTCOMES[r] is Outcome.TRIGGER] == [Reason.TRIGGERED]


def test_a_policy_without_their_keys_has_none_of_the_later_rungs():
    """It decides as before, and its gates say no more than before."""
    rungs = [gate.rung.value for gate in climb(Case(FIRING, DRIFT, known(), NOON), HOLDS)]

    assert rungs == ["paused", "in_flight", "cooldown", "observed", "triggered"]


@given(gaps=st.lists(st.timedeltas(timedelta(0), timedelta(days=2)), max_size=50))
def test_triggers_keep_their_distance(gaps):
    """Whatever arrives, two triggers are never closer than the cooldown."""
    now, triggers = NOON, []
    for gap in gaps:
        now += gap
        until = triggers[-1] + DRIFT.cooldown if triggers else None
        case = Case(FIRING, DRIFT, Facts(cooldown_until=until), now)
        if decide(case).reason is Reason.TRIGGERED:
            triggers.append(now)

    assert all(b - a >= DRIFT.cooldown for a, b in pairwise(triggers))


@given(
    status=st.sampled_from(AlertStatus),
    facts=st.builds(
        Facts,
        problem=st.none() | st.just("broken"),
        decided_at=st.none() | st.datetimes().map(lambda d: d.replace(tzinfo=NOON.tzinfo)),
        cooldown_until=st.none() | st.datetimes().map(lambda d: d.replace(tzinfo=NOON.tzinfo)),
    ),
)
def test_a_resolved_alert_never_triggers(status, facts):
    """Whatever else is true, only a firing alert starts a run."""
    reason = decide(Case(alert(status=status, ends_at=NOON), DRIFT, facts, NOON)).reason

    assert status is AlertStatus.FIRING or reason in {Reason.INVALID, Reason.RESOLVED}


@pytest.mark.parametrize(
    ("latest", "cause"),
    [
        (None, "an earlier run took it"),
        (LatestDispatch("01h", DispatchState.SUPERSEDED), "dispatch 01h is superseded"),
        (
            LatestDispatch("01h", DispatchState.PARKED, sent_at=NOON),
            "dispatch 01h was sent at 12:00 UTC",
        ),
    ],
)
def test_a_cooldown_names_what_took_it(latest, cause):
    """As far as it is known."""
    facts = Facts(latest=latest, cooldown_until=NOON + SECOND)

    assert decide(Case(FIRING, DRIFT, facts, NOON)).detail.endswith(cause)


def test_a_back_off_and_an_observed_cooldown_are_told_apart():
    """An operator mends the one and waits for the other."""
    refused = LatestDispatch("01h", DispatchState.REFUSED)
    backing_off = Facts(latest=refused, backoff_until=NOON + SECOND)
    observed = Facts(latest=refused, observed_until=NOON + SECOND)

    assert "refused dispatch 01h" in decide(Case(FIRING, DRIFT, backing_off, NOON)).detail
    assert (
        "an observed trigger took it" in decide(Case(FIRING, observing(), observed, NOON)).detail
    )


def test_a_ladder_that_does_not_end_is_a_bug():
    """The last rung always applies; a policy is asked for after `unmatched` only."""
    with pytest.raises(AssertionError):
        decide(Case(FIRING, DRIFT, QUIET, NOON), LADDER[:1])
    with pytest.raises(ValueError, match="unmatched"):
        decide(Case(FIRING, None, QUIET, NOON), LADDER[2:])
