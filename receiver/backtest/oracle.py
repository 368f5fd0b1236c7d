"""The clairvoyant oracle: the cheapest runs for somebody who knows everything beforehand.

It knows when each model gets bad, when that would end by itself, how long each run takes and
whether it helps. It may start a run at any moment, one at a time for each model, and hears of
nothing late. What it pays is a bound that no rule reaches: limits that models share (budgets,
windows, storms) do not bind it, and it needs no alert.

In a spell only the first run that helps is worth anything, but the runs before it that don't (the
luck of a spell is drawn run by run) must be made first, one after the other. They cost the same
whenever they are made and waiting makes nothing better, so of each spell there are two choices:
leave it, or make those runs as early as possible. A run may still be on its way when the next
spell begins; so the choice of one spell moves the next one's earliest moment, and the cheapest
choices are found by dynamic programming over the spells, backwards, for each moment at which the
model may be free again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.truth import Spell, Truth

MOST_TRIES = 50
"""Runs after which a spell is taken for incurable: a run costs something, and patience ends."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What is paid."""

    cost: float = 0
    runs: int = 0
    bad_hours: float = 0

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(
            self.cost + other.cost, self.runs + other.runs, self.bad_hours + other.bad_hours
        )


@dataclass(frozen=True, slots=True)
class Cure:
    """The runs that end a spell: how many, how long together, and how soon they may begin."""

    runs: int
    took: timedelta
    earliest: datetime


def oracle(truth: Truth, runs: RunModels, bad_hour: float, seed: int) -> Bill:
    """The least that anybody could have paid for all models."""
    total = Bill()
    for model, spells in truth.spells.items():
        own = runs.of(truth.policies.get(model, ""))
        total += cheapest(spells, own, bad_hour, seed=seed, until=truth.until)
    return total


def cheapest(
    spells: Sequence[Spell], runs: RunModel, bad_hour: float, *, seed: int, until: datetime
) -> Bill:
    """The least that anybody could have paid for one model."""
    cures = [_cure(spell, runs, seed) for spell in spells]

    @cache
    def best(number: int, free_at: datetime | None) -> Bill:
        if number == len(spells):
            return Bill()
        spell, cure = spells[number], cures[number]
        hours = _bad_hours(spell, until, until)
        left = _paid(0, hours, runs, bad_hour) + best(number + 1, free_at)
        if cure is None:
            return left
        begins = max(cure.earliest, free_at or cure.earliest)
        ends = begins + cure.took
        hours = _bad_hours(spell, ends, until, runs.shows_after)
        follows = free_at if number + 1 == len(spells) else _carried(ends, spells[number + 1])
        treated = _paid(cure.runs, hours, runs, bad_hour) + best(number + 1, follows)
        return min(left, treated, key=lambda one: one.cost)

    return best(0, None)


def _carried(ends: datetime, following: Spell) -> datetime | None:
    """When the model is free again, if that is after the next spell begins."""
    return ends if ends > following.began else None


def _cure(spell: Spell, runs: RunModel, seed: int) -> Cure | None:
    """The runs up to the first that helps; None if none ever does."""
    if not spell.curable:
        return None
    earliest = max(spell.began, spell.curable_from or spell.began)
    took = timedelta(0)
    for number in range(MOST_TRIES):
        outcome = runs.draw(seed, spell.model, spell.number, number)
        took += outcome.took
        if outcome.helps:
            return Cure(number + 1, took, earliest)
    return None


def _bad_hours(
    spell: Spell, cured_at: datetime, until: datetime, shows_after: timedelta = timedelta(0)
) -> float:
    """What fires when a run has helped fires on until that shows; nothing fires anew."""
    seconds = 0.0
    for firing in spell.bad:
        if firing.began < cured_at:
            ended = min(firing.ended or until, until, cured_at + shows_after)
            seconds += (ended - firing.began).total_seconds()
    return seconds / 3600


def _paid(runs: int, hours: float, model: RunModel, bad_hour: float) -> Bill:
    return Bill(runs * model.cost + hours * bad_hour, runs, hours)
