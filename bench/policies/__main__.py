"""`make policies`: what each rule costs in each world, divided by what the oracle pays."""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from rich.console import Console
from rich.table import Table

from bench.policies.worlds import BEGINS, WORLDS, World
from receiver.backtest.alertmanager import Route
from receiver.backtest.answers import MakeRule, Setting, judge
from receiver.backtest.naive_rules import Budgeted, CooldownOnly, CostAware, EveryAlert
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.study import bound, ladder, sparing
from receiver.core.matchers import parse_matchers
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.regexes import Regex
from receiver.core.storms import Storm
from receiver.core.targets import Target, TargetKind

RUN, BAD_HOUR = 6.0, 1.0
"""A run costs as much as six bad hours: the default cooldown says so."""

DRAWS = 10

TARGET = Target(name="t", kind=TargetKind.KFP, place={"endpoint": "local"}, inputs={})

DEFAULTS = Policy(
    name="model-quality",
    matchers=parse_matchers('alertname="HighModelMAE"'),
    model_name="{user_id}",
    identity={"user_id": Regex("[a-z0-9]{1,40}")},
    target="t",
)

PATIENT = replace(DEFAULTS, backoff=1.5)

GUARDED = replace(
    DEFAULTS,
    attempts=3,
    backoff=2,
    storm=Storm(5, timedelta(minutes=10), timedelta(minutes=5), timedelta(minutes=10)),
)


def book(policy: Policy) -> PolicySet:
    """A configuration of one policy."""
    return PolicySet((policy,), {"t": TARGET}, "hash")


def rules(setting: Setting) -> Iterator[tuple[str, MakeRule]]:
    """What is compared."""
    plain = book(DEFAULTS)
    yield "defaults", ladder(plain, setting)
    yield "with backoff 1.5", ladder(book(PATIENT), setting)
    yield "with attempts, backoff, storm", ladder(book(GUARDED), setting)
    yield "every alert", partial(_made, EveryAlert, plain)
    yield "cooldown only", partial(_made, CooldownOnly, plain)
    yield "cost-aware threshold", lambda _repeats: CostAware(plain, RUN, BAD_HOUR)
    week = timedelta(days=7)
    yield "budget, one a week", lambda _repeats: Budgeted(plain, BEGINS, week)


def _made(make: type[EveryAlert | CooldownOnly], policy_set: PolicySet, _repeats: object):  # noqa: ANN202
    return make(policy_set)


def ratios(world: World) -> dict[str, float]:
    """Each rule's cost ÷ the oracle's."""
    runs = RunModels(RunModel(durations=(world.took,), helps=world.helps, cost=RUN))
    setting = Setting(world.truth(DEFAULTS.name), Route(), runs, draws=DRAWS)
    least = bound(setting, DRAWS, BAD_HOUR).cost
    quick = sparing(setting, [book(DEFAULTS), book(PATIENT), book(GUARDED)])
    found = {}
    for name, make in rules(setting):
        own = setting if name in {"every alert", "cooldown only"} else quick
        found[name] = judge(name, make, own, draws=DRAWS).cost(BAD_HOUR) / least
    return found


def main() -> None:
    """Print the table."""
    found = {world.name: ratios(world) for world in WORLDS}
    names = list(next(iter(found.values())))
    table = Table("world", *names, title="cost ÷ oracle")
    for world, row in found.items():
        table.add_row(world, *(f"{row[name]:.2f}" for name in names))
    middle = [statistics.median(row[name] for row in found.values()) for name in names]
    worst = [max(row[name] for row in found.values()) for name in names]
    table.add_row("median", *(f"{number:.2f}" for number in middle))
    table.add_row("worst", *(f"{number:.2f}" for number in worst))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
