"""Requests that wait together share one transaction, and each gets its own answer."""

import threading

import pytest
from sqlalchemy import text

from receiver.flows.intake import committer as module
from receiver.flows.intake.committer import Committer
from receiver.flows.intake.taking_in import Receipt, arrive, take_in
from receiver.store.store import StoreUnavailable
from tests.examples import alert, notification
from tests.waiting import eventually


class Gate:
    """Takes batches in for real, but holds the first until the test lets it go."""

    def __init__(self, store):
        self.store = store
        self.batches = []
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.fails_with = []

    def __call__(self, arrivals):
        self.batches.append(len(arrivals))
        self.entered.set()
        assert self.opened.wait(60)
        if self.fails_with:
            raise self.fails_with.pop(0)
        return take_in(self.store, arrivals)


@pytest.fixture
def gate(store):
    return Gate(store)


@pytest.fixture
def hints():
    return []


@pytest.fixture
def committer(gate, hints):
    committer = Committer(gate)
    committer.start(lambda: hints.append(1))
    yield committer
    gate.opened.set()
    committer.stop()


def arrival(history, user):
    return arrive(notification(alert(user)), history.policy_set)


def hold_one(committer, gate, history):
    """A batch of one is being committed; the rest must wait."""
    first = committer.submit(arrival(history, "first"))
    assert gate.entered.wait(60)
    return first


def test_what_waits_during_a_commit_is_committed_together(committer, gate, history):
    """There is no artificial delay: the batch is whatever gathered meanwhile."""
    futures = [hold_one(committer, gate, history)]
    futures += [committer.submit(arrival(history, str(n))) for n in range(20)]

    gate.opened.set()
    receipts = [future.result(60) for future in futures]

    assert gate.batches == [1, 20]
    assert [receipt.decisions[0].model for receipt in receipts] == [
        "first",
        *(str(n) for n in range(20)),
    ]


def test_an_answer_comes_after_the_commit_and_not_before(committer, gate, history):
    """The future is not done while the transaction is open."""
    future = hold_one(committer, gate, history)
    assert not future.done()

    gate.opened.set()

    notification_id = future.result(60).notification_id
    assert [row.model for row in history.log(notification_id=notification_id)] == ["first"]


def test_a_store_that_cant_commit_is_told_to_all_who_wait(committer, gate, history):
    """Nothing was stored; each may try again."""
    gate.fails_with = [StoreUnavailable("full")]
    future = hold_one(committer, gate, history)
    gate.opened.set()

    with pytest.raises(StoreUnavailable, match="full"):
        future.result(60)

    assert committer.submit(arrival(history, "next")).result(60).decisions


def test_a_bug_hits_the_request_that_met_it_and_nobody_else(committer, gate, history, monkeypatch):
    """The batch is taken apart; the loop goes on."""
    first = hold_one(committer, gate, history)
    poison, healthy = arrival(history, "poison"), arrival(history, "healthy")
    real = module.Committer._commit  # keeps the shape of a bug deep inside

    def buggy(arrivals):
        if any(each is poison for each in arrivals):
            raise KeyError("a bug")
        return take_in(gate.store, arrivals)

    monkeypatch.setattr(committer, "_take_in", buggy)
    futures = [committer.submit(poison), committer.submit(healthy)]
    gate.opened.set()

    assert first.result(60)
    with pytest.raises(KeyError):
        futures[0].result(60)
    assert isinstance(futures[1].result(60), Receipt)
    assert real is module.Committer._commit


def test_more_than_may_wait_are_told_at_once(gate, history, monkeypatch):
    """503, so that memory stays bounded; Alertmanager comes back."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    committer = Committer(gate)
    committer.start(lambda: None)
    first = hold_one(committer, gate, history)
    waiting = [committer.submit(arrival(history, str(n))) for n in range(3)]

    with pytest.raises(StoreUnavailable, match="too many"):
        waiting[2].result(0)

    gate.opened.set()
    assert first.result(60)
    assert all(future.result(60) for future in waiting[:2])
    committer.stop()


def test_a_batch_is_bounded(committer, gate, history, monkeypatch):
    """A larger transaction gains nothing and makes the others wait."""
    monkeypatch.setattr(module, "MOST_ALERTS", 5)
    futures = [hold_one(committer, gate, history)]
    futures += [committer.submit(arrival(history, str(n))) for n in range(12)]

    gate.opened.set()
    for future in futures:
        future.result(60)

    assert gate.batches == [1, 5, 5, 2]


def test_stopping_commits_what_waits(committer, gate, history):
    """SIGTERM loses nothing that was accepted."""
    futures = [hold_one(committer, gate, history), committer.submit(arrival(history, "2"))]
    stopper = threading.Thread(target=committer.stop)
    stopper.start()
    eventually(lambda: committer._waiting.qsize() == 2)  # the second, and the wish to end

    gate.opened.set()
    stopper.join(60)

    assert all(future.done() for future in futures)
    assert {row.model for row in history.log()} == {"first", "2"}
    committer.start = committer.stop = lambda *_: None


def test_a_committer_that_never_began_can_be_stopped(gate):
    """A start that failed is told as it is, not by what the shutdown met."""
    Committer(gate).stop()


def test_the_workers_get_a_hint_when_a_run_was_ordered(committer, gate, history, hints):
    """And none for what started nothing."""
    gate.opened.set()
    committer.submit(arrive(notification(alert("1", name="Watchdog")), history.policy_set)).result(
        60
    )
    assert hints == []

    committer.submit(arrival(history, "2")).result(60)
    committer.submit(arrive(notification(), history.policy_set)).result(60)

    assert hints == [1]


@pytest.fixture
def short_parts(monkeypatch):
    """More than four alerts are long, and parts have two."""
    monkeypatch.setattr(module, "MOST_ALERTS", 4)
    monkeypatch.setattr(module, "PART", 2)


def long(history, count=5):
    names = [f"l{number}" for number in range(count)]
    return arrive(notification(*map(alert, names)), history.policy_set)


@pytest.mark.usefixtures("short_parts")
def test_a_long_notification_lets_the_others_in_between(committer, gate, history, hints):
    """It is answered after its last part, as one notification."""
    first = hold_one(committer, gate, history)
    whole = committer.submit(long(history))
    other = committer.submit(arrival(history, "other"))
    gate.opened.set()

    receipt = whole.result(60)

    assert first.result(60)
    assert other.result(60)
    assert [row.model for row in history.log()] == ["first", "other", "l0", "l1", "l2", "l3", "l4"]
    assert [decision.model for decision in receipt.decisions] == [f"l{n}" for n in range(5)]
    kept = {row.notification_id for row in history.log() if row.model.startswith("l")}
    assert kept == {receipt.notification_id}
    assert len(hints) == 5  # the first, the other, and each part


@pytest.mark.usefixtures("short_parts")
def test_a_long_notification_that_is_cut_is_repeated_without_a_second_run(
    committer, gate, history
):
    """Told 503, Alertmanager sends all of it again: what was decided is a duplicate."""
    parts = [None, StoreUnavailable("the disk is full")]
    gate.opened.set()

    def fail(arrivals, take=committer._take_in):
        problem = parts.pop(0) if parts else None
        if problem is not None:
            raise problem
        return take(arrivals)

    committer._take_in = fail
    with pytest.raises(StoreUnavailable):
        committer.submit(long(history)).result(60)

    again = committer.submit(long(history)).result(60)

    reasons = [decision.reason.value for decision in again.decisions]
    assert reasons == ["duplicate", "duplicate", "triggered", "triggered", "triggered"]
    assert len(history.dispatches()) == 5


@pytest.mark.usefixtures("short_parts")
def test_what_is_long_is_finished_before_the_end(committer, gate, history):
    """SIGTERM loses no part of it."""
    future = committer.submit(long(history))
    assert gate.entered.wait(60)
    stopper = threading.Thread(target=committer.stop)
    stopper.start()
    gate.opened.set()
    stopper.join(60)

    assert len(future.result(0).decisions) == 5
    committer.start = committer.stop = lambda *_: None


@pytest.mark.usefixtures("short_parts")
def test_one_bad_alert_of_a_long_notification_is_invalid_alone(committer, gate, history, store):
    """Its part is committed alert by alert, under the same notification."""
    gate.opened.set()
    refuse = "SELECT RAISE(ABORT, 'poison')"
    if store.alone:
        with store.begin() as tx:
            tx._db.execute(
                text(
                    "CREATE TRIGGER poison BEFORE INSERT ON decisions WHEN new.fingerprint = 'bad'"
                    f" BEGIN {refuse}; END"
                )
            )
    names = [alert(f"l{n}", fingerprint="bad" if n == 3 else None) for n in range(5)]
    whole = arrive(notification(*names), history.policy_set)

    receipt = committer.submit(whole).result(60)

    expected = "invalid" if store.alone else "triggered"
    assert receipt.decisions[3].reason.value == expected
    assert {row.notification_id for row in history.log()} == {receipt.notification_id}
