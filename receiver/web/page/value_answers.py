"""Asks Prometheus for a page: soon, seldom and a few at once, or says why not."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from receiver.core.ports import Clock, ValueSource
from receiver.core.sources import SourceDown
from receiver.web.page.chart import Range
from receiver.web.page.sparkline import Point

PATIENCE = timedelta(seconds=2)
"""For all that one page asks."""

LEAST = timedelta(milliseconds=100)
"""With less time left nothing is asked any more."""

FRESH = timedelta(seconds=20)
"""So long an answer is good, also one that did not come: a live page asks no more often."""

AT_ONCE = 2
"""Pages that may wait for Prometheus together; each holds a thread that others need as well."""

MOST_KEPT = 100
"""Answers; each is a few hundred numbers."""


UNSET = "Between deliveries nobody knows: sources.prometheus is not set."


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus said; or why there is nothing, as a sentence."""

    points: Sequence[Point] = ()
    why: str = ""
    asked: bool = False


class ValueAnswers:
    """Answers of the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._kept: dict[tuple[ValueSource, str, str], tuple[timedelta, Answer]] = {}

    def asking(self, source: ValueSource | None, wanted: Range, now: datetime) -> "Asking":
        """What one page asks."""
        return Asking(self, source, wanted, now, self._clock.elapsed() + PATIENCE)

    def ask(
        self, source: ValueSource, expression: str, wanted: Range, now: datetime, until: timedelta
    ) -> Answer:
        """The answer of a moment ago, or a new one."""
        key = (source, expression, wanted.name)
        known = self._kept.get(key)
        if known is not None and self._clock.elapsed() - known[0] < FRESH:
            return known[1]
        left = until - self._clock.elapsed()
        if left < LEAST or not self._turns.acquire(blocking=False):
            return Answer(why="Prometheus was not asked: others wait for it. Look again soon.")
        try:
            answer = _asked(source, expression, wanted, now, left)
        finally:
            self._turns.release()
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (self._clock.elapsed(), answer)
        return answer


@dataclass(frozen=True, slots=True)
class Asking:
    """One page's questions, which share its patience."""

    answers: ValueAnswers
    source: ValueSource | None
    wanted: Range
    now: datetime
    until: timedelta

    def of(self, expression: str) -> Answer:
        """What an expression was over the range."""
        if self.source is None:
            return Answer(why=UNSET)
        return self.answers.ask(self.source, expression, self.wanted, self.now, self.until)


def _asked(
    source: ValueSource, expression: str, wanted: Range, now: datetime, left: timedelta
) -> Answer:
    try:
        found = source.values(
            expression, now - wanted.span, now, wanted.slot, seconds=left.total_seconds()
        )
    except SourceDown as problem:
        return Answer(why=f"Prometheus did not say what was between deliveries: {problem}.")
    if not found:
        return Answer(
            why="Prometheus has no values with the labels that name this model.", asked=True
        )
    return Answer([Point(at, value) for at, value in found], asked=True)
