"""Operators pause, resume, retrain, retry and abandon; each act leaves a decision."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import ATTENTION, LIVE, DispatchState
from receiver.core.models import ModelState, PauseScope, state_of
from receiver.flows.operator import controls, dispatches
from receiver.flows.operator.acts import Act, Conflict, NotFound
from receiver.flows.operator.controls import Named
from tests.examples import DRIFT, alert, observing, policy_set, resolved
from tests.fakes import cut_before_accepting, refused

ANA = Act("ana", "backfill")
HOUR = timedelta(hours=1)


def pause(history, scope=PauseScope.MODEL, name="42", length=None):
    return controls.pause(
        history.store, history.policy_set, ANA, scope, name, length=length, named=named(name)
    )


def resume(history, scope=PauseScope.MODEL, name="42"):
    return controls.resume(history.store, history.policy_set, ANA, scope, name)


def retrain(history, name="42", act=ANA):
    history.clock.pass_(timedelta(seconds=1))  # ids of one millisecond have no order
    return controls.retrain(history.store, history.policy_set, act, name, named(name))


def named(name):
    return Named("drift", {"user_id": name})


def state(history, name="42"):
    with history.store.view() as view:
        pauses = view.models.pauses()
    return state_of(history.model(name), history.firing(name), pauses, history.now())


@pytest.mark.parametrize(
    ("scope", "name"),
    [(PauseScope.MODEL, "42"), (PauseScope.POLICY, "drift"), (PauseScope.EVERYTHING, "")],
)
def test_a_pause_holds_and_its_lifting_decides_at_once(history, scope, name):
    """On a model, its policy or everything."""
    pause(history, scope, name)
    assert history.reasons(alert()) == ["paused"]
    assert history.model().next_check_at is None

    resume(history, scope, name)

    assert history.model().next_check_at == history.now()
    assert history.tick()


def test_a_pause_with_an_end_ends_by_itself(history):
    """The timer decides when it is over, without a webhook."""
    pause(history, length=4 * HOUR)
    history.deliver(alert())
    assert history.model().next_check_at == history.now() + 4 * HOUR

    history.wait(4 * HOUR, step=HOUR)

    assert [row.reason for row in history.log(source="timer")] == ["triggered"]


def test_the_pause_that_lasts_longest_holds(history):
    """A model may be paused by itself and by its policy."""
    pause(history, length=HOUR)
    pause(history, PauseScope.POLICY, "drift", length=2 * HOUR)

    (decision,) = history.deliver(alert())

    assert decision.next_check_at == history.now() + 2 * HOUR


def test_a_pause_on_something_else_holds_nothing(history):
    """Another model's pause is not ours."""
    pause(history, name="43")

    assert history.reasons(alert("42")) == ["triggered"]


def test_every_act_is_in_the_log_with_who_and_why(history):
    """Reason `operator`, outcome `note`."""
    pause(history)
    resume(history)

    rows = history.log(source="operator")

    assert [(row.reason, row.outcome, row.actor, row.comment) for row in rows] == [
        ("operator", "note", "ana", "backfill")
    ] * 2


def test_retrain_overrides_every_hold_but_a_run_in_flight(history):
    """A cooldown and a pause don't stop an operator; a run that goes on does."""
    history.deliver(alert())
    history.run_to_its_end()
    pause(history)

    retrain(history)
    history.run_to_its_end()
    assert [s.value for s in history.states()] == ["succeeded", "succeeded"]

    retrain(history)
    retrain(history)
    last = history.log(source="operator")[-1]
    assert (last.reason, last.outcome, last.dispatch_id) == (
        "in_flight",
        "hold",
        history.dispatches()[-1].id,
    )
    assert len(history.dispatches()) == 3


def test_retrain_works_for_a_model_that_never_fired_and_under_an_observing_policy(history):
    """It is an order: the alert's absence does not supersede it."""
    history.policy_set = policy_set(observing())

    retrain(history, "77")
    history.run_to_its_end()

    assert [row.model for row in history.dispatches(state="succeeded")] == ["77"]


def test_a_model_that_nobody_named_yet_needs_policy_and_labels(history):
    """And they must name the model that is asked for."""
    with pytest.raises(NotFound, match="give policy and labels"):
        controls.retrain(history.store, history.policy_set, ANA, "77", Named())
    with pytest.raises(NotFound, match="names the model 78, not 77"):
        controls.retrain(
            history.store, history.policy_set, ANA, "77", Named("drift", {"user_id": "78"})
        )
    assert history.dispatches() == []


def test_a_known_model_needs_nothing_but_its_name(history):
    """How it was named last is remembered."""
    history.deliver(alert())
    history.run_to_its_end()

    controls.retrain(history.store, history.policy_set, ANA, "42")

    assert len(history.dispatches()) == 2


def test_a_model_whose_policy_is_gone_must_be_named_anew(history):
    """Nobody knows any more where its runs would go."""
    history.deliver(alert())
    history.run_to_its_end()
    history.policy_set = replace(policy_set(), policies=())

    with pytest.raises(NotFound, match="no policy drift now"):
        controls.retrain(history.store, history.policy_set, ANA, "42")


def test_an_old_dispatch_that_is_abandoned_leaves_the_present_one_alone(history):
    """A model follows the dispatch that was last put on its way."""
    old = parked(history)
    history.target.accidents = []
    history.clock.pass_(DRIFT.cooldown)
    history.deliver(alert(name="LowModelR2"))
    history.send()

    dispatches.abandon(history.store, history.policy_set, ANA, old)

    assert history.states() == [DispatchState.ABANDONED, DispatchState.RUNNING]
    assert history.model().in_flight


def test_the_same_request_under_the_same_key_is_done_once(history):
    """A retried command orders no second run; another request under the key is refused."""
    act = Act("ana", "now", key="k1", request="retrain 42")
    first = retrain(history, act=act)
    history.run_to_its_end()

    assert retrain(history, act=act) == first
    assert len(history.dispatches()) == 1
    with pytest.raises(Conflict):
        retrain(history, act=Act("ana", "now", key="k1", request="something else"))

    history.clock.pass_(24 * HOUR)
    assert retrain(history, act=act) != first


def test_retrain_ends_a_back_off(history):
    """The operator says that it is mended."""
    history.target.accidents = [refused]
    history.deliver(alert())
    history.send()
    assert state(history) is ModelState.ATTENTION

    retrain(history)
    history.run_to_its_end()

    assert history.model().backoff_until is None
    assert [s.value for s in history.states()] == ["refused", "succeeded"]


def parked(history):
    history.target.accidents = [cut_before_accepting] * 3
    history.deliver(alert())
    history.wait(HOUR)
    assert history.states() == [DispatchState.PARKED]
    return history.dispatches()[0].id


def test_a_retry_looks_before_it_sends(history):
    """If the run turned up meanwhile, it is followed and nothing is sent."""
    dispatch_id = parked(history)
    history.target.starts.append(dispatch_id)
    asked = history.target.asked

    dispatches.retry(history.store, history.policy_set, ANA, dispatch_id)
    history.send()

    assert history.target.asked == asked
    assert history.states() == [DispatchState.RUNNING]


@pytest.mark.parametrize("resolve", [False, True])
def test_a_retry_sends_again_if_no_run_is_there(history, resolve):
    """It is an order: it is sent even if the alert has ended meanwhile."""
    dispatch_id = parked(history)
    if resolve:
        history.deliver(resolved(ends_at=history.now()))

    dispatches.retry(history.store, history.policy_set, ANA, dispatch_id)
    history.work()

    assert history.target.starts == [dispatch_id]
    assert history.states() == [DispatchState.RUNNING]


def test_a_refused_dispatch_can_be_retried(history):
    """What was refused may have been mended at the target."""
    history.target.accidents = [refused]
    history.deliver(alert())
    history.send()

    dispatches.retry(history.store, history.policy_set, ANA, history.dispatches()[0].id)
    history.work()

    assert history.states() == [DispatchState.RUNNING]


def test_a_retry_waits_for_nothing_but_another_run_in_flight(history):
    """409: one live dispatch per model."""
    dispatch_id = parked(history)
    history.target.accidents = []
    history.clock.pass_(DRIFT.cooldown)
    history.deliver(alert(name="LowModelR2"))

    with pytest.raises(Conflict, match="is in flight"):
        dispatches.retry(history.store, history.policy_set, ANA, dispatch_id)


def test_a_refused_retry_keeps_the_cooldown_of_a_later_run(history):
    """A refusal gives back what the retry took, not what was taken since the first order."""
    dispatch_id = parked(history)
    history.target.accidents = []
    history.clock.pass_(DRIFT.cooldown)
    history.tick()
    history.run_to_its_end()
    taken = history.model().cooldown_until
    assert taken > history.now() + HOUR
    history.target.accidents = [refused]

    dispatches.retry(history.store, history.policy_set, ANA, dispatch_id)
    history.work()

    assert history.states()[0] is DispatchState.REFUSED
    assert history.model().cooldown_until == taken


def test_only_what_went_wrong_can_be_retried(history):
    """A run that goes on, or ended, is not repeated this way."""
    history.deliver(alert())
    history.send()

    with pytest.raises(Conflict, match="this one is running"):
        dispatches.retry(history.store, history.policy_set, ANA, history.dispatches()[0].id)


def test_an_abandoned_run_is_over_on_our_side(history):
    """It settles like a run that ended; who was polling it comes too late."""
    history.deliver(alert())
    history.send()
    dispatch_id = history.dispatches()[0].id

    dispatches.abandon(history.store, history.policy_set, ANA, dispatch_id)

    assert history.states() == [DispatchState.ABANDONED]
    assert history.model().held_until >= history.now() + DRIFT.settle
    history.clock.pass_(HOUR)
    assert not history.follow()
    with pytest.raises(Conflict, match="has ended"):
        dispatches.abandon(history.store, history.policy_set, ANA, dispatch_id)


def test_an_unknown_dispatch_is_not_found(history):
    """There is nothing to act on."""
    with pytest.raises(NotFound):
        dispatches.abandon(history.store, history.policy_set, ANA, "01nothing")
    with pytest.raises(NotFound):
        pause(history, PauseScope.POLICY, "nothing")


def test_states_in_the_order_an_operator_asks(history):
    """quiet, firing/held, running, paused, attention: the first that applies."""
    earlier = history.now() - HOUR
    history.deliver(resolved(starts_at=earlier, ends_at=earlier))
    assert state(history) is ModelState.QUIET
    history.deliver(alert())
    assert state(history) is ModelState.RUNNING
    history.run_to_its_end()
    assert state(history) is ModelState.HELD
    pause(history)
    assert state(history) is ModelState.PAUSED
    resume(history)
    history.clock.pass_(DRIFT.cooldown)
    assert state(history) is ModelState.FIRING


@pytest.mark.parametrize("stands", sorted(LIVE | ATTENTION))
def test_a_dispatch_that_has_not_ended_can_be_abandoned(history, stands):
    """In whichever state it is, as docs/states.md draws it."""
    history.deliver(alert())
    (row,) = history.dispatches()
    with history.store.begin() as tx:
        ended_at = tx.now() if stands in ATTENTION else None
        stored = replace(tx.take_over(tx.dispatch(row.id)), state=stands, ended_at=ended_at)
        assert tx.save_dispatch(stored, at=tx.now())

    dispatches.abandon(history.store, history.policy_set, ANA, row.id)

    assert history.states() == [DispatchState.ABANDONED]
