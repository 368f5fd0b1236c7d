"""A clock that is ahead for a while, and comes back."""

from datetime import timedelta

from receiver.flows.worker.mending import mend
from tests.histories import History

LOOK = timedelta(seconds=1)
"""The timer looks so often."""


def sets_ahead(history: History, ahead: timedelta) -> None:
    """The clock is ahead by so much, which its watch sees; the timer has not looked yet."""
    history.clock.jump(ahead)
    mend(history.store, history.policy_set, history.steps)


def sets_back(history: History, ahead: timedelta) -> None:
    """The clock was ahead by so much and is set right; the timer looks."""
    history.clock.jump(-ahead)
    history.clock.pass_(LOOK)
    history.tick()
