"""Virtual time: things happen in the order of their moments, one at a time."""

import heapq
import threading
from collections.abc import Callable
from itertools import count

from tests.fakes import Killed


class Thread:
    """A real thread that only ever works while everybody else waits for it."""

    def __init__(self) -> None:
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self.work: Callable[[], None] | None = None
        threading.Thread(target=self._run, name="simulated", daemon=True).start()

    def turn(self) -> None:
        """Give it the turn, and wait until it gives it back."""
        self._go.release()
        self._back.acquire()

    def give_back(self) -> None:
        """Called by the thread itself: wait for its next turn."""
        self._back.release()
        self._go.acquire()

    def _run(self) -> None:
        self._go.acquire()
        while True:
            if self.work is not None:
                self.work()
            self.work = None
            self.give_back()


IDLE: list[Thread] = []
"""Threads that wait for work: starting one costs more than a whole turn."""


class Task:
    """A piece of a process's work that can be interrupted wherever it calls `pause`."""

    def __init__(self, hub: "Hub", name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.over = False
        self._hub = hub
        self._work = work
        self._doomed = False
        self._thread = IDLE.pop() if IDLE else Thread()
        self._thread.work = self._run

    def turn(self) -> None:
        """Go on until the next pause or the end. An unforeseen error is raised here."""
        if self.over:
            return
        before, self._hub.running = self._hub.running, self
        self._thread.turn()
        self._hub.running = before
        if self.over:
            IDLE.append(self._thread)
        if self._hub.broken is not None:
            raise self._hub.broken

    def pause(self, seconds: float) -> None:
        """Let others work meanwhile. Raises `Killed` if the process died."""
        self._hub.at(self._hub.now + seconds, self.turn)
        self._thread.give_back()
        if self._doomed:
            raise Killed

    def kill(self) -> None:
        """It never goes on: `Killed` is raised where it waits."""
        self._doomed = True
        if self is not self._hub.running:
            self.turn()

    def _run(self) -> None:
        try:
            if not self._doomed:
                self._work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  raised anew where the turn was given
            self._hub.broken = error
        self.over = True


class Hub:
    """What will happen, by its moment: seconds since the history began."""

    def __init__(self) -> None:
        self.now = 0.0
        self.running: Task | None = None
        self.broken: BaseException | None = None
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, moment: float, what: Callable[[], None]) -> None:
        """Let something happen then, or now if that is past."""
        entry = (max(moment, self.now), next(self._numbers), what)
        heapq.heappush(self._coming, entry)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen so much later."""
        self.at(self.now + seconds, what)

    def run(self, until: float) -> None:
        """Let everything happen up to that moment."""
        while self._coming and self._coming[0][0] <= until:
            self.now, _, what = heapq.heappop(self._coming)
            what()
        self.now = until

    def pause(self, seconds: float) -> None:
        """Called by a task: it goes on later. Nothing waits if none runs."""
        if self.running is not None:
            self.running.pause(seconds)
