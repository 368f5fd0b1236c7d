"""A study: policies, naive rules and the oracle over one history, side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from receiver.backtest.answers import (
    MakeRule,
    Peaks,
    Picture,
    Range,
    Result,
    Setting,
    judge,
    peaks_of,
    range_of,
)
from receiver.backtest.curves import Curve
from receiver.backtest.histories import BadHistory
from receiver.backtest.ladder_rule import LadderRule
from receiver.backtest.naive_rules import CooldownOnly, EveryAlert
from receiver.backtest.oracle import oracle
from receiver.backtest.replay import ReplayedRun
from receiver.backtest.rules import Rule
from receiver.core.durations import parse_duration
from receiver.core.policies import Mode, Policy
from receiver.core.policy_set import PolicySet
from receiver.core.times import stamp

NAIVE: Mapping[str, Callable[[PolicySet], Rule]] = {
    "every alert": EveryAlert,
    "cooldown only": CooldownOnly,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What the clairvoyant oracle pays."""

    cost: float
    runs: Range
    bad_hours: Range


@dataclass(frozen=True, slots=True)
class Study:
    """All that was found.

    Attributes:
        results: The policies first, then the naive rules.
        sweep: The policy with one setting changed, if that was asked for.
        bad_hour: What an hour with a bad model costs, in the unit of runs.
        picture: The first draw of the first policy.
        curves: The metric of each model, if it was asked for.

    """

    setting: Setting
    results: tuple[Result, ...]
    oracle: Bound
    bad_hour: float
    notes: tuple[str, ...]
    picture: Picture
    sweep: tuple[Result, ...] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def pareto(self) -> frozenset[str]:
        """Those of the sweep than which no other is both cheaper and better."""
        return frozenset(
            one.name
            for one in self.sweep
            if not any(_dominates(other, one) for other in self.sweep)
        )

    @property
    def peaks(self) -> Mapping[str, Peaks]:
        """Of each policy in the first draw of the first policies: what a limit must allow."""
        runs: dict[str, list[ReplayedRun]] = {}
        for run in self.picture.drawn_runs:
            runs.setdefault(run.policy, []).append(run)
        return {name: peaks_of(own) for name, own in sorted(runs.items())}

    def as_json(self) -> dict[str, Any]:
        """Everything, for a program."""
        truth = self.setting.truth
        return {
            "since": stamp(truth.since),
            "until": stamp(truth.until),
            "models": len(truth.spells),
            "spells": sum(map(len, truth.spells.values())),
            "bad_hours_untreated": round(truth.bad_hours, 3),
            "bad_hour": self.bad_hour,
            "unit": self.setting.runs.usual.unit,
            "runs": [str(self.setting.runs.usual)]
            + [f"{name}: {own}" for name, own in self.setting.runs.of_policy.items()],
            "notes": list(self.notes),
            "oracle": asdict(self.oracle),
            "peaks": {name: asdict(one) for name, one in self.peaks.items()},
            "results": [self._result(one) for one in self.results],
            "sweep": [
                {**self._result(one), "pareto": one.name in self.pareto} for one in self.sweep
            ],
        }

    def _result(self, one: Result) -> dict[str, Any]:
        draws, policies = one.draws, self.setting.truth.policies
        return {
            "name": one.name,
            "draws": draws,
            **{name: asdict(getattr(one, name)) for name in ("runs", "in_vain", "money")},
            "bad_hours": asdict(one.bad_hours),
            "held": dict(one.held),
            "cost": one.cost(self.bad_hour),
            "cost_to_oracle": self.to_oracle(one),
            "models": [
                {
                    "model": name,
                    "policy": policies.get(name),
                    "runs": tally.runs / draws,
                    "in_vain": tally.in_vain / draws,
                    "money": tally.money / draws,
                    "bad_hours": tally.bad_hours / draws,
                    "held": {rung: hours / draws for rung, hours in sorted(tally.held.items())},
                }
                for name, tally in sorted(one.models.items())
            ],
        }

    def to_oracle(self, one: Result) -> float | None:
        """How many times as much as the oracle pays; None if it pays nothing."""
        return one.cost(self.bad_hour) / self.oracle.cost if self.oracle.cost else None


def _naive(make: Callable[[PolicySet], Rule], policy_set: PolicySet, _repeats: object) -> Rule:
    return make(policy_set)


def _dominates(one: Result, other: Result) -> bool:
    mine, its = (one.money.mean, one.bad_hours.mean), (other.money.mean, other.bad_hours.mean)
    return mine != its and mine[0] <= its[0] and mine[1] <= its[1]


def ladder(policy_set: PolicySet, setting: Setting) -> MakeRule:
    """The ladder with these policies."""
    names, begins = sorted(setting.truth.spells), setting.truth.since
    return lambda repeats: LadderRule(policy_set, names, begins, repeats=repeats)


def study(
    policies: Mapping[str, PolicySet],
    setting: Setting,
    *,
    bad_hour: float,
    notes: Sequence[str] = (),
    changed: Mapping[str, PolicySet] | None = None,
    curves: Mapping[str, Curve] | None = None,
    workers: int = 1,
    keeps_log: bool = False,
    progress: Callable[[str], None] = lambda _what: None,
) -> Study:
    """Judge each policy set, the naive rules with the first one's cooldowns, and the oracle."""
    first = next(iter(policies.values()))
    drawn = sparing(setting, policies.values())
    results: list[Result] = []
    sweep: list[Result] = []

    def judged(name: str, make: MakeRule, under: Setting) -> Result:
        progress(name)
        draws = results[0].draws if results else None
        return judge(name, make, under, workers=workers, draws=draws)

    for name, policy_set in policies.items():
        results.append(judged(name, ladder(policy_set, drawn), drawn))
    for name, make in NAIVE.items():
        results.append(judged(name, partial(_naive, make, first), setting))
    for name, policy_set in (changed or {}).items():
        sweep.append(judged(name, ladder(policy_set, drawn), drawn))
    progress("the oracle")
    picture = Picture(setting.runs, keeps_log=keeps_log)
    setting.replay(ladder(first, setting), 0, picture)
    return Study(
        setting=setting,
        results=tuple(results),
        oracle=bound(setting, results[0].draws, bad_hour),
        bad_hour=bad_hour,
        notes=(*notes, *_told(first)),
        picture=picture,
        sweep=tuple(sweep),
        curves=curves or {},
    )


def bound(setting: Setting, draws: int, bad_hour: float) -> Bound:
    """What the oracle pays in the mean of all draws."""
    bills = [
        oracle(setting.truth, setting.runs, bad_hour, setting.seed_of(draw))
        for draw in range(draws)
    ]
    return Bound(
        cost=sum(one.cost for one in bills) / draws,
        runs=range_of([one.runs for one in bills]),
        bad_hours=range_of([one.bad_hours for one in bills]),
    )


def sparing(setting: Setting, policy_sets: Iterable[PolicySet]) -> Setting:
    """Without repeats, if no alert would expire between two: they change no run."""
    route = setting.route
    longest = route.repeat_interval + 2 * route.group_interval
    expiries = [one.alert_expiry for each in policy_sets for one in each.policies]
    safe = longest < min(expiries, default=timedelta(0))
    return replace(setting, route=replace(route, repeats=False)) if safe else setting


def _told(policy_set: PolicySet) -> list[str]:
    notes = []
    observing = [one.name for one in policy_set.policies if one.mode is Mode.OBSERVE]
    asking = [one.name for one in policy_set.policies if one.asks]
    if observing:
        notes.append(
            f"{', '.join(observing)} only observes and orders no run here either: write "
            "`mode: auto` into a copy to see what it would do"
        )
    if asking:
        notes.append(f"{', '.join(asking)} may ask a human: in a backtest nobody answers")
    return notes


SWEEPABLE: Mapping[str, Callable[[str], Any]] = {
    "cooldown": parse_duration,
    "settle": parse_duration,
    "attempts": int,
    "backoff": float,
}


def swept(policy_set: PolicySet, text: str) -> dict[str, PolicySet]:
    """The policy set with one setting changed in all policies: `cooldown=1h,3h`."""
    name, _, values = text.partition("=")
    if name not in SWEEPABLE or not values:
        raise BadHistory(
            f"--sweep {text!r}: write one of {', '.join(SWEEPABLE)} and its values, as in "
            "cooldown=1h,3h,6h"
        )
    return {
        f"{name} {value}": replace(
            policy_set,
            policies=tuple(_changed(one, name, value) for one in policy_set.policies),
        )
        for value in values.split(",")
    }


def _changed(policy: Policy, name: str, value: str) -> Policy:
    try:
        read: Any = SWEEPABLE[name](value)
    except ValueError as error:
        raise BadHistory(f"--sweep {name}: {error}") from None
    changed: Policy = replace(policy, **{name: read})
    return changed
