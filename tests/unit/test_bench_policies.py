"""The defaults are never far from what a clairvoyant would pay, in any world of the bench."""

import statistics
from itertools import pairwise

import pytest

from bench.policies.__main__ import BAD_HOUR, DEFAULTS, RUN, book
from bench.policies.worlds import BEGINS, WORLDS
from receiver.backtest.alertmanager import Route
from receiver.backtest.answers import Setting, judge
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.study import bound, ladder, sparing

DRAWS = 2


def ratio(world):
    """What the defaults cost in this world, divided by what the oracle pays."""
    runs = RunModels(RunModel(durations=(world.took,), helps=world.helps, cost=RUN))
    setting = Setting(world.truth(DEFAULTS.name), Route(), runs, draws=DRAWS)
    quick = sparing(setting, [book(DEFAULTS)])
    paid = judge("defaults", ladder(book(DEFAULTS), quick), quick, draws=DRAWS).cost(BAD_HOUR)
    return paid / bound(setting, DRAWS, BAD_HOUR).cost


def test_the_defaults_pay_at_most_three_times_the_least():
    """And in the median world about one and a half times."""
    found = {world.name: ratio(world) for world in WORLDS}

    assert all(1 <= one <= 3 for one in found.values()), found
    assert statistics.median(found.values()) <= 1.55


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_world_is_the_same_each_time(world):
    """Its spells are in order, six hours apart, and begin within it."""
    truth = world.truth("p")

    assert truth == world.truth("p")
    for spells in truth.spells.values():
        assert [spell.number for spell in spells] == list(range(len(spells)))
        for before, after in pairwise(spells):
            assert (after.began - before.bad[-1].ended).total_seconds() >= 6 * 3600 - 1
        assert all(spell.began >= BEGINS for spell in spells)
