"""What replicas do besides deciding: acts, starts, retention; none comes between another."""

from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.models import PauseScope
from receiver.flows.operator import controls, dispatches
from receiver.flows.operator.acts import Act
from receiver.flows.operator.controls import Named
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.transitions import LEASE
from receiver.flows.worker.retention import Ages, forget
from tests.examples import DRIFT, alert, policy_set

ANA = Act("ana", "backfill")
EVERYTHING = (PauseScope.EVERYTHING, "")


@pytest.fixture
def one(replicas):
    return replicas.start()


@pytest.fixture
def two(replicas):
    return replicas.start()


@pytest.mark.parametrize("scope", [EVERYTHING, (PauseScope.POLICY, "drift")])
def test_a_model_paused_while_the_pause_is_lifted_is_decided_again(replicas, one, two, scope):
    """The decision is awaited: else its model would wait for a `resume` that has been."""
    controls.pause(one.store, one.policy_set, ANA, *scope, length=None)

    with replicas.held(one.store, one.reasons, alert()) as deciding:
        lifting = replicas.begin(controls.resume, two.store, two.policy_set, ANA, *scope)
        replicas.await_waiting()

    lifting.result()
    assert deciding.result() == ["paused"]
    assert two.tick()
    assert [row.reason for row in two.log(source="timer")] == ["triggered"]


def test_what_comes_while_a_pause_is_set_waits_for_it(replicas, one, two):
    """After the answer to `pause` nothing is triggered any more."""
    act = controls.pause, one.store, one.policy_set, ANA, *EVERYTHING
    with replicas.held(one.store, lambda: act[0](*act[1:], length=None)):
        deciding = replicas.begin(two.reasons, alert())
        replicas.await_waiting()

    assert deciding.result() == ["paused"]


def test_deciding_does_not_wait_for_deciding(replicas, one, two):
    """Replicas share the work on different models."""
    with replicas.held(one.store, one.reasons, alert("1")):
        assert two.reasons(alert("2")) == ["triggered"]


def test_the_same_request_at_two_replicas_is_done_once(replicas, one, two):
    """The second finds the answer of the first, although both came at once."""
    act = Act("ana", "now", key="k1", request="retrain 42")
    named = Named("drift", {"user_id": "42"})

    def retrain(history):
        return controls.retrain(history.store, history.policy_set, act, "42", named)

    with replicas.held(one.store, retrain, one) as first:
        second = replicas.begin(retrain, two)
        replicas.await_waiting()

    assert first.result() == second.result()
    assert [row.reason for row in one.log()] == ["triggered"]


def test_of_replicas_that_start_with_a_new_configuration_one_applies_it(replicas, one, two):
    """The others find it in force."""
    one.deliver(alert())
    new = policy_set(config_hash="new")

    with replicas.held(one.store, apply_configuration, one.store, new, "{}") as first:
        second = replicas.begin(apply_configuration, two.store, new, "{}")
        replicas.await_waiting()

    assert (first.result().changed, second.result().changed) == (True, False)
    assert apply_configuration(two.store, policy_set(config_hash="old"), "{}").changed


def test_an_operator_takes_a_dispatch_from_a_worker_that_claimed_it_meanwhile(replicas, one, two):
    """A claim waits for no model, so it may come after the operator has read the dispatch."""
    one.deliver(alert())
    (row,) = one.dispatches()
    with one.store.begin() as tx:
        read = tx.dispatch(row.id)
        with two.store.begin() as other:
            claimed = other.claim_dispatch(
                "pipeline", [DispatchState.PENDING], now=one.now(), lease=LEASE
            )
        taken = tx.take_over(read)
        assert tx.save_dispatch(taken, at=one.now(), moved=False)

    with two.store.begin() as tx:
        assert not tx.save_dispatch(claimed, at=one.now(), moved=False)


def test_an_abandoned_dispatch_stays_so_whoever_was_sending_it(replicas, one, two):
    """The act waits for the worker's transaction; the worker's next one comes too late."""
    one.deliver(alert())
    (row,) = one.dispatches()

    def lost(target, dispatch):
        run = target.begin(dispatch)
        dispatches.abandon(two.store, two.policy_set, ANA, row.id)
        return run

    replicas.target.accidents = [lost]
    one.send()

    assert one.states() == [DispatchState.ABANDONED]


def test_two_replicas_that_see_an_id_for_the_first_time_both_remember_it(replicas, one, two):
    """Neither fails: the place is known after that."""
    with one.store.begin() as first:
        first.remember_id_shown("github", one.now())
        second = replicas.begin(
            two.store.run, lambda tx: tx.remember_id_shown("github", two.now())
        )
        replicas.await_waiting()

    second.result()
    with two.store.begin() as tx:
        assert tx.shows_ids("github")


class TestRetention:
    """Beside each other, and beside deciding."""

    def test_one_replica_is_enough(self, replicas, one, two):
        """The other one neither waits nor works."""
        one.deliver(alert("1", name="Watchdog"))
        one.clock.pass_(timedelta(days=15))

        with replicas.held(one.store, forget, one.store, Ages(), lambda: False) as forgetting:
            assert forget(two.store, Ages(), lambda: False) == 0
            assert len(two.log()) == 1

        assert forgetting.result() == 2  # the decision, and its notification

    def test_a_memory_that_is_renewed_at_this_moment_is_kept(self, replicas, one, two):
        """Its row is locked by who renews it; retention passes it by."""
        one.deliver(alert())
        one.clock.pass_(DRIFT.alert_expiry + timedelta(minutes=1))

        with replicas.held(one.store, one.reasons, alert()) as renewing:
            forget(two.store, Ages(), lambda: False)

        assert renewing.result() != ["duplicate"]
        assert one.reasons(alert()) == ["duplicate"]
