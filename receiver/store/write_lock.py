"""The lock of those who write to SQLite: one at a time, in the order in which they came."""

import threading
from collections import deque


class WriteLock:
    """A lock that is handed over: who gives it back and wants it again waits behind the others.

    A plain lock may be taken again before the thread that waits for it has woken up, and a timer
    with much to do would keep the webhook waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def take(self, within: float) -> bool:
        """Wait for our turn, but no longer than so many seconds. Whether it came."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(within):
            return True
        with self._lock:
            if turn.is_set():  # it came at the last moment
                return True
            self._waiting.remove(turn)
            return False

    def give(self) -> None:
        """Let the next one have it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
