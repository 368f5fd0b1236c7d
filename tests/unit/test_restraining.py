"""The rungs below `cooldown`: what they say, what they ask, what an answer is worth."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core import cooldowns
from receiver.core.approvals import UNUSED, in_force
from receiver.core.decisions import Reason
from receiver.core.dispatches import DispatchState
from receiver.core.ladder import Case, decide
from receiver.core.models import (
    FiringAlert,
    LatestDispatch,
    Model,
    ModelState,
    next_check,
    state_of,
)
from receiver.core.storms import Gathering
from tests.examples import DRIFT, alert
from tests.fakes import NOON
from tests.restrained import (
    ASKED,
    BUSY,
    EPISODE,
    NO,
    SPENT,
    STORM,
    THREE_A_DAY,
    YES,
    approving,
    known,
)

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CAPPED = replace(DRIFT, limits=(THREE_A_DAY,))
SOFT = replace(SPENT, limit=replace(THREE_A_DAY, asks=True))
THRICE = replace(DRIFT, attempts=3)


def found(policy, facts, now=NOON):
    return decide(Case(alert(), policy, facts, now))


@pytest.mark.parametrize(
    ("policy", "facts", "detail", "asks"),
    [
        (
            THRICE,
            known(runs=3, without_effect=2),
            "retrained 3 times since 03:00 UTC (2 ended well, without effect) and it still fires: "
            "a human must look; approve one more run, or reject it",
            True,
        ),
        (
            replace(DRIFT, attempts=1),
            known(runs=1, approval=NO),
            "retrained once since 03:00 UTC (0 ended well, without effect) and it still fires: "
            "ana rejected one more run: broken sensor",
            False,
        ),
        (
            approving(),
            known(),
            "policy drift asks before each run: approve or reject it before 2026-11-23 12:00 UTC",
            True,
        ),
        (
            approving(),
            known(approval=ASKED),
            "policy drift asks before each run: approve or reject it before 13:00 UTC",
            True,
        ),
        (
            approving(),
            known(approval=NO),
            "rejected by ana until the episode ends: broken sensor",
            False,
        ),
        (
            CAPPED,
            known(spent=(SPENT, BUSY)),
            "the budget is used up: 3 of 3 runs in 1d in total are ordered, 1 of 1 in flight per "
            "policy; there is room again when a run ends",
            False,
        ),
        (
            CAPPED,
            known(spent=(SOFT,), approval=NO),
            "the budget is used up: 3 of 3 runs in 1d in total are ordered; there is room again "
            "at 14:00 UTC, or now: ana rejected one more run: broken sensor",
            False,
        ),
        (
            CAPPED,
            known(spent=(SOFT,)),
            "the budget is used up: 3 of 3 runs in 1d in total are ordered; there is room again "
            "at 14:00 UTC, or now: a human must look; approve one more run, or reject it",
            True,
        ),
    ],
)
def test_the_detail_says_what_holds_the_model_and_what_a_human_can_do(policy, facts, detail, asks):
    """With the numbers, who answered, and why."""
    finding = found(policy, facts)

    assert finding.detail == detail
    assert finding.asks is finding.gates[-1].saw["asks"] is asks


@pytest.mark.parametrize(("calm_at", "calm"), [(None, ""), (NOON + HOUR, " (calm at 13:00 UTC)")])
def test_a_storm_says_how_many_and_when_it_is_calm(calm_at, calm):
    """If that can be told; then the timer comes, and else a human is waited for."""
    finding = found(replace(DRIFT, storm=STORM), known(gathering=Gathering(6, calm_at)))

    assert finding.next_check_at == calm_at
    assert finding.detail == (
        "6 models of policy drift began to fire within 10m of each other, more than 5"
        f"{calm}: suspect the data; release the policy to let all of them go; "
        "a human must look; approve one more run, or reject it"
    )


def test_as_many_models_as_a_storm_admits_are_none():
    """One more is."""
    few = Gathering(5, calm_at=NOON + HOUR)
    gates = {
        gate.rung: gate for gate in found(replace(DRIFT, storm=STORM), known(gathering=few)).gates
    }

    assert gates[Reason.STORM].until is None
    assert gates[Reason.STORM].detail == "5 of at most 5 models of policy drift fire together"


def test_a_rung_that_lets_an_alert_pass_says_why():
    """Somebody approved it, or it is not so far yet."""
    gates = found(approving(THRICE), known(runs=3, approval=YES)).gates
    details = {gate.rung.value: gate.detail for gate in gates}

    assert details["exhausted"].endswith("ana approved one more run: clean data")
    assert details["approval"] == "approved by ana: clean data"
    roomy = known(spent=(replace(SPENT, used=1), replace(BUSY, used=0)), gathering=Gathering(1))
    details = {g.rung.value: g.detail for g in found(replace(CAPPED, storm=STORM), roomy).gates}
    assert details["budget"] == "there is room: 1 of 3 runs in 1d in total are ordered"
    assert details["storm"] == "1 of at most 5 models of policy drift fire together"
    details = [gate.detail for gate in found(THRICE, known(runs=2)).gates]
    assert "2 of 3 runs of this episode are used" in details


@pytest.mark.parametrize(
    ("approval", "saw"),
    [
        (None, {"asked_at": None, "asked_by": None, "expires_at": None, "answer": None}),
        (
            NO,
            {
                "asked_at": "2026-11-22T11:00:00Z",
                "asked_by": "approval",
                "expires_at": None,
                "answer": "rejected",
                "actor": "ana",
                "comment": "broken sensor",
            },
        ),
    ],
)
def test_who_asked_and_what_was_answered_is_written_down(approval, saw):
    """Enough to decide again from the log alone."""
    gate = found(approving(), known(approval=approval)).gates[-1]

    assert {name: value for name, value in gate.saw.items() if name in saw} == saw


def test_a_repeat_does_not_prolong_a_question_and_each_rung_asks_its_own():
    """A repeated alert does not prolong it; what another rung asked has no end of its own."""
    ours, others = known(approval=ASKED), known(approval=replace(ASKED, rung="exhausted"))

    assert found(approving(), ours).next_check_at == ASKED.expires_at
    assert found(approving(), others).next_check_at == NOON + timedelta(hours=24)
    assert found(approving(approval_expiry=HOUR), known()).next_check_at == NOON + HOUR
    assert found(THRICE, known(runs=3)).next_check_at is None


@pytest.mark.parametrize(
    ("approval", "latest", "now", "counts"),
    [
        (YES, None, NOON, True),
        (None, None, NOON, False),
        (YES, None, YES.expires_at - SECOND, True),
        (YES, None, YES.expires_at, False),
        (NO, None, NOON + 1000 * HOUR, True),
        (replace(YES, episode_started_at=EPISODE - SECOND), None, NOON, False),
        (YES.used_by("01h"), None, NOON, False),
        (YES.used_by("01h"), LatestDispatch("01j", DispatchState.REFUSED), NOON, False),
        *(
            (YES.used_by("01h"), LatestDispatch("01h", state), NOON, state in UNUSED)
            for state in DispatchState
        ),
    ],
)
def test_an_approval_is_one_run_of_one_episode(approval, latest, now, counts):
    """It runs out, it is used once, and a dispatch that surely ran nothing gives it back."""
    kept = in_force(approval, EPISODE, latest, now)

    assert kept == (approval if counts else None)


@settings(deadline=None)
@given(
    factor=st.floats(1, 100),
    runs=st.integers(0, 10_000),
    cooldown=st.timedeltas(SECOND, timedelta(days=36_500)),
)
def test_a_cooldown_grows_with_each_run_and_never_beyond_reason(factor, runs, cooldown):
    """By the factor, up to 30 days; it is never shorter than what the policy says."""
    now, later = (cooldowns.grown(cooldown, factor, n) for n in (runs, runs + 1))

    assert cooldown <= now <= later <= max(cooldown, cooldowns.LONGEST_GROWN)
    assert cooldowns.grown(cooldown, factor, 0) == cooldown


def test_a_cooldown_doubles():
    """6h, 12h, 24h."""
    six = timedelta(hours=6)

    assert [cooldowns.grown(six, 2, n) / six for n in range(4)] == [1, 2, 4, 8]


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
HELD = replace(ENTRY, held_by="window", held_until=NOON + HOUR)


@pytest.mark.parametrize(
    ("entry", "cooldown_until", "due"),
    [
        (HELD, None, NOON + HOUR),
        (HELD, NOON + 2 * HOUR, NOON + 2 * HOUR),
        (replace(HELD, held_until=NOON - HOUR), None, NOON),
        (replace(HELD, held_until=None), None, None),
        (replace(HELD, held_until=None), NOON + HOUR, None),
        (HELD.freed(), None, NOON),
    ],
)
def test_the_timer_comes_when_a_rung_can_answer_differently(entry, cooldown_until, due):
    """Not before, at once if that has passed, and not at all if only an event can change it."""
    model = Model("42", cooldown_until=cooldown_until)

    assert next_check(model, [entry], [], NOON) == due


def test_a_model_that_a_human_is_asked_about_needs_attention():
    """Whatever else it is."""
    assert state_of(Model("42"), [HELD], [], NOON) is ModelState.HELD
    asking = replace(HELD, asks=True)
    assert state_of(Model("42"), [ENTRY, asking], [], NOON) is ModelState.ATTENTION
