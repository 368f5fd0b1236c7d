"""Cooldowns: when a model may be retrained again."""

from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core.models import Model, latest_of

FIRST_BACKOFF = timedelta(minutes=1)

LONGEST_GROWN = timedelta(days=30)
"""How far `backoff` lets a cooldown grow."""

MOST_DOUBLINGS = 64
"""Enough to reach any longest cooldown; more would overflow."""


def grown(cooldown: timedelta, factor: float, runs: int) -> timedelta:
    """The cooldown of a run after so many others of its episode did not help."""
    longest = max(cooldown, LONGEST_GROWN)
    growth = factor ** min(runs, MOST_DOUBLINGS)
    # Compared as numbers: timedelta itself overflows.
    too_long = cooldown.total_seconds() * growth > longest.total_seconds()
    return longest if too_long else cooldown * growth


def take(model: Model, cooldown: timedelta, now: datetime) -> Model:
    """Take the cooldown: at the commit of a dispatch and again at each send."""
    return replace(model, cooldown_until=latest_of(model.cooldown_until, now + cooldown))


def untake(model: Model, before: datetime | None, taken: datetime) -> Model:
    """Undo what an attempt took that surely reached nobody; what changed it meanwhile stays."""
    is_its = model.cooldown_until == latest_of(before, taken)
    return replace(model, cooldown_until=before) if is_its else model


def settle(model: Model, pause: timedelta, ended_at: datetime) -> Model:
    """Hold the model for `settle` after a run's end: the metric shows a better model late."""
    return replace(
        model,
        cooldown_until=latest_of(model.cooldown_until, ended_at + pause),
        backoff_until=None,
        refusals=0,
    )


def give_back(model: Model, before: datetime | None) -> Model:
    """Undo what a dispatch took that was never sent."""
    return replace(model, cooldown_until=before)


def back_off(model: Model, before: datetime | None, cooldown: timedelta, now: datetime) -> Model:
    """Replace the cooldown after a definite refusal: 1m, 2m, 4m ... up to the cooldown."""
    refusals = model.refusals + 1
    wait = min(FIRST_BACKOFF * (1 << min(refusals - 1, 20)), cooldown)
    return replace(model, cooldown_until=before, backoff_until=now + wait, refusals=refusals)
