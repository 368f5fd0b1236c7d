"""Budgets: limits of runs in flight, runs within a span, and money within a span."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from receiver.core.durations import format_duration

HUNDREDTH = 0.01
"""Amounts from here on are shown with two digits; smaller ones as they are, not as 0."""


class Scope(StrEnum):
    """Whose runs a limit counts."""

    MODEL = "model"
    POLICY = "policy"
    TOTAL = "total"


class Counted(StrEnum):
    """What a limit counts."""

    RUNS = "runs"  # ordered within its span
    IN_FLIGHT = "in_flight"
    COST = "cost"  # of the runs ordered within its span


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run costs.

    Attributes:
        run_time: How long a run that costs so much takes; a run's real time corrects its cost.

    """

    amount: float
    unit: str
    run_time: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap of a budget.

    Attributes:
        span: How far back it looks; None for runs in flight.
        unit: Of a cost.
        asks: Whether a human may approve a run beyond it.

    """

    scope: Scope
    counted: Counted
    most: float
    span: timedelta | None = None
    unit: str = ""
    asks: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether it counts the runs of more than one model."""
        return self.scope is not Scope.MODEL

    def whose(self, policy: str, model: str) -> str:
        """The name whose runs it counts, for a run of this model; empty for all of them."""
        return {Scope.MODEL: model, Scope.POLICY: policy, Scope.TOTAL: ""}[self.scope]

    def __str__(self) -> str:
        whose = "in total" if self.scope is Scope.TOTAL else f"per {self.scope}"
        if self.span is None:
            return f"{show_amount(self.most)} in flight {whose}"
        what = self.unit if self.counted is Counted.COST else "runs"
        return f"{show_amount(self.most)} {what} in {format_duration(self.span)} {whose}"


@dataclass(frozen=True, slots=True)
class Spending:
    """One run that a limit counts, and how much of it."""

    at: datetime
    amount: float = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used.

    Attributes:
        frees_at: From when one more run fits if nothing else happens; None if it fits now, or if
            only a run's end can tell.

    """

    limit: Limit
    used: float
    needed: float = 1
    frees_at: datetime | None = None

    def __str__(self) -> str:
        verbs = {Counted.RUNS: " are ordered", Counted.COST: " are spent", Counted.IN_FLIGHT: ""}
        return f"{show_amount(self.used)} of {self.limit}{verbs[self.limit.counted]}"

    @property
    def share(self) -> float:
        """How full it is."""
        return self.used / self.limit.most

    @property
    def is_spent(self) -> bool:
        """Whether one more run does not fit."""
        return not self.fits()

    def fits(self, promised: float = 0) -> bool:
        """Whether one more run fits, beside what was promised to others."""
        return self.used + promised + self.needed <= self.limit.most


def own_end(spent: Sequence[Usage]) -> datetime | None:
    """Until when limits of the model itself hold it; None if only shared limits do.

    Such a hold has an end of its own, whatever room the limits that models share have by then.
    """
    ends = [one.frees_at for one in spent if one.is_spent and not one.limit.is_wide]
    return max((end for end in ends if end is not None), default=None)


def show_amount(amount: float) -> str:
    """Write an amount for a sentence: `12.5`, `49.41`, `2000000`; tiny ones as they are."""
    text = f"{amount:.2f}" if amount >= HUNDREDTH else f"{amount:g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def usage(limit: Limit, spendings: Sequence[Spending], needed: float) -> Usage:
    """Count what lies within a limit's span, oldest first, and tell when another run fits."""
    used = sum(spending.amount for spending in spendings)
    left, frees_at = used, None
    if limit.span is not None:
        for spending in spendings:
            if left + needed <= limit.most:
                break
            left -= spending.amount
            frees_at = spending.at + limit.span
    return Usage(limit, used, needed, frees_at)


def real_cost(reserved: float, run_time: timedelta | None, took: timedelta | None) -> float:
    """What a run cost after all. `took` is None for one that never began.

    It is negative if the clock was set back meanwhile, which says nothing about the cost.
    """
    if took is None:
        return 0.0
    if run_time is None or took < timedelta(0):
        return reserved
    return reserved * (took / run_time)
