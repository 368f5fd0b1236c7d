"""Seeded histories of a clock that is ahead by minutes to a year, and comes back, again and again.

Two duties, in true time: no run within the cooldown of the one before it, and after the clock was
set right the model is retrained again within that cooldown.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from receiver.core.runs import RunState
from receiver.flows.worker import mending
from tests.examples import DRIFT, alert, policy_set
from tests.fakes import FakeTarget

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = replace(DRIFT, cooldown=2 * HOUR, settle=20 * MINUTE, alert_expiry=12 * HOUR)
AHEAD = (5 * MINUTE, 2 * HOUR, 7 * HOUR, 3 * DAY, 365 * DAY)
STEP = 20 * MINUTE
LATE = 10 * MINUTE + STEP
"""The run takes so long, and the loops look so seldom here."""

SEEDS = range(6)


class Watched(FakeTarget):
    """A target that knows the true time, by which its runs begin."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.began = []

    def begin(self, dispatch):
        self.began.append(self.clock.elapsed())
        return super().begin(dispatch)


class Broken(AssertionError):
    """A duty was not done."""


def pass_(history, span):
    """Alertmanager repeats the alert, runs end, loops work; the clock's watch looks often."""
    end = history.clock.elapsed() + span
    while history.clock.elapsed() < end:
        history.deliver(alert(starts_at=history.fired_at))
        history.wait(timedelta(seconds=1))
        history.target.finish(history.random.choice((RunState.SUCCEEDED, RunState.FAILED)))
        history.wait(min(STEP, end - history.clock.elapsed()), step=STEP)


def live(history, seed):
    """The clock is ahead three times; the moments at which it was set ahead, in true time."""
    history.random = random = Random(seed)  # noqa: S311  nothing here is a secret
    history.target = Watched(history.clock)
    history.policy_set = policy_set(POLICY)
    history.fired_at = history.now()
    jumped = []
    for _ in range(3):
        pass_(history, random.uniform(0, 3) * HOUR)
        ahead = random.choice(AHEAD)
        jumped.append(history.clock.elapsed())
        history.clock.jump(ahead)
        pass_(history, random.choice((MINUTE, HOUR, 5 * HOUR)))
        history.clock.jump(-ahead)
        back_at = history.clock.elapsed()
        if random.random() < 0.5:
            history.restart()
        pass_(history, POLICY.cooldown + 2 * STEP)
        if not any(at >= back_at for at in history.target.began):
            raise Broken("it was not retrained within its cooldown")
    for one, other in pairwise(history.target.began):
        if other - one < POLICY.cooldown and not any(one <= at <= other for at in jumped):
            raise Broken("it was retrained within its cooldown")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_it_recovers_within_its_own_rule(history, seed):
    """And never sooner than that, unless the clock jumped ahead meanwhile."""
    live(history, seed)


def live_all(history):
    for seed in SEEDS:
        live(history, seed)


def never(_model, *_more, **_named):
    return _model


def at_once(model, now, *_more, **_named):
    return replace(model, cooldown_until=min(now, model.cooldown_until or now))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("put_back", [never, at_once])
def test_a_bug_that_is_put_back_is_caught(history, monkeypatch, put_back):
    """Deadlines are trusted for ever; or a step back of the clock ends every cooldown."""
    monkeypatch.setattr(mending, "mend_model", put_back)

    with pytest.raises(Broken):
        live_all(history)
