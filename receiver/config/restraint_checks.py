"""Validates budgets: units that must agree, spans that retention must cover."""

from collections.abc import Iterator
from datetime import timedelta

from receiver.config.complaints import Complaint, Place
from receiver.config.restraint_fields import parse_cost_cap, parse_run_cap
from receiver.config.sections import CostSection, FileSection, TotalBudgetSection
from receiver.core.budgets import show_amount
from receiver.core.durations import format_duration


def check_budgets(file: FileSection) -> Iterator[Complaint]:
    """Find budgets that could not be kept. Settings that could not be read are None here."""
    if file.budget is not None:
        place: Place = ("budget",)
        yield from _check_spans(place, file.budget, file.retention.runs)
        priced = [policy.cost for policy in file.policies if policy.cost is not None]
        for number in range(len(file.budget.cost or ())):
            if not priced:
                yield _unpriced((*place, "cost", number), "a policy")
            for cost in priced:
                yield from _check_unit((*place, "cost", number), file.budget.cost[number], cost)
    for number, policy in enumerate(file.policies):
        if policy.budget is None:
            continue
        place = ("policies", number, "budget")
        yield from _check_spans(place, policy.budget, file.retention.runs)
        for cap, text in enumerate(policy.budget.cost or ()):
            if policy.cost is None:
                yield _unpriced((*place, "cost", cap), "the policy")
            else:
                yield from _check_unit((*place, "cost", cap), text, policy.cost)


def _unpriced(place: Place, who: str) -> Complaint:
    return Complaint(place, f"nobody knows what a run costs; give {who} cost: {{amount, unit}}")


def _check_unit(place: Place, text: str, cost: CostSection) -> Iterator[Complaint]:
    if cost.amount is None or cost.unit is None:
        return
    most, unit, _ = parse_cost_cap(text)
    if unit != cost.unit:
        yield Complaint(place, f"counts {unit}, but a run costs {cost.unit}; write the same unit")
    elif cost.amount > most:
        one = f"{show_amount(cost.amount)} {unit}"
        yield Complaint(place, f"is less than the {one} of one run; write more")


def _check_spans(
    place: Place, budget: TotalBudgetSection, kept: timedelta | None
) -> Iterator[Complaint]:
    caps = [("cost", parse_cost_cap(text)[2]) for text in budget.cost or ()]
    for setting in ("runs", "runs_per_model"):
        caps += [
            (setting, parse_run_cap(text)[1]) for text in getattr(budget, setting, None) or ()
        ]
    for setting, span in caps:
        if kept is not None and span > kept:
            yield Complaint(
                (*place, setting),
                f"looks back {format_duration(span)}, but retention.runs forgets after "
                f"{format_duration(kept)}; write a shorter span, or keep runs longer",
            )
