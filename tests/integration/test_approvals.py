"""A rung asks a human; the answer is one run, or none in this episode."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.models import ModelState, state_of
from receiver.core.runs import RunState
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import Act, Conflict, NotFound
from receiver.flows.operator.reloading import apply_configuration
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.fakes import refused
from tests.restrained import approving

HOUR = timedelta(hours=1)
ANA = Act("ana", "clean data")


@pytest.fixture
def asking(history):
    history.policy_set = policy_set(approving())
    return history


def approve(history, name="42", act=ANA):
    return approvals.approve(history.store, history.policy_set, act, name)


def reject(history, name="42"):
    return approvals.reject(history.store, history.policy_set, ANA, name)


def asked(history, name="42"):
    with history.store.view() as view:
        return view.models.approvals([name]).get(name)


def state(history):
    return state_of(history.model(), history.firing(), [], history.now())


def test_nothing_starts_before_a_human_says_yes(asking):
    """The model waits, however often its alerts come; then it gets one run."""
    first = asking.reasons(alert())
    asking.wait(HOUR, step=timedelta(minutes=20))
    assert first == ["approval"]
    assert asking.reasons(alert(name="LowModelR2")) == ["approval"]
    assert asking.dispatches() == []
    assert state(asking) is ModelState.ATTENTION

    approve(asking)
    assert state(asking) is ModelState.FIRING
    asking.work()

    assert len(asking.target.starts) == 1
    (row,) = asking.log(source="operator")
    assert (row.reason, row.model, row.policy, row.actor, row.comment) == (
        "operator",
        "42",
        "drift",
        "ana",
        "clean data",
    )
    assert row.detail == "what approval asked about the model 42 is approved by ana: clean data"
    triggered = asking.log(reason="triggered")[0]
    gate = next(gate for gate in asking.whole(triggered).gates if gate["rung"] == "approval")
    assert (gate["answer"], gate["actor"], gate["comment"]) == ("approved", "ana", "clean data")


def test_an_approval_is_exactly_one_run(asking):
    """Still firing after it, the model is asked about anew."""
    asking.deliver(alert())
    approve(asking)
    asking.work()
    asking.run_to_its_end()
    asking.wait(7 * HOUR, step=HOUR)

    assert len(asking.dispatches()) == 1
    assert asking.log()[-1].reason == "approval"
    assert asked(asking).approved is None
    assert asked(asking).asked_at > asking.now() - 2 * HOUR


@pytest.mark.parametrize("way", ["refused", "superseded"])
def test_an_approval_outlives_a_dispatch_that_ran_nothing(asking, way):
    """What was approved has not happened yet."""
    asking.deliver(alert())
    approve(asking)
    if way == "refused":
        asking.target.accidents = [refused]
        asking.work()
    else:
        asking.tick()
        asking.deliver(resolved(ends_at=asking.now()))
        asking.send()
        asking.clock.pass_(timedelta(minutes=1))
        asking.deliver(alert(starts_at=asking.now()))
    asking.wait(timedelta(minutes=5))

    assert [s.value for s in asking.states()] == [way, "running"]


def test_a_no_holds_until_the_episode_ends(asking):
    """Whatever fires meanwhile; the next episode is asked about anew."""
    asking.deliver(alert())
    reject(asking)
    assert state(asking) is ModelState.FIRING
    asking.wait(8 * HOUR, step=2 * HOUR)
    asking.deliver(alert(name="LowModelR2"))
    assert state(asking) is ModelState.HELD
    assert asking.log()[-1].detail == "rejected by ana until the episode ends: clean data"

    ends_at = asking.now()
    asking.deliver(resolved(ends_at=ends_at), resolved(name="LowModelR2", ends_at=ends_at))
    asking.clock.pass_(DRIFT.cooldown)
    asking.deliver(alert(starts_at=asking.now()))

    assert asking.dispatches() == []
    assert asking.log()[-1].detail.startswith("policy drift asks before each run")


def test_a_human_may_think_again(asking):
    """Yes after no, no after yes; and `retrain` never asks."""
    asking.deliver(alert())
    reject(asking)
    approve(asking)
    reject(asking)
    asking.work()
    assert asking.dispatches() == []

    controls.retrain(asking.store, asking.policy_set, ANA, "42")
    asking.run_to_its_end()
    asking.wait(7 * HOUR, step=HOUR)

    assert len(asking.dispatches()) == 1
    assert asked(asking).approved is None  # the order was an answer too: it is asked anew


def test_a_question_runs_out_and_is_asked_anew(asking):
    """An answer to yesterday's question would be about yesterday's facts."""
    asking.deliver(alert())
    asking.clock.pass_(12 * HOUR)
    asking.deliver(alert())
    first = asked(asking)
    asking.clock.pass_(12 * HOUR)

    with pytest.raises(Conflict, match="nothing is asked"):
        approve(asking)
    asking.tick()

    assert asked(asking).asked_at == first.asked_at + 24 * HOUR
    assert asking.log(source="timer")[-1].reason == "approval"
    approve(asking)


def test_an_approval_that_nothing_could_use_runs_out_too(asking):
    """A pause outlasts it: what holds a model beside the question still does."""
    asking.deliver(alert())
    controls.pause(
        asking.store, asking.policy_set, ANA, controls.PauseScope.MODEL, "42", length=30 * HOUR
    )
    approve(asking)
    asking.clock.pass_(25 * HOUR)
    asking.deliver(alert(name="LowModelR2"))
    asking.wait(6 * HOUR, step=2 * HOUR)

    assert asking.dispatches() == []
    assert asking.log()[-1].reason == "approval"


def test_there_must_be_something_to_answer(asking):
    """404 for a model never seen, 409 if nothing is asked or nothing fires any more."""
    with pytest.raises(NotFound, match="no model is remembered by the name 42"):
        approve(asking)
    asking.deliver(alert())
    asking.deliver(resolved(ends_at=asking.now()))
    with pytest.raises(Conflict, match="nothing is asked about the model 42 now"):
        approve(asking)
    asking.policy_set = policy_set()
    asking.deliver(alert("43"))
    with pytest.raises(Conflict):
        reject(asking, "43")


def test_the_same_answer_under_the_same_key_is_given_once(asking):
    """A retried command does not approve a second question."""
    act = Act("ana", "now", key="k1", request="approve 42")
    asking.deliver(alert())
    first = approve(asking, act=act)
    asking.work()

    assert approve(asking, act=act) == first


def test_an_answer_is_possible_after_the_policy_went(asking):
    """The usual expiry counts; without its policy the alert leaves at the next check."""
    asking.deliver(alert())
    asking.policy_set = replace(policy_set(), policies=())
    approve(asking)
    asking.work()

    assert asking.dispatches() == []
    assert asking.firing() == []


def test_a_test_alert_asks_nobody(asking):
    """It shows what would happen, and leaves nothing behind."""
    assert asking.reasons(alert(retrain_test="true")) == ["observed"]
    assert asked(asking) is None


@pytest.fixture
def trying(history):
    """Three runs in an episode, with a cooldown that doubles, then a human must look."""
    history.policy_set = policy_set(replace(DRIFT, attempts=3, backoff=2.0))
    return history


def sent(history):
    return [row.sent_at for row in history.dispatches()]


def live(history, span, state=RunState.SUCCEEDED):
    """Time passes; every run ends at once, and does not help."""
    end = history.now() + span
    while history.now() < end:
        history.clock.pass_(timedelta(minutes=30))
        history.work()
        history.run_to_its_end(state)


@pytest.mark.parametrize("end", [RunState.SUCCEEDED, RunState.FAILED])
def test_ineffective_retraining_backs_off_and_ends_at_the_attempts(trying, end):
    """After 6h, then after 12h; then a human must look."""
    trying.deliver(alert())
    live(trying, 12 * HOUR, end)
    trying.deliver(alert())
    live(trying, 12 * HOUR, end)
    trying.deliver(alert())
    live(trying, 12 * HOUR, end)
    trying.deliver(alert())
    live(trying, 12 * HOUR, end)

    first, second, third = sent(trying)
    assert timedelta(0) <= second - first - 6 * HOUR <= timedelta(minutes=31)
    assert timedelta(0) <= third - second - 12 * HOUR <= timedelta(minutes=31)
    last = trying.log()[-1]
    no_effect = 3 if end is RunState.SUCCEEDED else 0
    assert last.reason == "exhausted"
    assert f"retrained 3 times since 2026-11-22 12:00 UTC ({no_effect} ended well" in last.detail
    assert last.next_check_at is None
    assert state(trying) is ModelState.ATTENTION


def exhaust(history):
    history.policy_set = policy_set(replace(DRIFT, attempts=1))
    history.deliver(alert())
    live(history, 7 * HOUR)
    assert history.log()[-1].reason == "exhausted"


@pytest.mark.parametrize("way", ["approve", "retrain"])
def test_an_exhausted_model_gets_one_more_run_from_a_human(history, way):
    """Then it is exhausted again."""
    exhaust(history)

    if way == "approve":
        approve(history)
    else:
        controls.retrain(history.store, history.policy_set, ANA, "42")
    history.work()
    history.run_to_its_end()
    live(history, 4 * HOUR)
    history.deliver(alert())
    live(history, 4 * HOUR)

    assert len(history.dispatches()) == 2
    assert history.log()[-1].reason == "exhausted"


def test_a_new_episode_begins_to_count_anew(history):
    """It helped after all."""
    exhaust(history)
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(DRIFT.cooldown)

    assert history.reasons(alert(starts_at=history.now())) == ["triggered"]


def test_what_never_ran_is_no_attempt(history):
    """A refusal and an order that was withdrawn say nothing about the model."""
    history.policy_set = policy_set(replace(DRIFT, attempts=1))
    history.target.accidents = [refused]
    history.deliver(alert())
    history.work()
    history.clock.pass_(timedelta(minutes=2))
    history.work()

    assert [s.value for s in history.states()] == ["refused", "running"]


def test_a_reload_with_other_numbers_decides_anew(history):
    """More attempts: the next run comes without a human."""
    exhaust(history)
    history.policy_set = policy_set(replace(DRIFT, attempts=2), config_hash="new")
    apply_configuration(history.store, history.policy_set, "{}")
    history.work()

    assert len(history.dispatches()) == 2
