"""Hundreds of models: every batch of the worker is full, and no model is left out."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from receiver.config.restraint_fields import parse_hours
from receiver.core.policies import Mode
from receiver.core.windows import Window
from receiver.flows import sweeping
from receiver.flows.intake import committer, taking_in
from receiver.flows.worker import mending, polling, rechecking, releasing
from receiver.store.model_rows import ModelRows
from receiver.store.sweep_rows import SweepRows
from receiver.store.views.holds import HoldReads
from receiver.store.views.paging import MOST_ROWS
from tests.simulation.parts import Parts
from tests.simulation.plans import HOUR, MINUTE, calm
from tests.simulation.rungs import NONE, Rungs
from tests.simulation.running import examine
from tests.simulation.stores import Interrupted
from tests.simulation.story import told
from tests.simulation.world import Kind, World

MODELS = 560

BATCHES = {
    "due": rechecking.MODELS_AT_ONCE,
    "sweep": sweeping.AT_ONCE,
    "mend": mending.AT_ONCE,
    "poll": polling.AT_ONCE,
    "release": releasing.AT_ONCE,
    "hours": MOST_ROWS,
    "part": committer.PART,
}
"""How many each batch holds at most."""


@pytest.fixture
def fullest(monkeypatch):
    """The fullest batch of each kind."""
    most: Counter[str] = Counter()

    def watch(owner: Any, name: str, kind: str, size: Callable[[Any, Any], int]) -> None:
        real = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            answer = real(*given, **named)
            most[kind] = max(most[kind], size(given, answer))
            return answer

        monkeypatch.setattr(owner, name, watched)

    watch(HoldReads, "ended", "due", lambda _given, found: len(found))
    watch(SweepRows, "claim_sweep", "sweep", lambda _given, found: len(found or ()))
    watch(mending, "_mend_models", "mend", lambda given, _done: len(given[2]))
    watch(polling, "_carry", "poll", lambda given, _done: len(given[3]))
    watch(ModelRows, "check_models", "release", lambda given, _done: len(given[1]))
    watch(HoldReads, "waiting_for_hours", "hours", lambda _given, found: len(found))
    watch(taking_in, "_commit", "part", lambda given, _done: len(given[1][0].matched))
    return most


def set_clock(world: World, seconds: float) -> None:
    """Somebody sets the deciding clock."""
    world.wall.ahead += timedelta(seconds=seconds)
    world.note("clock", Kind.CLOCK, f"set by {timedelta(seconds=seconds)}", seconds)
    world.cure()


def ahead_for_a_while(_store: Interrupted, world: World) -> None:
    """The clock jumps over the hours of the window, and is set back into them."""
    world.hub.at(40 * MINUTE, lambda: set_clock(world, HOUR))
    world.hub.at(56 * MINUTE, lambda: set_clock(world, -40 * MINUTE))


@pytest.mark.timeout(900)
def test_a_crowd_fills_every_batch_and_nobody_is_left_out(stores, fullest):
    """All wait for the same hours, are asked about, and are seen to after a pause is lifted."""
    hours = Window("UTC", ZoneInfo("UTC"), (parse_hours("daily 13:00-13:30"),))
    plan = calm(
        12,
        models=MODELS,
        ends=1.25 * HOUR,
        heals=HOUR,
        group_by=(),
        repeat_interval=12 * HOUR,
        alert_expiry=timedelta(hours=13),
        send_resolved=True,
        sources=1,
        poll=timedelta(minutes=10),
        confirm_within=timedelta(minutes=10),
        rungs=(Rungs(window=hours, mode=Mode.APPROVE), NONE),
    )

    _, outcome = examine(plan, stores, Parts(store=ahead_for_a_while))

    assert not outcome.violations, "\n".join(map(told, outcome.violations[:20]))
    assert {kind for kind, size in BATCHES.items() if fullest[kind] < size} == set(), fullest
