"""Ids of decisions: primary key, time range and cursor of the log in one number."""

import threading
from datetime import datetime

from receiver.store.column_types import to_micros

REPLICAS = 16
"""Every replica takes each 16th number only, so that no two can take the same one.

More would let a large commit run ahead of the clock: PostgreSQL takes longer than 16 microseconds
to write a decision, so whoever waited for a model's lock finds that the clock has passed all ids
that were taken under it. Fewer would come round too soon: who starts gets the next of 16 numbers.
"""


class DecisionIds:
    """Numbers that are the time in microseconds, and grow even if the clock goes back.

    They stay below 2^53 until the year 2255.
    """

    def __init__(self) -> None:
        self._last = 0
        self._step, self._number = 1, 0
        self._lock = threading.Lock()

    def start_after(self, last: int) -> None:
        """Continue behind what the log holds."""
        with self._lock:
            self._last = max(self._last, last)

    def share(self, number: int) -> None:
        """Take only the numbers of this replica from now on: others write beside it."""
        with self._lock:
            self._step, self._number = REPLICAS, number % REPLICAS

    def take(self, now: datetime) -> int:
        """The next number, never behind the time."""
        with self._lock:
            least = max(self._last + 1, to_micros(now))
            self._last = least + (self._number - least) % self._step
            return self._last
