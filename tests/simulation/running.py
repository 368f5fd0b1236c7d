"""Lives through seeds and checks each, in this process or on every core."""

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

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


def silence_the_log() -> None:
    """Only what is critical is said: thousands of lines would tell nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def examine(plan: Plan | int, stores: Stores, parts: Parts | None = None) -> tuple[Lived, Outcome]:
    """Live through one history and check it."""
    lived = live(plan, stores, parts)
    violations = check(lived, stores.open(HandClock()))
    counts = Counter(note.kind.value for note in lived.notes)
    return lived, Outcome(lived.plan.seed, tuple(violations), counts)


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
