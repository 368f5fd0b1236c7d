"""A model of runs: how long one takes, whether it helps, what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from receiver.backtest.histories import PastRun
from receiver.core.durations import show_duration
from receiver.core.run_ends import median

ENOUGH = 5
"""Runs whose effect is known from which on our log is believed."""

USUAL = timedelta(minutes=40)

HELPS = 0.8
"""The chance that a run helps, unless something is known."""

PATIENCE = 6.0
"""A run costs as much as so many bad hours, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one run would bring."""

    took: timedelta
    helps: bool


@dataclass(frozen=True, slots=True)
class RunModel:
    """What is assumed of a policy's runs.

    Attributes:
        durations: One of them is drawn.
        helps: The chance that a run makes its model good.
        shows_after: How long after a run's end its alerts end.
        rests_on: Runs of our log that this was learned from; 0 if it was given.

    """

    durations: tuple[timedelta, ...] = (USUAL,)
    helps: float = HELPS
    cost: float = 1
    unit: str = "runs"
    shows_after: timedelta = timedelta(0)
    rests_on: int = 0

    def draw(self, seed: int, model: str, spell: int, number: int) -> RunOutcome:
        """What a model's run number so many of this spell brings: the same for every policy."""
        chance = Random(f"{seed}/{model}/{spell}/{number}")  # noqa: S311  luck, no secret
        return RunOutcome(chance.choice(self.durations), chance.random() < self.helps)

    @property
    def is_certain(self) -> bool:
        """Whether nothing is left to chance."""
        return len(set(self.durations)) == 1 and self.helps in {0, 1}

    def __str__(self) -> str:
        took = show_duration(median(self.durations) or USUAL)
        source = f"learned from {self.rests_on} runs" if self.rests_on else "given"
        several = f" (middle of {len(self.durations)})" if len(self.durations) > 1 else ""
        return (
            f"a run takes {took}{several}, helps with chance {self.helps:.2f} and costs "
            f"{self.cost:g} {self.unit} ({source})"
        )


@dataclass(frozen=True, slots=True)
class RunModels:
    """The model of each policy's runs; `usual` for those without one of their own."""

    usual: RunModel = RunModel()
    of_policy: Mapping[str, RunModel] = field(default_factory=dict)

    def of(self, policy: str) -> RunModel:
        """The model of a policy's runs."""
        return self.of_policy.get(policy, self.usual)

    @property
    def is_certain(self) -> bool:
        """Whether nothing is left to chance: then one draw tells all."""
        return all(one.is_certain for one in (self.usual, *self.of_policy.values()))


def learned(usual: RunModel, runs: Iterable[PastRun]) -> RunModels:
    """Models from our own log, for policies of which enough is known; else what is given."""
    by_policy: dict[str, list[PastRun]] = {}
    for run in runs:
        by_policy.setdefault(run.policy, []).append(run)
    found = {name: _learned(usual, own) for name, own in sorted(by_policy.items())}
    return RunModels(usual, {name: model for name, model in found.items() if model is not None})


def _learned(usual: RunModel, runs: Sequence[PastRun]) -> RunModel | None:
    told = [run.helped for run in runs if run.helped is not None]
    took = tuple(sorted(run.took for run in runs if run.took is not None))
    if len(told) < ENOUGH:
        return None
    return RunModel(
        durations=took or usual.durations,
        helps=sum(told) / len(told),
        cost=usual.cost,
        unit=usual.unit,
        shows_after=usual.shows_after,
        rests_on=len(told),
    )
