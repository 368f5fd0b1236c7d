"""Curves: the metric behind a rule, as the report draws it over each model's timeline."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from receiver.backtest.histories import BadHistory
from receiver.backtest.prometheus_history import Ask
from receiver.backtest.samples import moment
from receiver.backtest.truth import Truth
from receiver.core.policy_set import PolicySet

POINTS = 480
"""Of one curve: one for every other pixel of the report."""

LEAST_STEP = timedelta(seconds=15)

Curve: TypeAlias = tuple[tuple[datetime, float], ...]


def ask_curves(
    ask: Ask, expression: str, truth: Truth, policy_set: PolicySet
) -> Mapping[str, Curve]:
    """What an expression was for each model. Raises `BadHistory` if it is about none of them."""
    step = max(truth.span / POINTS, LEAST_STEP)
    answer = ask(
        "/api/v1/query_range",
        {
            "query": expression,
            "start": f"{truth.since.timestamp():.3f}",
            "end": f"{truth.until.timestamp():.3f}",
            "step": f"{step.total_seconds():g}",
        },
    )
    try:
        found = [(one["metric"], _curve(one["values"])) for one in answer["result"]]
    except (LookupError, TypeError, ValueError):
        raise BadHistory(
            f"--metric {expression!r} is no range of numbers: give an expression such as "
            "model_mae_score"
        ) from None
    return _by_model(found, expression, truth, policy_set)


def _curve(values: Iterable[Sequence[Any]]) -> Curve:
    points = ((moment(float(at)), float(value)) for at, value in values)
    return tuple((at, value) for at, value in points if math.isfinite(value))


def _by_model(
    found: Sequence[tuple[Mapping[str, str], Curve]],
    expression: str,
    truth: Truth,
    policy_set: PolicySet,
) -> Mapping[str, Curve]:
    """A model's series are those that have the labels which name it; the longest is drawn."""
    result: dict[str, Curve] = {}
    names: set[str] = set()
    for model, spells in truth.spells.items():
        policy = policy_set.policy(truth.policies[model])
        labels = spells[0].alerts[0].labels
        identity = {name: labels[name] for name in (policy.identity if policy else ())}
        names |= identity.keys()
        own = [curve for other, curve in found if identity.items() <= other.items()]
        if own:
            result[model] = max(own, key=len)
    if not result:
        raise BadHistory(
            f"none of the {len(found)} series of --metric {expression!r} has the labels that name "
            f"a model ({', '.join(sorted(names))}): keep them, as in "
            f"`avg by ({', '.join(sorted(names))}) (…)`"
        )
    return result
