"""The defaults are never far from what a clairvoyant would pay, in any world of the bench."""

import re
import statistics
from itertools import pairwise

import pytest

from bench.policies.__main__ import BAD_HOUR, DEFAULTS, DRAWS, RUN, book
from bench.policies.worlds import BEGINS, WORLDS
from receiver.backtest.alertmanager import Route
from receiver.backtest.answers import Setting, judge
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.study import bound, ladder, sparing
from tests.processes import ROOT

TOLD = (
    "seasonal drift",
    "sudden drift",
    "bad data storms, which no run mends",
    "late labels: a run helps after a day or two only",
    "flapping",
    "a quarter of the models that no run mends",
)
"""How docs/backtest.md calls the worlds."""


def ratio(world):
    """What the defaults cost in this world, divided by what the oracle pays."""
    runs = RunModels(RunModel(durations=(world.took,), helps=world.helps, cost=RUN))
    setting = Setting(world.truth(DEFAULTS.name), Route(), runs, draws=DRAWS)
    quick = sparing(setting, [book(DEFAULTS)])
    paid = judge("defaults", ladder(book(DEFAULTS), quick), quick, draws=DRAWS).cost(BAD_HOUR)
    return paid / bound(setting, DRAWS, BAD_HOUR).cost


def test_the_defaults_pay_at_most_three_times_the_least():
    """And in the median world one and a half times: the very numbers of `make policies`."""
    found = {world.name: ratio(world) for world in WORLDS}

    assert all(1 <= one <= 3 for one in found.values()), found
    assert statistics.median(found.values()) <= 1.5
    table = (ROOT / "docs" / "backtest.md").read_text()
    told = dict(re.findall(r"^\| ([a-z].*?) \| ([0-9.]+) \|", table, re.MULTILINE))
    assert [told[world] for world in TOLD] == [f"{one:.2f}" for one in found.values()]


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
