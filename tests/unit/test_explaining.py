"""`explain`: what holds a model, in the words of the code that decides."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.decisions import Reason, facts_of
from receiver.core.dispatches import DispatchState
from receiver.core.explaining import explain
from receiver.core.ladder import HOLDS, Case, decide
from receiver.core.models import FiringAlert, LatestDispatch, Model, Pause, PauseScope
from tests.examples import DRIFT, alert, policy_set
from tests.fakes import NOON
from tests.restrained import ASKED, SPENT, THREE_A_DAY, approving, known

HOUR = timedelta(hours=1)
MODEL = Model("42", policy="drift", labels={"user_id": "42"})
ENTRY = FiringAlert(
    fingerprint="f",
    model="42",
    policy="drift",
    alertname="HighModelMAE",
    labels={"alertname": "HighModelMAE", "user_id": "42"},
    value=0.6,
    starts_at=NOON,
    confirmed_at=NOON,
    expires_at=NOON + 13 * HOUR,
)
COOLING = replace(
    MODEL,
    cooldown_until=NOON + 2 * HOUR,
    latest=LatestDispatch("01h", DispatchState.SUCCEEDED, run_id="8123", ended_at=NOON),
)
PAUSE = Pause(PauseScope.MODEL, "42", NOON, None, "ana", "backfill")


@pytest.mark.parametrize(
    ("model", "alerts", "pauses", "holds", "detail"),
    [
        (MODEL, [], [], None, "no alert fires; one that fired now would start a run"),
        (
            COOLING,
            [],
            [],
            Reason.COOLDOWN,
            "no alert fires; one that fired now would meet: in cooldown for another 2h: "
            "run 8123 ended at 12:00 UTC",
        ),
        (MODEL, [ENTRY], [], None, "nothing holds it back: it is decided within seconds"),
        (
            COOLING,
            [ENTRY],
            [],
            Reason.COOLDOWN,
            "in cooldown for another 2h: run 8123 ended at 12:00 UTC; "
            "next attempt at 14:00 UTC if it still fires",
        ),
        (
            MODEL,
            [ENTRY],
            [PAUSE],
            Reason.PAUSED,
            "model 42 is paused until resumed by ana: backfill",
        ),
        (
            MODEL,
            [replace(ENTRY, stale_until=NOON + HOUR)],
            [],
            Reason.STALE,
            "it was reported resolved and may be a late copy; decided at 13:00 UTC",
        ),
    ],
)
def test_one_sentence_says_what_holds_it_and_when_it_is_tried_next(
    model, alerts, pauses, holds, detail
):
    """For an alert that fires, and for one that might."""
    explained = explain(model, alerts, pauses, policy_set(), NOON)

    assert (explained.holds, explained.detail) == (holds, detail)
    assert [gate.rung.value for gate in explained.gates] == [
        "paused",
        "in_flight",
        "cooldown",
        "observed",
    ]


def test_a_model_that_was_never_seen_firing_has_lost_no_policy():
    """It is known only by resolved alerts, or by ones that could not be understood."""
    explained = explain(Model("42"), [], [], policy_set(), NOON)

    assert explained.holds is None
    assert explained.detail == "no alert of it has ever been seen firing"


def test_a_question_names_its_end_once():
    """Nothing is tried then: it is asked anew."""
    facts = known(approval=ASKED).restraints
    entry = replace(ENTRY, held_by="approval", held_until=ASKED.expires_at, asks=True)

    explained = explain(MODEL, [entry], [], policy_set(approving()), NOON, restraints=facts)

    assert explained.holds is Reason.APPROVAL
    assert explained.detail.endswith("approve or reject it before 13:00 UTC")
    assert explained.next_check_at == ASKED.expires_at


def test_what_others_end_is_told_as_far_as_it_is_known():
    """Room in a budget comes at the latest then; the timer's own moment is not set."""
    entry = replace(ENTRY, held_by="budget")
    capped = policy_set(replace(DRIFT, limits=(THREE_A_DAY,)))

    explained = explain(
        MODEL, [entry], [], capped, NOON, restraints=known(spent=(SPENT,)).restraints
    )

    assert explained.next_check_at == NOON + 2 * HOUR


def test_a_policy_that_is_gone_is_said_so():
    """Its alerts are unmatched from now on."""
    explained = explain(MODEL, [ENTRY], [], replace(policy_set(), policies=()), NOON)

    assert explained.holds is Reason.UNMATCHED
    assert "gone from the configuration" in explained.detail


def test_it_is_the_deciding_code_that_answers():
    """What `explain` says is what a decision of this moment would say."""
    finding = decide(Case(alert(), DRIFT, facts_of(COOLING, None), NOON), HOLDS)

    explained = explain(COOLING, [ENTRY], [], policy_set(), NOON)

    assert explained.holds is finding.reason
    assert explained.detail.startswith(finding.detail)
