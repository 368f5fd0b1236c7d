"""The oracle pays the least that any schedule pays, and no rule pays less."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

import pytest

from receiver.backtest.alertmanager import UNGROUPED
from receiver.backtest.answers import Setting, Tally
from receiver.backtest.histories import Firing
from receiver.backtest.naive_rules import CooldownOnly, EveryAlert
from receiver.backtest.oracle import cheapest, oracle
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.study import ladder
from receiver.backtest.truth import Spell, TrueAlert, Truth
from tests.examples import policy_set
from tests.fakes import NOON
from tests.simulation.plans import seeded

HOUR = timedelta(hours=1)
LABELS = {"alertname": "HighModelMAE", "user_id": "42"}


def world(seed: int, horizon: int = 12) -> tuple[list[Spell], RunModel]:
    """A few spells on whole hours, and runs of one to three hours."""
    chance = seeded(f"oracle/{seed}")
    spells: list[Spell] = []
    at = chance.randint(0, 2)
    while at < horizon - 1 and len(spells) < 3:
        length = chance.randint(1, 5)
        firing = Firing(NOON + at * HOUR, NOON + min(at + length, horizon) * HOUR)
        late = chance.choice((None, None, firing.began + HOUR))
        spells.append(
            Spell(
                "42",
                len(spells),
                (TrueAlert("f", LABELS, (firing,)),),
                (firing,),
                curable_from=late,
                curable=chance.random() < 0.9,
            )
        )
        at += length + chance.randint(1, 3)
    took = tuple(n * HOUR for n in chance.sample((1, 2, 3), 2))
    return spells, RunModel(durations=took, helps=0.6, cost=chance.choice((0.5, 2, 4)))


def by_force(spells, runs: RunModel, bad_hour: float, seed: int, horizon: int) -> float:
    """The least cost of all sets of starting hours, each lived through."""
    hours = [NOON + n * HOUR for n in range(horizon)]
    return min(
        cost
        for most in range(5)
        for starts in combinations(hours, most)
        if (cost := lived(spells, runs, bad_hour, seed, (starts, horizon))) is not None
    )


def lived(
    spells, runs: RunModel, bad_hour: float, seed: int, plan: tuple[tuple[datetime, ...], int]
) -> float | None:
    """What a schedule costs; None if two of its runs overlap."""
    starts, until = plan[0], NOON + plan[1] * HOUR
    cured: dict[int, datetime] = {}
    luck: dict[int, int] = {}
    free_at = NOON
    for start in starts:
        if start < free_at:
            return None
        spell = next((s for s in reversed(spells) if s.began <= start), None)
        number = spell.number if spell else -1
        early = spell is not None and spell.curable_from is not None and start < spell.curable_from
        outcome = runs.draw(seed, "42", number, -1 if early else luck.get(number, 0))
        if not early:
            luck[number] = luck.get(number, 0) + 1
        free_at = start + outcome.took
        if spell and outcome.helps and spell.curable and not early and number not in cured:
            following = next((s for s in spells if s.number == number + 1), None)
            if following is None or free_at <= following.began:
                cured[number] = free_at
    bad = sum(
        max((min(f.ended, until, cured.get(s.number, until)) - f.began) / HOUR, 0)
        for s in spells
        for f in s.bad
    )
    return len(starts) * runs.cost + bad * bad_hour


@pytest.mark.parametrize("seed", range(40))
def test_no_schedule_is_cheaper(seed):
    """Compared with every set of starting hours of small worlds."""
    horizon = 12
    spells, runs = world(seed, horizon)
    until = NOON + horizon * HOUR

    bill = cheapest(spells, runs, 1.0, seed=seed, until=until)

    assert bill.cost == pytest.approx(by_force(spells, runs, 1.0, seed, horizon))


@pytest.mark.parametrize("seed", range(20))
def test_no_rule_pays_less(seed):
    """Neither the ladder nor the naive rules, with the same luck."""
    chance = seeded(f"bound/{seed}")
    at, spells = NOON, []
    for number in range(8):
        at += chance.expovariate(1 / 40) * HOUR + 7 * HOUR
        firing = Firing(at, at + chance.expovariate(1 / 15) * HOUR)
        spells.append(Spell("42", number, (TrueAlert("f", LABELS, (firing,)),), (firing,)))
        at = firing.ended
    truth = Truth(NOON, at + HOUR, {"42": tuple(spells)}, {"42": "drift"})
    runs = RunModels(RunModel(helps=0.5, cost=3))
    setting, book = Setting(truth, UNGROUPED, runs), policy_set()
    least = oracle(truth, runs, 1.0, setting.seed_of(0)).cost

    for make in (
        ladder(book, setting),
        lambda _repeats: EveryAlert(book),
        lambda _repeats: CooldownOnly(book),
    ):
        paid = setting.replay(make, 0, Tally(runs)).total()
        assert paid.money + paid.bad_hours >= least - 1e-9


def test_a_spell_that_no_run_ends_is_left():
    """Whoever knows that buys nothing."""
    spells, runs = world(1)
    hopeless = [replace(spell, curable=False) for spell in spells]

    assert cheapest(hopeless, runs, 1.0, seed=1, until=NOON + 12 * HOUR).runs == 0
