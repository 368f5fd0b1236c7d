"""Answers: runs, money, bad hours and holds of one rule over a history, drawn many times."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from multiprocessing import get_all_start_methods, get_context
from typing import TypeAlias

from receiver.backtest.alertmanager import Route
from receiver.backtest.replay import Replay, ReplayedRun
from receiver.backtest.rules import Rule
from receiver.backtest.runs import RunModels
from receiver.backtest.truth import Truth
from receiver.core.decisions import Decision

MOST_DECISIONS = 150_000
"""Decisions of all draws of a rule together: about half a minute on two cores."""

FEWEST_DRAWS = 20

MakeRule: TypeAlias = Callable[[bool], Rule]
"""Makes a rule anew; it is told whether alerts that go on are sent again."""


@dataclass(slots=True)
class ModelTally:
    """What became of one model.

    Attributes:
        held: Hours in which it was bad, by what held it meanwhile.

    """

    runs: int = 0
    in_vain: int = 0
    money: float = 0
    held: dict[str, float] = field(default_factory=dict)

    @property
    def bad_hours(self) -> float:
        """Hours in which it was bad."""
        return sum(self.held.values())

    def add(self, other: "ModelTally") -> None:
        """Count another draw in."""
        self.runs += other.runs
        self.in_vain += other.in_vain
        self.money += other.money
        for name, hours in other.held.items():
            self.held[name] = self.held.get(name, 0) + hours


@dataclass(slots=True)
class Tally:
    """What one replay brought: a witness that counts."""

    runs: RunModels
    models: dict[str, ModelTally] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    decisions: int = 0

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Count decisions by reason."""
        self.decisions += len(decisions)
        for one in decisions:
            self.reasons[one.reason.value] = self.reasons.get(one.reason.value, 0) + 1

    def ran(self, run: ReplayedRun) -> None:
        """Count a run."""
        tally = self._of(run.model)
        tally.runs += 1
        tally.in_vain += not run.helped
        tally.money += self.runs.of(run.policy).cost

    def was_bad(self, model: str, held_by: str, began: datetime, ended: datetime) -> None:
        """Count hours."""
        held = self._of(model).held
        held[held_by] = held.get(held_by, 0) + (ended - began).total_seconds() / 3600

    def total(self) -> ModelTally:
        """All models together."""
        total = ModelTally()
        for one in self.models.values():
            total.add(one)
        return total

    def _of(self, model: str) -> ModelTally:
        return self.models.setdefault(model, ModelTally())


@dataclass(slots=True)
class Picture(Tally):
    """The same, with everything that a timeline shows; and each decision, if that is asked for."""

    keeps_log: bool = False
    log: list[Decision] = field(default_factory=list)
    drawn_runs: list[ReplayedRun] = field(default_factory=list)
    stretches: list[tuple[str, str, datetime, datetime]] = field(default_factory=list)

    def decided(self, decisions: Sequence[Decision]) -> None:
        """Keep the decisions."""
        Tally.decided(self, decisions)
        if self.keeps_log:
            self.log += [replace(one, gates=()) for one in decisions]

    def ran(self, run: ReplayedRun) -> None:
        """Keep the run."""
        Tally.ran(self, run)
        self.drawn_runs.append(run)

    def was_bad(self, model: str, held_by: str, began: datetime, ended: datetime) -> None:
        """Keep the stretch."""
        Tally.was_bad(self, model, held_by, began, ended)
        self.stretches.append((model, held_by, began, ended))


@dataclass(frozen=True, slots=True)
class Peaks:
    """How many runs there are at most: a limit that is not lower holds none of them.

    Attributes:
        in_span: In any so many days.
        at_once: At the same time.

    """

    in_span: Mapping[int, int]
    at_once: int


DAYS = (1, 7, 30)


def peaks_of(runs: Iterable[ReplayedRun]) -> Peaks:
    """The most runs in a span, and at once."""
    known = list(runs)
    began = sorted(run.began for run in known)
    changes = sorted((moment, by) for run in known for moment, by in _changes(run))
    return Peaks(
        in_span={days: _most_within(began, timedelta(days=days)) for days in DAYS},
        at_once=max(accumulate(by for _, by in changes), default=0),
    )


def _changes(run: ReplayedRun) -> tuple[tuple[datetime, int], ...]:
    return (run.began, 1), (run.ended, -1)


def _most_within(moments: Sequence[datetime], span: timedelta) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True, slots=True)
class Range:
    """A number over all draws: its mean, and between what nine of ten draws lie."""

    mean: float
    low: float
    high: float


def range_of(numbers: Sequence[float]) -> Range:
    """The mean, the 5th and the 95th percentile."""
    ordered, last = sorted(numbers), len(numbers) - 1
    low, high = ordered[round(last * 0.05)], ordered[round(last * 0.95)]
    return Range(sum(ordered) / len(ordered), low, high)


@dataclass(frozen=True, slots=True)
class Result:
    """What a rule would have brought.

    Attributes:
        held: Mean hours in which models were bad, by what held them.
        models: Means of each model.

    """

    name: str
    draws: int
    runs: Range
    in_vain: Range
    money: Range
    bad_hours: Range
    held: Mapping[str, float]
    models: Mapping[str, ModelTally]

    def cost(self, bad_hour: float) -> float:
        """Money for runs, and what the bad hours cost."""
        return self.money.mean + bad_hour * self.bad_hours.mean


@dataclass(frozen=True, slots=True)
class Setting:
    """What all rules are compared under.

    Attributes:
        draws: Throws of the dice at most; fewer for long histories, one if nothing is left to
            chance.
        most_decisions: Of all draws of one rule together.
        fewest_draws: However long the history is.

    """

    truth: Truth
    route: Route
    runs: RunModels
    draws: int = 200
    seed: int = 1
    most_decisions: int = MOST_DECISIONS
    fewest_draws: int = FEWEST_DRAWS

    def replay(self, make: MakeRule, draw: int, witness: Tally) -> Tally:
        """One throw of the dice."""
        seed, route = self.seed_of(draw), self.route
        rule = make(route.repeats)
        Replay(self.truth, rule, route, runs=self.runs, seed=seed, witness=witness).run()
        return witness

    def seed_of(self, draw: int) -> int:
        """The seed of one throw: the same luck for every rule."""
        return self.seed * 1_000_000 + draw

    def draws_for(self, decisions: int) -> int:
        """How many draws are affordable if each takes so many decisions."""
        if self.runs.is_certain:
            return 1
        most = max(self.fewest_draws, self.most_decisions // max(decisions, 1))
        return min(self.draws, most)


def judge(
    name: str, make: MakeRule, setting: Setting, *, workers: int = 1, draws: int | None = None
) -> Result:
    """Replay a rule as often as needed to tell what it would have brought.

    Rules are compared over the same draws: the first tells how many are affordable.
    """
    first = setting.replay(make, 0, Tally(setting.runs))
    draws = draws or setting.draws_for(first.decisions)
    tallies = [first, *_others(make, setting, range(1, draws), workers)]
    totals = [one.total() for one in tallies]
    whole = ModelTally()
    models: dict[str, ModelTally] = {}
    for one, total in zip(tallies, totals, strict=True):
        whole.add(total)
        for model, tally in one.models.items():
            models.setdefault(model, ModelTally()).add(tally)
    return Result(
        name=name,
        draws=draws,
        runs=range_of([one.runs for one in totals]),
        in_vain=range_of([one.in_vain for one in totals]),
        money=range_of([one.money for one in totals]),
        bad_hours=range_of([one.bad_hours for one in totals]),
        held={rung: hours / draws for rung, hours in sorted(whole.held.items())},
        models=models,
    )


_shared: dict[str, tuple[MakeRule, Setting]] = {}
"""What the children of a fork find: rules and histories need no pickling."""


def _draw(draw: int) -> Tally:
    make, setting = _shared["now"]
    return setting.replay(make, draw, Tally(setting.runs))


def _others(make: MakeRule, setting: Setting, draws: range, workers: int) -> Sequence[Tally]:
    if workers < 2 or len(draws) < 2 * workers or "fork" not in get_all_start_methods():  # noqa: PLR2004
        return [setting.replay(make, draw, Tally(setting.runs)) for draw in draws]
    _shared["now"] = (make, setting)
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
            return list(pool.map(_draw, draws, chunksize=max(1, len(draws) // (8 * workers))))
    finally:
        _shared.clear()
