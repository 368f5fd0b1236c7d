"""Many models at once: all of them wait for a human, or for calm."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.announcements import Kind, Subscriber
from receiver.core.matchers import parse_matchers
from receiver.core.models import ModelState, PauseScope, state_of
from receiver.core.storms import Storm
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import Act
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.restrained import window

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ANA = Act("ana", "the feature store was down")

STORM = Storm(2, within=10 * MINUTE, wait=2 * MINUTE, calm=5 * MINUTE)
STORMY = replace(DRIFT, storm=STORM)
MAE = replace(STORMY, name="mae", matchers=parse_matchers('alertname="HighModelMAE"'))
R2 = replace(STORMY, name="r2", matchers=parse_matchers('alertname="LowModelR2"'))


@pytest.fixture
def stormy(history):
    history.policy_set = policy_set(STORMY)
    return history


def strike(history, *names):
    """These models begin to fire; two minutes pass, and the timer comes."""
    taken = history.deliver(*(alert(name, starts_at=history.now()) for name in names))
    history.clock.pass_(2 * MINUTE)
    history.work()
    return [decision.reason.value for decision in taken]


def models(history):
    return sorted(row.model for row in history.dispatches())


def state(history, name):
    return state_of(history.model(name), history.firing(name), [], history.now())


def test_few_models_wait_a_moment_and_are_retrained(stormy):
    """Two are no storm."""
    assert strike(stormy, "1", "2") == ["storm", "storm"]

    assert models(stormy) == ["1", "2"]
    assert stormy.log()[0].detail == "at 12:02 UTC it is seen whether many models fire together"
    assert stormy.log()[0].next_check_at == stormy.now()


def test_in_a_storm_the_first_models_are_held_too(stormy):
    """Three within ten minutes: none of them starts, each asks."""
    stormy.deliver(alert("1"))
    stormy.clock.pass_(MINUTE)
    strike(stormy, "2", "3")

    last = stormy.log()[-1]
    assert models(stormy) == []
    assert {state(stormy, name) for name in "123"} == {ModelState.ATTENTION}
    assert last.detail.startswith(
        "3 models of policy drift began to fire within 10m of each other, more than 2: suspect "
        "the data; release the policy to let all of them go; a human must look"
    )
    assert last.next_check_at is None
    stormy.wait(HOUR, step=10 * MINUTE)
    assert models(stormy) == []


def test_a_model_joins_a_storm_only_if_it_fires_soon_enough(stormy):
    """It is about what began together."""
    strike(stormy, "1", "2", "3")
    stormy.clock.pass_(5 * MINUTE)
    strike(stormy, "4")
    stormy.clock.pass_(30 * MINUTE)
    strike(stormy, "5")

    assert models(stormy) == ["5"]


@pytest.mark.parametrize("name", ["drift", ""])
def test_an_operator_releases_all_of_them(stormy, name):
    """Those of the policy, or of all; who fires after that is looked at anew."""
    strike(stormy, "1", "2", "3")
    scope = PauseScope.POLICY if name else PauseScope.EVERYTHING
    controls.release(stormy.store, stormy.policy_set, ANA, scope, name)
    stormy.work()

    assert models(stormy) == ["1", "2", "3"]
    assert "released from storms (3 models, 3 runs at most) by ana" in (
        stormy.log(source="operator")[0].detail
    )
    stormy.clock.pass_(MINUTE)
    strike(stormy, "4")
    assert "4" not in models(stormy)


def test_of_another_policy_none_is_released(stormy):
    """A policy's storm is its own, and lifting a pause ends none."""
    stormy.policy_set = policy_set(STORMY, replace(DRIFT, name="other", storm=STORM))
    strike(stormy, "1", "2", "3")
    controls.release(stormy.store, stormy.policy_set, ANA, PauseScope.POLICY, "other")
    controls.resume(stormy.store, stormy.policy_set, ANA, PauseScope.POLICY, "drift")
    controls.resume(stormy.store, stormy.policy_set, ANA, PauseScope.EVERYTHING, "")
    controls.resume(stormy.store, stormy.policy_set, ANA, PauseScope.MODEL, "1")
    stormy.work()

    assert models(stormy) == []


def test_one_held_model_is_released_as_such(stormy):
    """The sentence counts."""
    strike(stormy, "1", "2", "3")
    stormy.deliver(resolved("1", ends_at=stormy.now()), resolved("2", ends_at=stormy.now()))
    controls.release(stormy.store, stormy.policy_set, ANA, PauseScope.POLICY, "drift")

    assert (
        "released from storms (1 model, 1 run at most)" in stormy.log(source="operator")[0].detail
    )


def test_the_page_counts_what_fires_and_what_a_storm_holds(stormy):
    """Each model once, by policy or for all of them."""
    strike(stormy, "1", "2", "3")
    stormy.deliver(alert("1", name="LowModelR2"))

    with stormy.store.view() as view:
        count = view.models.count_firing
        assert count("drift") == count("") == 3
        assert count("drift", "storm") == 3
        assert count("drift", "budget") == count("other") == 0


def test_an_operator_lets_one_of_them_go(stormy):
    """The others go on waiting."""
    strike(stormy, "1", "2", "3")
    approvals.approve(stormy.store, stormy.policy_set, ANA, "2")
    approvals.reject(stormy.store, stormy.policy_set, ANA, "3")
    stormy.work()

    assert models(stormy) == ["2"]
    assert state(stormy, "1") is ModelState.ATTENTION


def test_a_storm_is_over_when_few_have_fired_for_a_while(stormy):
    """Those that still fire five minutes after the others ended need a retraining."""
    strike(stormy, "1", "2", "3", "4")
    for name in "12":
        stormy.deliver(resolved(name, starts_at=stormy.now() - HOUR, ends_at=stormy.now()))
    stormy.wait(4 * MINUTE)
    assert models(stormy) == []
    stormy.wait(2 * MINUTE)

    assert models(stormy) == ["3", "4"]


def test_an_alert_told_during_the_calm_knows_its_end(stormy):
    """The moment is in the decision, and the timer comes then."""
    strike(stormy, "1", "2", "3")
    stormy.deliver(resolved("1", starts_at=stormy.now() - HOUR, ends_at=stormy.now()))
    calm_at = stormy.now() + 5 * MINUTE
    (held,) = stormy.deliver(alert("3", name="LowModelR2"))

    assert (held.reason.value, held.next_check_at) == ("storm", calm_at)
    stormy.wait(6 * MINUTE)
    assert models(stormy) == ["2", "3"]


def test_one_message_wakes_somebody(stormy):
    """Each model asks, but nobody is told a hundred times of one storm."""
    stormy.policy_set = replace(stormy.policy_set, subscribers=(Subscriber("all"),))
    strike(stormy, "1", "2", "3")
    strike(stormy, "4")
    with stormy.store.view() as view:
        told = view.announcements.page({}, limit=500).rows

    assert [one.kind for one in told] == [Kind.APPROVAL]


def test_a_window_comes_first_and_the_wait_is_over_by_then(history):
    """The wait counts from the episode's beginning."""
    history.policy_set = policy_set(replace(STORMY, window=window("20:00-06:00")))
    history.deliver(alert())
    history.wait(8 * HOUR, step=HOUR)

    assert models(history) == ["42"]


def test_a_test_alert_waits_for_no_storm(stormy):
    """It is told at once what would happen."""
    assert stormy.deliver(alert(retrain_test="true"))[0].reason.value == "observed"


def test_a_storm_that_several_replicas_are_told_of_is_one(replicas):
    """Each was told of one model; at the wait's end every one of them sees all."""
    stores = [replicas.start() for _ in range(3)]
    for number, history in enumerate(stores):
        history.policy_set = policy_set(STORMY)
        history.deliver(alert(str(number)))
    stores[0].clock.pass_(2 * MINUTE)
    for history in stores:
        history.work()

    assert stores[0].dispatches() == []
    assert {row.reason for row in stores[0].log()} == {"storm"}


def strike_twice(history, *names):
    """Both alerts of each model begin to fire, and each has a policy of its own."""
    history.policy_set = policy_set(MAE, R2)
    names_of_both = [(name, kind) for kind in ("HighModelMAE", "LowModelR2") for name in names]
    for name, kind in names_of_both:
        history.deliver(alert(name, name=kind, starts_at=history.now()))
    history.clock.pass_(2 * MINUTE)
    history.work()


def test_a_model_of_two_policies_is_counted_by_both(history):
    """Whichever policy decided one of its alerts last: each of them suspects the data."""
    strike_twice(history, "1", "2", "3")

    assert models(history) == []
    held = history.log(reason="storm")
    assert {row.policy for row in held if "3 models" in row.detail} == {"mae", "r2"}


def test_the_storms_of_two_policies_end_when_few_models_still_fire(history):
    """Those that still fire are decided, whichever policy named them last."""
    strike_twice(history, "1", "2", "3", "4")
    began = history.now() - HOUR
    for name in "12":
        for kind in ("HighModelMAE", "LowModelR2"):
            history.deliver(resolved(name, name=kind, starts_at=began, ends_at=history.now()))
    history.wait(6 * MINUTE)

    assert models(history) == ["3", "4"]


def test_what_is_decided_together_is_counted_together(stormy):
    """The third model of one notification makes a storm of the first two's as well as its own."""
    quick = replace(STORMY, storm=replace(STORM, wait=MINUTE * 0))
    stormy.policy_set = policy_set(quick)
    taken = stormy.deliver(alert("1"), alert("2"), alert("3"))

    assert [decision.reason.value for decision in taken] == ["triggered", "triggered", "storm"]
