"""Converts the settings of the rungs below `cooldown` to plain values."""

from collections.abc import Iterator

from receiver.config.restraint_fields import (
    ASK,
    parse_cost_cap,
    parse_hours,
    parse_run_cap,
    zone_of,
)
from receiver.config.sections import (
    BudgetSection,
    CostSection,
    StormSection,
    TotalBudgetSection,
    WindowSection,
)
from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.storms import Storm
from receiver.core.windows import Window


def window_of(section: WindowSection | None) -> Window | None:
    """The hours in which runs may start."""
    if section is None:
        return None
    hours = tuple(parse_hours(text) for text in section.allow)
    return Window(section.location, zone_of(section.location), hours)


def storm_of(section: StormSection | None) -> Storm | None:
    """How many models at once are suspicious."""
    if section is None:
        return None
    return Storm(section.models, section.within, section.wait, section.calm or section.within)


def cost_of(section: CostSection | None) -> Cost | None:
    """What one run costs."""
    return None if section is None else Cost(section.amount, section.unit, section.run_time)


def limits_of(budget: BudgetSection | None, total: TotalBudgetSection | None) -> tuple[Limit, ...]:
    """A policy's own limits, and those that all policies share."""
    found: list[Limit] = []
    if budget is not None:
        asks = budget.when_spent == ASK
        for text in budget.runs_per_model:
            most, span = parse_run_cap(text)
            found.append(Limit(Scope.MODEL, Counted.RUNS, most, span, asks=asks))
        found += _limits(budget, Scope.POLICY)
    if total is not None:
        found += _limits(total, Scope.TOTAL)
    return tuple(found)


def _limits(section: TotalBudgetSection, scope: Scope) -> Iterator[Limit]:
    asks = section.when_spent == ASK
    for text in section.runs:
        most, span = parse_run_cap(text)
        yield Limit(scope, Counted.RUNS, most, span, asks=asks)
    if section.in_flight is not None:
        yield Limit(scope, Counted.IN_FLIGHT, section.in_flight, asks=asks)
    for text in section.cost:
        amount, unit, span = parse_cost_cap(text)
        yield Limit(scope, Counted.COST, amount, span, unit, asks=asks)
