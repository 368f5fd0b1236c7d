"""What each rung of the ladder says, and what it writes down of what it saw."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.alerts import AlertStatus
from receiver.core.decisions import Facts, Reason
from receiver.core.dispatches import DispatchState
from receiver.core.ladder import LADDER, Case, climb, decide
from receiver.core.models import LatestDispatch, Pause, PauseScope
from tests.examples import DRIFT, alert, observing, resolved
from tests.fakes import NOON

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
)
NEW = Facts(resolved_at=NOON - SECOND)


@pytest.mark.parametrize(
    ("what", "policy", "facts", "details"),
    [
        (FIRING, DRIFT, QUIET, ["policy drift matches"]),
        (FIRING, None, QUIET, ["no policy matches these labels"]),
        (FIRING, DRIFT, QUIET, ["policy drift matches", "the alert is readable", "it fires"]),
        (
            resolved(ends_at=NOON),
            DRIFT,
            QUIET,
            [
                "policy drift matches",
                "the alert is readable",
                "the alert ended at 12:00 UTC; a resolved alert starts nothing",
            ],
        ),
        (
            alert(status=AlertStatus.RESOLVED),
            DRIFT,
            QUIET,
            [
                "policy drift matches",
                "the alert is readable",
                "the alert ended; a resolved alert starts nothing",
            ],
        ),
        (
            FIRING,
            DRIFT,
            Facts(problem="startsAt is missing"),
            ["policy drift matches", "this alert can't be understood: startsAt is missing"],
        ),
        (
            FIRING,
            DRIFT,
            QUIET,
            [
                "policy drift matches",
                "the alert is readable",
                "it fires",
                "this delivery is new",
                "it was not resolved before",
                "no pause is in force",
                "nothing of this model is in flight",
                "no cooldown is left",
                "the policy acts",
                "nothing holds it back: one run at pipeline is ordered",
            ],
        ),
    ],
)
def test_each_rung_says_in_one_sentence_what_it_saw(what, policy, facts, details):
    """Also those that let an alert pass."""
    gates = climb(Case(what, policy, facts, NOON), LADDER)

    assert [gate.detail for gate, _ in zip(gates, details, strict=False)] == details


@pytest.mark.parametrize(
    ("policy", "facts", "detail"),
    [
        (
            DRIFT,
            Facts(decided_at=NOON - SECOND),
            "the same delivery was decided 1s ago; repeats within 10m count once",
        ),
        (
            DRIFT,
            Facts(resolved_at=NOON - SECOND),
            "the same alert was reported resolved at 11:59 UTC: a late copy or a re-fire; "
            "decided at 12:10 UTC if it still fires",
        ),
        (DRIFT, Facts(pause=PAUSE), "model 42 is paused until 12:00 UTC by ana: backfill"),
        (
            DRIFT,
            Facts(pause=replace(PAUSE, scope=PauseScope.EVERYTHING, name="", until=None)),
            "everything is paused until resumed by ana: backfill",
        ),
        (
            DRIFT,
            Facts(latest=RUNNING),
            "dispatch 01h is running as run 8123 since 11:59 UTC",
        ),
        (
            DRIFT,
            Facts(latest=replace(RUNNING, detail="run 8123: waits for an approval at GitHub")),
            "dispatch 01h is running as run 8123 since 11:59 UTC: waits for an approval at GitHub",
        ),
        (
            DRIFT,
            Facts(latest=replace(RUNNING, detail="run 8123: it runs")),
            "dispatch 01h is running as run 8123 since 11:59 UTC",
        ),
        (
            DRIFT,
            Facts(latest=replace(RUNNING, detail="run 8123 was started")),
            "dispatch 01h is running as run 8123 since 11:59 UTC",
        ),
        (
            DRIFT,
            Facts(latest=LatestDispatch("01h", DispatchState.PENDING)),
            "dispatch 01h is pending",
        ),
        (observing(), QUIET, "it would have triggered, but policy drift only observes"),
    ],
)
def test_the_rung_that_decides_says_why(policy, facts, detail):
    """With who, when and how long."""
    assert decide(Case(FIRING, policy, facts, NOON)).detail == detail


def test_a_test_alert_is_told_apart_from_a_policy_that_observes():
    """It takes no cooldown, so nothing is due."""
    tested = decide(Case(alert(retrain_test="true"), DRIFT, QUIET, NOON))
    seen = decide(Case(FIRING, observing(), QUIET, NOON))

    assert tested.detail == "it would have triggered, but it is a test alert"
    assert tested.next_check_at is None
    assert seen.next_check_at == NOON + DRIFT.cooldown


@pytest.mark.parametrize(
    ("policy", "facts", "rung", "saw"),
    [
        (None, QUIET, Reason.UNMATCHED, {"policy": None, "readable": True}),
        (DRIFT, QUIET, Reason.UNMATCHED, {"policy": "drift", "readable": True}),
        (DRIFT, EVERYTHING, Reason.INVALID, {"problem": "startsAt is missing"}),
        (DRIFT, QUIET, Reason.RESOLVED, {"ends_at": None}),
        (
            DRIFT,
            NEW,
            Reason.DUPLICATE,
            {"decided_at": None, "dedup_window_seconds": 600},
        ),
        (
            DRIFT,
            replace(EVERYTHING, stale_until=NOON + SECOND),
            Reason.STALE,
            {
                "resolved_at": "2026-11-22T11:59:59Z",
                "stale_until": "2026-11-22T12:00:01Z",
                "dedup_window_seconds": 600,
            },
        ),
        (DRIFT, QUIET, Reason.PAUSED, {"paused_until": None}),
        (
            DRIFT,
            EVERYTHING,
            Reason.PAUSED,
            {
                "paused_until": "2026-11-22T12:00:01Z",
                "scope": "model",
                "name": "42",
                "actor": "ana",
                "comment": "backfill",
                "since": "2026-11-22T11:59:59Z",
            },
        ),
        (DRIFT, QUIET, Reason.IN_FLIGHT, {"dispatch_id": None, "state": None}),
        (
            DRIFT,
            EVERYTHING,
            Reason.IN_FLIGHT,
            {"dispatch_id": "01h", "state": "running", "run_id": "8123"},
        ),
        (
            DRIFT,
            replace(QUIET, cooldown_until=NOON, backoff_until=NOON, observed_until=NOON),
            Reason.COOLDOWN,
            {
                "cooldown_until": "2026-11-22T12:00:00Z",
                "backoff_until": "2026-11-22T12:00:00Z",
                "observed_until": "2026-11-22T12:00:00Z",
                "mode": "auto",
            },
        ),
        (DRIFT, QUIET, Reason.OBSERVED, {"mode": "auto", "retrain_test": False}),
        (DRIFT, QUIET, Reason.TRIGGERED, {"target": "pipeline"}),
    ],
)
def test_each_rung_writes_down_what_it_looked_at(policy, facts, rung, saw):
    """Enough to decide again from the log alone."""
    case = Case(FIRING, policy, facts, NOON)
    ladder = LADDER if policy else LADDER[:1]

    assert next(gate for gate in climb(case, ladder) if gate.rung is rung).saw == saw
