"""Bugs put back on purpose in the rungs that a policy adds."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from receiver.config.restraint_fields import parse_hours
from receiver.core.budgets import Usage
from receiver.core.dispatches import Dispatch
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.windows import Window
from receiver.flows import unit_of_work
from receiver.flows.worker import dispatching, loops
from receiver.store import restraint_rows
from receiver.store.views.budgets import Usages
from tests.fakes import NOON
from tests.simulation import history
from tests.simulation.parts import Parts
from tests.simulation.plans import HOUR, Plan, calm
from tests.simulation.rungs import NONE, Rungs, half_hours

Patch = pytest.MonkeyPatch


def budget_in_memory(patch: Patch) -> Parts:
    """What is spent is read now and then, and not again under the lock."""
    known: dict[str, tuple[datetime, tuple[Usage, ...]]] = {}

    class Remembered(Usages):
        def of(self, policy: Policy, model: str) -> tuple[Usage, ...]:
            read_at, spent = known.get(policy.name, (NOON, ()))
            if not spent or abs(self._now - read_at) > timedelta(minutes=10):
                read_at, spent = self._now, super().of(policy, model)
            is_full = any(one.is_spent for one in spent)
            known[policy.name] = (self._now, ()) if is_full else (read_at, spent)
            return spent

    patch.setattr(restraint_rows, "Usages", Remembered)
    return Parts()


def room_untold(patch: Patch) -> Parts:
    """Nobody tells the models that wait for a budget, or for a storm's end."""
    patch.setattr(loops, "release_shared", lambda _store, _policy_set: None)
    return Parts()


def approved_for_good(patch: Patch) -> Parts:
    """A run does not use its approval up."""
    patch.setattr(unit_of_work.UnitOfWork, "_use_approval", lambda *_: None)
    return Parts()


def closed_after_all(patch: Patch) -> Parts:
    """The hours count when a run is decided, not when it is sent at last."""

    def waits_until(known: Any, dispatch: Dispatch) -> datetime | None:
        pause = known.pause_of(dispatch.model, dispatch.policy)
        return None if pause is None else known.now + dispatching.PAUSE_LOOK

    patch.setattr(dispatching, "_waits_until", waits_until)
    return Parts()


def of_hours_that_close(seed: int) -> Plan:
    """Every second half hour is closed, and a target in trouble misses the end of the others."""
    times = [f"daily {half_hours(begin)}-{half_hours(begin + 1)}" for begin in range(0, 47, 2)]
    window = Window("UTC", ZoneInfo("UTC"), tuple(parse_hours(text) for text in times))
    rungs = (Rungs(window=window), NONE)
    return calm(seed, models=4, ends=8 * HOUR, rungs=rungs, target_trouble=0.95)


def attempts_forgotten(patch: Patch) -> Parts:
    """Runs of some hours ago are no attempts any more."""
    real = restraint_rows.runs_since

    def runs_since(db: Any, model: str, since: datetime, now: datetime) -> Any:
        return real(db, model, max(since, now - timedelta(hours=3)), now)

    patch.setattr(restraint_rows, "runs_since", runs_since)
    return Parts()


def storm_without_wait(patch: Patch) -> Parts:
    """The first models of a storm are decided before there are many."""
    real = history.policy_sets

    def policy_sets(plan: Plan) -> dict[str, PolicySet]:
        return {
            name: replace(book, policies=tuple(map(hasty, book.policies)))
            for name, book in real(plan).items()
        }

    def hasty(policy: Policy) -> Policy:
        if policy.storm is None:
            return policy
        return replace(policy, storm=replace(policy.storm, wait=timedelta(0)))

    patch.setattr(history, "policy_sets", policy_sets)
    return Parts()
