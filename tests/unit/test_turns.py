"""Who writes waits for those who came before."""

import threading

from receiver.store.turns import Turns
from tests.waiting import eventually


def test_who_gives_the_turn_back_does_not_get_it_before_those_who_wait():
    """However soon it asks again: a timer with much to do lets the webhook in between."""
    turns, order = Turns(), []

    def wait():
        assert turns.take(60)
        order.append("webhook")
        turns.give()

    assert turns.take(0)
    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: len(turns._waiting) == 1)
    turns.give()
    assert turns.take(60)
    order.append("timer")
    turns.give()
    waiting.join()

    assert order == ["webhook", "timer"]


def test_who_waits_too_long_is_told_and_forgotten():
    """Its turn is not kept for it."""
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.give()

    assert turns.take(0)


def test_a_turn_that_comes_at_the_last_moment_is_taken():
    """It was handed over while the waiting ended."""
    turns = Turns()
    assert turns.take(0)

    class Late(threading.Event):
        def wait(self, _timeout=None):
            turns.give()
            return False

    kept, threading.Event = threading.Event, Late
    try:
        assert turns.take(0)
    finally:
        threading.Event = kept
