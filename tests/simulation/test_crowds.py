"""Hundreds of models: every batch of the worker is full, and no model is left out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, insert, select

from receiver.config.restraint_fields import parse_hours
from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.policies import Mode
from receiver.core.windows import Window
from receiver.flows import sweeping
from receiver.flows.intake import committer, taking_in
from receiver.flows.worker import mending, polling, rechecking, releasing, retention
from receiver.flows.worker.retention import Ages
from receiver.store import retention_rows, source_rows
from receiver.store.clock_rows import ClockRows
from receiver.store.compiled import Compiled
from receiver.store.model_rows import ModelRows
from receiver.store.sweep_rows import SweepRows
from receiver.store.tables import sources
from receiver.store.views import holds
from receiver.store.views.holds import HoldReads
from receiver.store.views.paging import MOST_ROWS
from tests.fakes import NOON
from tests.simulation.parts import Parts
from tests.simulation.plans import HOUR, MINUTE, calm
from tests.simulation.rungs import NONE, Rungs
from tests.simulation.running import examine
from tests.simulation.stores import Interrupted
from tests.simulation.story import tell, told
from tests.simulation.world import Kind, World

MODELS = 560

SPENT = Limit(Scope.POLICY, Counted.COST, 1000, timedelta(hours=1), "EUR")
"""A budget that is never spent: what each run costs is stored."""

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


FEW = 3
"""Every bound, where a handful of models is a crowd."""

BOUNDS = (
    (rechecking, "MODELS_AT_ONCE"),
    (sweeping, "AT_ONCE"),
    (mending, "AT_ONCE"),
    (polling, "AT_ONCE"),
    (releasing, "AT_ONCE"),
    (holds, "MOST_ROWS"),
    (retention, "STEP"),
)


@dataclass
class Reached:
    """Selections that reached their bound.

    Attributes:
        known: All of them.
        ever: Those that ever did.
        still: Those that did when they were made last: more may wait behind.

    """

    known: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)
    still: set[str] = field(default_factory=set)

    def chose(self, name: str, size: int, most: int) -> None:
        """A selection was made."""
        if size >= most:
            self.ever.add(name)
            self.still.add(name)
        else:
            self.still.discard(name)


class Watched:
    """A statement of the store with a bound."""

    def __init__(self, real: Compiled, name: str, reached: Reached) -> None:
        self._real = real
        self._name = name
        self._reached = reached

    def run(self, db: Any, **given: Any) -> int:
        return self._seen(given, self._real.run(db, **given))

    def rows(self, db: Any, **given: Any) -> list[Any]:
        return self._seen(given, self._real.rows(db, **given))

    def column(self, db: Any, **given: Any) -> list[Any]:
        return self._seen(given, self._real.column(db, **given))

    def _seen(self, given: Any, answer: Any) -> Any:
        size = answer if isinstance(answer, int) else len(answer)
        self._reached.chose(self._name, size, given["most"])
        return answer


def bounded(module: ModuleType) -> dict[str, Compiled]:
    """The statements of a module that are given how many rows they may choose."""
    return {
        name: statement
        for name, statement in vars(module).items()
        if isinstance(statement, Compiled) and "most" in statement.statement.compile().params
    }


@pytest.fixture
def reached(monkeypatch):
    """Which selections reach their bounds, which are so small that a few models do."""
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, FEW)
    reached = Reached()
    for module in (holds, retention_rows, source_rows):
        for name, statement in bounded(module).items():
            monkeypatch.setattr(module, name, Watched(statement, name, reached))
            reached.known.add(name)
    real = ClockRows.cut_column

    def cut_column(rows: ClockRows, ahead: Any, now: datetime, limit: int) -> int:
        cut = real(rows, ahead, now, limit)
        reached.chose(f"cut {ahead.column}", cut, limit)
        return cut

    monkeypatch.setattr(ClockRows, "cut_column", cut_column)
    return reached


def remember_lost_sources(store: Interrupted) -> None:
    """Another configuration asked these, days ago."""
    lost = {"due_at": NOON, "asked_at": NOON - timedelta(days=2), "up_since": ""}
    with store._engine.begin() as db:
        if db.scalar(select(func.count()).select_from(sources)) == 0:
            db.execute(insert(sources), [{"name": f"lost{n}", **lost} for n in range(2 * FEW)])


def ahead_twice(_store: Interrupted, world: World) -> None:
    """The clock is ahead for an hour, early and late; each of two replicas does half of it."""
    for hours in (2, 6):
        world.hub.at(hours * HOUR, lambda: set_clock(world, HOUR))
        world.hub.at((hours + 1) * HOUR, lambda: set_clock(world, -HOUR))


@pytest.mark.timeout(900)
def test_each_selection_for_work_is_full_once_and_nothing_stays_undone(stores, reached):
    """Whatever its bound, what is behind it comes next: also what nobody confirms or has to keep.

    Two replicas get one configuration after the other, and forget what is some hours old.
    """
    plan = calm(
        3,
        replicas=2,
        models=8,
        ends=9 * HOUR,
        heals=6 * HOUR,
        group_by=(),
        group_interval=MINUTE,
        repeat_interval=12 * HOUR,
        alert_expiry=timedelta(hours=1),
        subscribers=1,
        reloads=60,
        rungs=(Rungs(limits=(SPENT,), cost=Cost(1, "EUR", None)), NONE),
        kept=Ages(*(timedelta(hours=hours) for hours in (2, 1, 1, 2, 1))),
    )

    parts = Parts(store=ahead_twice, on_start=remember_lost_sources)
    lived, outcome = examine(plan, stores, parts)

    assert not outcome.violations, "\n".join(tell(lived, outcome.violations))
    assert reached.known - reached.ever == set()
    assert any(name.startswith("cut ") for name in reached.ever)
    assert reached.still == set()
