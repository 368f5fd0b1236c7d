"""The loops: they work while there is something to do, and survive what they meet."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver.core.explaining import as_alert
from receiver.core.models import Pause, PauseScope
from receiver.dispatchers.unconfigured import UnconfiguredTarget
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker import loops as module
from receiver.flows.worker import rechecking
from receiver.flows.worker.loops import Lane, LaneKind, LaneName, Setup, Worker
from receiver.flows.worker.polling import Asked
from receiver.flows.worker.retention import Ages
from receiver.store.store import StoreUnavailable
from tests.asking import POLL, AskingHistory, told
from tests.examples import PIPELINE, alert, policy_set
from tests.waiting import eventually


@pytest.fixture
def worker(history):
    setup = Setup(history.policy_set, {"pipeline": history.target}, Ages())
    worker = Worker(history.store, history.clock, setup, UnconfiguredTarget)
    yield worker
    worker.stop()


def test_an_ordered_run_is_sent_and_followed_to_its_end(history, worker):
    """Without anybody asking."""
    worker.start(set())
    history.deliver(alert())
    worker.hint()
    eventually(lambda: [s.value for s in history.states()] == ["running"])

    history.target.finish()
    history.clock.pass_(timedelta(seconds=2))

    eventually(lambda: [s.value for s in history.states()] == ["succeeded"])


def test_the_timer_decides_what_is_due(history, worker):
    """And tells the loop that sends."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))

    worker.start(set())

    eventually(lambda: len(history.target.starts) == 2)


def test_an_error_in_releasing_does_not_stop_the_timer(history, worker, monkeypatch):
    """A bug there is counted, and what is due is decided all the same."""

    def broken(*_):
        raise ValueError("a bug")

    monkeypatch.setattr(module, "release_shared", broken)
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))

    worker.start(set())

    eventually(lambda: len(history.target.starts) == 2)


def test_a_store_that_is_gone_is_told_by_the_loop(worker, monkeypatch):
    """It is no bug: the loop warns, and comes again."""

    def gone(*_):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(module, "release_shared", gone)

    with pytest.raises(StoreUnavailable):
        worker._recheck()


def test_a_slow_target_does_not_hold_the_others(history, worker):
    """Each target has loops of its own."""
    slow, fast = threading.Event(), history.target

    class Slow(type(history.target)):
        def start(self, dispatch):
            assert slow.wait(60)
            return self.begin(dispatch)

    other = replace(PIPELINE, name="slow")
    policy = replace(history.policy_set.policies[0], name="slow", target="slow", matchers=())
    book = replace(
        policy_set(history.policy_set.policies[0], policy),
        targets={"pipeline": PIPELINE, "slow": other},
    )
    history.policy_set = book
    worker.change(Setup(book, {"pipeline": fast, "slow": Slow()}, Ages()))
    worker.start(set())
    history.deliver(alert("1", name="Other"), alert("2"))
    worker.hint()

    eventually(lambda: len(fast.starts) == 1)
    slow.set()


def test_a_reload_adds_the_loops_of_new_targets(history, worker):
    """A target that a reload names is served without a restart."""
    worker.start(set())
    other = replace(PIPELINE, name="new")
    policy = replace(history.policy_set.policies[0], target="new")
    history.policy_set = replace(policy_set(policy), targets={"new": other})
    target = type(history.target)()

    worker.change(Setup(history.policy_set, {"new": target}, Ages()))
    history.deliver(alert())

    eventually(lambda: len(target.starts) == 1)


def test_a_reload_leaves_the_loops_that_run_alone(history, worker):
    """A target that is still there is not served twice."""
    worker.start(set())
    before = dict(worker._lanes)

    worker.change(Setup(history.policy_set, {"pipeline": history.target}, Ages()))

    assert worker._lanes == before


def test_what_is_still_held_orders_nothing(history, worker):
    """The timer decides what is due, and that may be another hold."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))
    with history.store.begin() as tx:
        tx.save_pause(Pause(PauseScope.MODEL, "42", tx.now(), None, "ana", "backfill"))

    assert worker._recheck()

    assert [row.reason for row in history.log(source="timer")] == ["paused"]
    assert not worker._recheck()


def test_a_target_that_left_the_configuration_sends_nothing(history, worker):
    """What was ordered there is superseded; what is in doubt ends with a human."""
    history.deliver(alert())
    worker.change(Setup(replace(history.policy_set, targets={}), {}, Ages()))

    worker.start({"pipeline"})

    eventually(lambda: [s.value for s in history.states()] == ["superseded"])
    assert history.target.asked == 0


def test_a_model_that_cant_be_decided_does_not_hold_up_the_others(history, worker, store):
    """The timer finds out which one it is, and looks at it again later."""
    history.deliver(alert("1"), alert("2"), alert("3"))
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))
    with store.begin() as tx:
        tx._db.execute(text("UPDATE firing_alerts SET labels = '[broken' WHERE model = '2'"))

    worker.start(set())

    eventually(lambda: len(history.target.starts) == 5)
    assert history.model("2").next_check_at > history.now()


def test_a_configuration_that_comes_before_the_start_is_the_one_in_force(history, worker):
    """Loops are made at the start, for the targets of that moment."""
    worker.change(Setup(history.policy_set, {"pipeline": history.target}, Ages()))
    history.deliver(alert())
    history.run_to_its_end()
    history.deliver(alert("2", name="Watchdog"))
    history.clock.pass_(timedelta(hours=7))
    history.target.accidents = []

    worker.start(set())

    eventually(lambda: len(history.target.starts) == 2)


def test_an_alert_that_moves_to_an_unlocked_model_is_decided_at_the_next_tick(history):
    """It is decided at the next tick, when its new model is locked too."""
    history.deliver(alert())
    moved = policy_set(replace(history.policy_set.policies[0], model_name="m-{user_id}"))
    with history.store.begin() as tx:
        unit = UnitOfWork(tx, moved, models=["42"])
        rechecking._decide_again(
            unit, moved.match(as_alert(history_entry(unit))), history_entry(unit)
        )
        assert unit.decisions == []


def history_entry(unit):
    return unit.alerts_of("42")[0]


def lane_of(step):
    lane = Lane(LaneName(LaneKind.SEND, "x"), step, tick=0.01)
    lane.start()
    return lane


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyError("a bug")])
def test_a_loop_survives_what_it_meets(error):
    """One broad except: it is logged and counted, and the loop goes on."""
    errors, done = [error, error], threading.Event()

    def step():
        if errors:
            raise errors.pop()
        done.set()
        return False

    lane = lane_of(step)

    assert done.wait(60)
    lane.stop()
    lane.join(timedelta(minutes=1))


def test_the_timer_passes_on_that_the_store_is_gone(history, worker, monkeypatch):
    """An outage is no fault of a model: none is postponed for it."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))
    gone = threading.Event()

    def unavailable(*_args):
        gone.set()
        raise StoreUnavailable("gone")

    monkeypatch.setattr("receiver.flows.worker.loops.recheck", unavailable)
    with pytest.raises(StoreUnavailable):
        worker._recheck()
    with pytest.raises(StoreUnavailable):
        worker._recheck_each(["42"])

    assert gone.is_set()
    assert history.model().next_check_at <= history.now()


def test_a_source_is_asked_until_the_configuration_has_it_no_more(history, worker):
    """It has a loop of its own, and what it orders is sent at once."""
    asking = AskingHistory(history)
    asking.main.fire(told(), told("7"))
    asked = {"main": Asked("main", asking.main, POLL)}
    setup = Setup(history.policy_set, {"pipeline": history.target}, Ages(), sources=asked)
    worker.change(setup)
    worker.start(set())
    eventually(lambda: asking.main.answers == 1)

    history.clock.pass_(POLL)

    eventually(lambda: len(history.target.starts) == 2)
    worker.change(replace(setup, sources={}))
    history.clock.pass_(POLL)
    lane = worker._lanes[LaneName(LaneKind.ASK, "main")]
    assert lane._step() is False
    assert asking.main.answers == 2
    worker.change(setup)
    eventually(lambda: asking.main.answers == 3)
