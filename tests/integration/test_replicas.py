"""Several replicas decide, send and follow on one PostgreSQL database."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from threading import Barrier

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.regexes import Regex
from receiver.core.sweeps import Sweep
from receiver.flows.intake import taking_in
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.sweeping import begin_sweep
from receiver.flows.transitions import LEASE
from receiver.flows.worker.rechecking import due_models, recheck
from receiver.store import store as module
from receiver.store.store import BeginAgain, StoreUnavailable
from tests.examples import DRIFT, alert, notification, policy_set, resolved
from tests.fakes import NOON

HOUR = timedelta(hours=1)
PENDING = [DispatchState.PENDING]
ANY = Regex("[A-Za-z0-9]+")


@pytest.fixture
def one(replicas):
    return replicas.start()


@pytest.fixture
def two(replicas):
    return replicas.start()


def meet(history):
    """Let a model be known: replicas meet at its lock then, and not where its row is made."""
    history.deliver(resolved(starts_at=NOON - HOUR, ends_at=NOON - HOUR))


@pytest.fixture(params=["new", "known"])
def _acquaintance(request, one):
    if request.param == "known":
        meet(one)


@pytest.mark.usefixtures("_acquaintance")
@pytest.mark.parametrize("at", ["locked", "commit"])
def test_who_waits_for_a_model_sees_what_the_first_one_did(replicas, one, two, at):
    """Two replicas are told of one model at the same time: one run, and the second knows it.

    One statement that locks and reads would wait, and then answer from before the lock.
    """
    with replicas.held(one.store, one.deliver, alert(), at=at) as first:
        second = replicas.begin(two.deliver, alert(name="LowModelR2"))
        replicas.await_waiting()

    (triggered,), (held,) = first.result(), second.result()
    assert (triggered.reason.value, held.reason.value) == ("triggered", "in_flight")
    assert held.dispatch_id == triggered.dispatch_id
    assert len(one.dispatches()) == 1


@pytest.mark.parametrize("at", ["locked", "commit"])
def test_with_no_cooldown_the_run_in_flight_holds_the_second_replica(replicas, one, two, at):
    """Nothing in the model's own row would: the answer must be from behind the lock."""
    meet(one)
    bold = policy_set(replace(DRIFT, cooldown=timedelta(0), settle=timedelta(0)))
    one.policy_set = two.policy_set = bold

    with replicas.held(one.store, one.reasons, alert(), at=at) as first:
        second = replicas.begin(two.reasons, alert(name="LowModelR2"))
        replicas.await_waiting()

    assert (first.result(), second.result()) == (["triggered"], ["in_flight"])


def test_copies_from_two_alertmanagers_at_once_count_once(replicas, one, two):
    """HA peers deliver the same alert to two replicas in the same moment."""
    with replicas.held(one.store, one.reasons, alert()) as first:
        second = replicas.begin(two.reasons, alert())
        replicas.await_waiting()

    assert (first.result(), second.result()) == (["triggered"], ["duplicate"])


def test_many_models_in_different_orders_are_one_run_each(replicas, monkeypatch):
    """Nobody waits for each other in a circle, and no two take the same id."""
    monkeypatch.setattr(module, "BEGINNINGS", 1)  # a deadlock would be begun again
    stores = [replicas.open(replicas.clock) for _ in range(3)]
    together = Barrier(6)

    def post(number):
        random, store = Random(number), stores[number % 3]  # noqa: S311  a shuffle
        together.wait(60)
        taken = []
        for name in ("HighModelMAE", "LowModelR2", "HighModelMAE"):
            models = [alert(f"{n:02}", name=name, fingerprint=f"{name}-{n}") for n in range(50)]
            random.shuffle(models)
            taken += take_in(store, [arrive(notification(*models), policy_set())])[0].decisions
        return taken

    posting = [replicas.begin(post, number) for number in range(6)]
    taken = [decision for post in posting for decision in post.result()]

    history = replicas.start()
    assert len(history.dispatches()) == 50
    assert [d.reason.value for d in taken].count("triggered") == 50
    assert len({decision.id for decision in taken}) == len(taken) == 6 * 3 * 50


NAMES = ["b", "Z", "a"]


@pytest.fixture
def poison(replicas):
    """A notification about all of them, one of whose alerts the database refuses."""
    replicas.backdoor.execute(
        "ALTER TABLE decisions ADD CONSTRAINT poison CHECK (fingerprint <> 'poison')"
    )
    alerts = [alert(name, fingerprint="poison" if name == "a" else None) for name in NAMES]
    return arrive(notification(*alerts), policy_set(replace(DRIFT, identity={"user_id": ANY})))


@pytest.mark.parametrize("way", ["deciding", "one by one", "reloading"])
def test_models_are_locked_in_one_order_everywhere(replicas, one, two, poison, way):
    """Python's order, whatever the database's own is: else two replicas wait for each other."""
    ways = {
        "deciding": lambda tx: tx.lock_models(NAMES),
        "one by one": lambda tx: taking_in._decide_one_by_one(tx, poison),
        "reloading": lambda tx: begin_sweep(tx, policy_set(), Sweep.DECIDE),
    }
    take_in(one.store, [poison])
    replicas.backdoor.execute("UPDATE models SET backoff_until = 0")

    with replicas.held(one.store, one.store.run, lambda tx: tx.lock_models(["Z"])):
        waiting = replicas.begin(two.store.run, ways[way])
        replicas.await_waiting()

        assert not replicas.backdoor.is_locked("a")
        assert not replicas.backdoor.is_locked("b")

    waiting.result()


def test_models_are_made_in_the_same_order(replicas, one, two):
    """Who waits for a row that is being made has made none that comes later."""
    with replicas.held(one.store, one.store.run, lambda tx: tx.lock_models(["Z"])):
        waiting = replicas.begin(two.store.run, lambda tx: tx.lock_models(NAMES))
        replicas.await_waiting()

        third = replicas.start()
        assert set(third.store.run(lambda tx: tx.lock_models(["a", "b"]))) == {"a", "b"}

    assert set(waiting.result()) == set(NAMES)


def test_two_workers_never_hold_the_same_dispatch(replicas, one, two):
    """Neither waits for the other: the second takes the next one, the third nothing."""
    one.deliver(alert("1"), alert("2"))

    def claim(tx):
        return tx.claim_dispatch("pipeline", PENDING, now=one.now(), lease=LEASE)

    with one.store.begin() as first, two.store.begin() as second, two.store.begin() as third:
        claimed = [claim(first), claim(second)]
        assert claim(third) is None

    assert {dispatch.model for dispatch in claimed} == {"1", "2"}
    with two.store.begin() as later:
        assert claim(later) is None


def test_many_workers_share_the_work(replicas):
    """Each dispatch is carried out by one of them, once."""
    workers = [replicas.start() for _ in range(3)]
    workers[0].deliver(*[alert(f"{n:02}") for n in range(30)])
    together = Barrier(3)

    def work(history):
        together.wait(60)
        while history.send():
            pass

    for done in [replicas.begin(work, worker) for worker in workers]:
        done.result()

    assert sorted(replicas.target.starts) == sorted(row.id for row in workers[0].dispatches())
    assert replicas.target.asked == 30


def test_a_run_is_followed_by_whichever_replica_is_free(replicas, one, two):
    """What one replica sent, another one sees to its end."""
    one.deliver(alert())
    one.send()
    one.target.finish()
    one.clock.pass_(timedelta(seconds=2))

    with replicas.held(two.store, two.follow):
        assert not one.follow()

    assert two.states() == [DispatchState.SUCCEEDED]


def test_two_timers_decide_a_model_that_is_due_once(replicas, one, two):
    """The second waits for the lock, and finds that the model is not due any more."""
    one.deliver(alert())
    one.run_to_its_end()
    one.clock.pass_(7 * HOUR)
    due = due_models(two.store)
    assert due == ["42"]

    with replicas.held(one.store, one.tick):
        second = replicas.begin(recheck, two.store, two.policy_set, due)
        replicas.await_waiting()

    assert second.result() is False
    assert [row.reason for row in one.log(source="timer")] == ["triggered"]


def test_an_alert_that_arrives_while_the_timer_waits_is_left_for_the_next_tick(replicas, one, two):
    """The timer did not read about it, so it leaves it for its next step."""
    one.deliver(alert())
    one.run_to_its_end()
    one.clock.pass_(7 * HOUR)
    late = alert(name="LowModelR2")

    with replicas.held(one.store, one.reasons, late):
        ticking = replicas.begin(two.tick)
        replicas.await_waiting()

    ticking.result()
    assert one.reasons(late) == ["duplicate"]


@pytest.fixture
def moving(one):
    """A replica that has read a configuration which gives the alert to another model."""
    one.deliver(alert())
    one.policy_set = policy_set(replace(DRIFT, model_name="m-{user_id}"), config_hash="new")
    apply_configuration(one.store, one.policy_set, "{}")
    return one


def test_an_alert_that_moves_while_its_end_waits_is_found(replicas, moving, two):
    """Its new model was not locked: the transaction begins again and locks that one too."""
    with replicas.held(moving.store, moving.tick):
        ending = replicas.begin(two.reasons, resolved(ends_at=moving.now()))
        replicas.await_waiting()

    assert ending.result() == ["resolved"]
    assert moving.firing("42") == []
    assert moving.firing("m-42") == []


def test_alerts_that_never_stand_still_are_told_to_come_back(replicas, one, monkeypatch):
    """503 after a few beginnings; nothing is locked out of order meanwhile."""
    begun = []

    def moved(_tx):
        begun.append(1)
        raise BeginAgain("an alert moved")

    with pytest.raises(StoreUnavailable, match="moved"):
        one.store.run(moved)

    assert len(begun) == module.BEGINNINGS
