"""Who writes waits for those who came before."""

import threading

from receiver.store.write_lock import WriteLock
from tests.waiting import eventually


def test_who_gives_the_turn_back_does_not_get_it_before_those_who_wait():
    """However soon it asks again: a timer with much to do lets the webhook in between."""
    lock, order = WriteLock(), []

    def wait():
        assert lock.take(60)
        order.append("webhook")
        lock.give()

    assert lock.take(0)
    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: len(lock._waiting) == 1)
    lock.give()
    assert lock.take(60)
    order.append("timer")
    lock.give()
    waiting.join()

    assert order == ["webhook", "timer"]


def test_who_waits_too_long_is_told_and_forgotten():
    """Its turn is not kept for it."""
    lock = WriteLock()
    assert lock.take(0)
    assert not lock.take(0.01)
    lock.give()

    assert lock.take(0)


def test_a_turn_that_comes_at_the_last_moment_is_taken():
    """It was handed over while the waiting ended."""
    lock = WriteLock()
    assert lock.take(0)

    class Late(threading.Event):
        def wait(self, _timeout=None):
            lock.give()
            return False

    kept, threading.Event = threading.Event, Late
    try:
        assert lock.take(0)
    finally:
        threading.Event = kept
