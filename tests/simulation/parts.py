"""What a process is built from, and the lanes that it works in."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from receiver.core.ports import Dispatcher
from receiver.flows.intake import taking_in
from receiver.flows.intake.committer import Committer
from receiver.flows.worker import loops
from receiver.flows.worker.loops import TICK, TURN, LaneName, Worker
from receiver.telemetry import worker_errors
from tests.simulation.book import Seen
from tests.simulation.stores import Interrupted
from tests.simulation.tasks import Hub
from tests.simulation.world import World

MOST_STEPS = 300
"""A lane that does not come to rest after so many steps is spinning."""

FRUITLESS = 8

NOTHING_SEEN = Seen(datetime.min.replace(tzinfo=UTC), -1)

Step = Callable[[], bool]


@dataclass
class Parts:
    """What a process is built from; a bug put back on purpose changes one of them.

    Attributes:
        client: Wraps the dispatcher of a target.
        lanes: Leaves lanes out.
        committer: Makes the part that answers Alertmanager.
        on_start: Something done to the store when a process starts.
        store: Changes the store.

    """

    client: Callable[[Dispatcher], Dispatcher] = lambda client: client
    lanes: Callable[[dict[str, Step]], dict[str, Step]] = lambda lanes: lanes
    committer: Callable[[Interrupted], Committer] = lambda store: Committer(
        lambda arrivals: taking_in.take_in(store, arrivals)
    )
    on_start: Callable[[Interrupted], None] = lambda _store: None
    store: Callable[[Interrupted, World], None] = lambda _store, _world: None


class Spinning(Exception):
    """A lane works without getting anything done."""


class Resting(loops.Lane):
    """A loop without a thread: the history gives it its turns."""

    def __init__(self, name: LaneName, step: Step, tick: float, hub: Hub) -> None:
        super().__init__(name, step, tick)
        self.step = step
        self._hub = hub

    def rest(self) -> None:
        """Let others have their turn in the middle of a long step."""
        self._hub.pause(TURN)


class Loops(Worker):
    """The real worker, whose loops are kept for the history in place of being begun.

    Each loop that the real one begins is there: none can be forgotten here.
    """

    hub: Hub

    def _add(self, name: LaneName, step: Step, tick: float = TICK) -> None:
        if name not in self._lanes:
            self._lanes[name] = Resting(name, step, tick, self.hub)

    def steps(self) -> dict[str, Step]:
        """Every loop's step, by its name."""
        return {str(name): lane.step for name, lane in self._lanes.items()}


@dataclass(slots=True)
class Lane:
    """One loop of the worker: when it looks next, and how often it looked in vain.

    Attributes:
        again: When it looks anew whatever is stored: true seconds since the history began.
        looks: How often it does so soon.

    """

    step: Step
    wakes: float = float("inf")
    busy: bool = False
    seen_due: object = None
    in_vain: int = 0
    seen: Seen = NOTHING_SEEN
    again: float = float("inf")
    looks: int = 0


def errors() -> Counter[str]:
    """How many unforeseen errors the loops of workers have survived, by kind of loop."""
    return Counter(
        {
            ", ".join(sample.labels.values()): int(sample.value)
            for metric in worker_errors.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
    )
