"""Lives through seeds and checks each, in this process or on every core."""

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import structlog
from sqlalchemy import select

from receiver.core.dispatches import DispatchState, Move
from receiver.store.store import Store
from receiver.store.tables import transitions
from tests.fakes import HandClock
from tests.simulation.checker import check
from tests.simulation.history import Lived, live
from tests.simulation.parts import Parts
from tests.simulation.plans import Plan
from tests.simulation.stores import SqliteStores, Stores
from tests.simulation.violations import Violation

COUNTED = ("delivery", "ack", "decision", "post", "run", "down", "clock", "act")


@dataclass(frozen=True)
class Outcome:
    """What came out of one seed."""

    seed: int
    violations: tuple[Violation, ...]
    counts: Counter[str]
    moves: frozenset[Move]


def silence_the_log() -> None:
    """Only what is critical is said: thousands of lines would tell nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def examine(plan: Plan | int, stores: Stores, parts: Parts | None = None) -> tuple[Lived, Outcome]:
    """Live through one history and check it."""
    lived = live(plan, stores, parts)
    store = stores.open(HandClock())
    violations = check(lived, store)
    counts = Counter(note.kind.value for note in lived.notes)
    return lived, Outcome(lived.plan.seed, tuple(violations), counts, moves_made(store))


def moves_made(store: Store) -> frozenset[Move]:
    """Each move of a dispatch from one state to another that a history wrote down."""
    with store._reading() as db:
        rows = db.execute(
            select(transitions.c.dispatch_id, transitions.c.state).order_by(
                transitions.c.dispatch_id, transitions.c.number
            )
        ).all()
    return frozenset(
        (DispatchState(before.state), DispatchState(after.state))
        for before, after in pairwise(rows)
        if before.dispatch_id == after.dispatch_id
    )


_STORES: list[SqliteStores] = []


def _begin() -> None:
    silence_the_log()
    gc.collect()
    gc.freeze()  # what was imported is not looked at again and again
    gc.set_threshold(50_000)
    _STORES.append(SqliteStores())


def _examine(seed: int) -> Outcome:
    return examine(seed, _STORES[0])[1]


def examine_all(seeds: Iterable[int], processes: int) -> Iterator[Outcome]:
    """Every seed's outcome, as they come; with one process, in this one."""
    if processes == 1:
        _begin()
        yield from map(_examine, seeds)
        _STORES.pop().close()
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin) as pool:
        yield from pool.imap_unordered(_examine, seeds, chunksize=4)
