"""The world of one history: its time, its chances, and what is written down about it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tests.fakes import NOON
from tests.simulation.plans import Plan, seeded
from tests.simulation.tasks import Hub


class Kind(StrEnum):
    """What a note is about."""

    PLAN = "plan"
    ALERT = "alert"  # the truth: it fires, or it does not
    DELIVERY = "delivery"  # Alertmanager posts
    KNOCK = "knock"  # it was refused at the door; or somebody tried who has no token
    ACK = "ack"  # it got its 2xx
    NACK = "nack"  # it got anything else
    DECISION = "decision"  # a row of the log
    DISPATCH = "dispatch"  # a row of a dispatch's history
    POST = "post"  # a target was asked for a run
    ANSWER = "answer"  # what the target's client was told
    CREDENTIAL = "credential"  # an address is asked with one for the first time
    RUN = "run"  # the truth: it begins, or it ends
    ACT = "act"  # an operator's
    ASKED = "asked"  # a source answers, or does not
    BELIEVED = "believed"  # its answer is stored
    MENDED = "mended"  # moments that a clock that was ahead had written
    TOLD = "told"  # a subscriber was
    RELOAD = "reload"
    CHANGED = "changed"  # the configuration that was loaded last, for all replicas
    CLOCK = "clock"
    UP = "up"
    DOWN = "down"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened.

    Attributes:
        at: True seconds since the history began.
        wall: What the deciding clock said.
        who: A replica, an Alertmanager, a target.
        data: For the checker.

    """

    at: float
    wall: datetime
    who: str
    kind: Kind
    text: str
    data: Any = None


class WallClock:
    """A clock that can be set; it runs as fast as the truth."""

    def __init__(self, hub: Hub, ahead: timedelta = timedelta(0)) -> None:
        self._hub = hub
        self.ahead = ahead

    def now(self) -> datetime:
        return self.at(self._hub.now)

    def at(self, moment: float) -> datetime:
        """What it would show at a true moment, if nobody sets it."""
        return NOON + timedelta(seconds=moment) + self.ahead

    def true(self, wall: datetime) -> float:
        """The opposite of `at`."""
        return (wall - NOON - self.ahead).total_seconds()


class ProcessClock:
    """What a process asks: its machine's wall clock, and the time since it began."""

    def __init__(self, hub: Hub, wall: WallClock) -> None:
        self._hub = hub
        self._wall = wall
        self._born = hub.now

    def now(self) -> datetime:
        return self._wall.now()

    def elapsed(self) -> timedelta:
        return timedelta(seconds=self._hub.now - self._born)


class World:
    """One history's time, chances and notes.

    Attributes:
        wall: The clock by which is decided: the only replica's, or the database's.
        healing: Faults have stopped.
        steps: How many steps at which a process may die were made.

    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.hub = Hub()
        self.random = seeded(f"history/{plan.seed}")
        self.wall = WallClock(self.hub)
        self.notes: list[Note] = []
        self.healing = False
        self.steps = 0
        self.cure: Callable[[], None] = lambda: None

    def note(self, who: str, kind: Kind, text: str, data: Any = None) -> None:
        """Write down what happens now."""
        self.notes.append(Note(self.hub.now, self.wall.now(), who, kind, text, data))

    def strikes(self, chance: float) -> bool:
        """Whether a fault of this chance strikes now."""
        return chance > 0 and not self.healing and self.random.random() < chance

    def between(self, least: float, most: float) -> float:
        """Draw a number of seconds."""
        return self.random.uniform(least, most)

    def moment(self, at: float) -> datetime:
        """The true time, as Prometheus and Alertmanager know it, to the millisecond."""
        return NOON + timedelta(seconds=round(at, 3))
