"""Asks Prometheus for a history in parts, so that no answer is large; tells how far it is.

While one part is read, Prometheus works on the next. `ALERTS_FOR_STATE`, which is as long as
`ALERTS`, is asked only where a gap may be a restart.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from receiver.backtest.histories import BadHistory, History
from receiver.backtest.samples import Samples

STEPS_AT_ONCE = 1440
"""Of one question: six hours of 15 seconds; 200 alerts that all fire are 7 MB."""

MOST_STEPS = 5_000_000
"""Two years of 15 seconds: more is a slip of the pen."""

Ask: TypeAlias = Callable[[str, Mapping[str, str]], Any]
"""The `data` of an answer of Prometheus' API."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told after each part: how many are read, of how many."""

Keep: TypeAlias = Callable[[History], None]
"""Told what was read if no more can be."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question, in seconds."""

    query: str
    begin: float
    end: float


class Reading:
    """One history while it is asked for."""

    def __init__(self, ask: Ask, progress: Progress, width: float) -> None:
        self._ask = ask
        self._progress = progress
        self._width = width
        self._done = 0
        self.samples = Samples(width)
        self.reached: float | None = None

    def firing(self, parts: Sequence[Part]) -> None:
        """Read when alerts fired."""
        for part, answer in self._answers(parts, 0):
            for series in answer:
                moments = [float(at) for at, _ in series["values"]]
                self.samples.add(series["metric"], moments)
            self.reached = part.end

    def active(self, parts: Sequence[Part]) -> None:
        """Read since when they were active, where that is in doubt."""
        for _, answer in self._answers(parts, self._done):
            for series in answer:
                self.samples.add_active(series["metric"], series["values"])

    def _answers(self, parts: Sequence[Part], before: int) -> Iterator[tuple[Part, Any]]:
        """Each part with its series; the next one is asked for meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            asked = [pool.submit(self._series, part) for part in parts[:1]]
            for number, part in enumerate(parts):
                answer = asked.pop().result()
                asked += [pool.submit(self._series, one) for one in parts[number + 1 : number + 2]]
                yield part, answer
                self._done = before + number + 1
                self._progress(self._done, before + len(parts))

    def _series(self, part: Part) -> Any:
        query = {
            "query": part.query,
            "start": f"{part.begin:.3f}",
            "end": f"{part.end:.3f}",
            "step": f"{self._width:g}",
        }
        return self._ask("/api/v1/query_range", query)["result"]


def ask_history(
    ask: Ask,
    *,
    since: datetime,
    until: datetime,
    step: timedelta,
    matching: str = "",
    progress: Progress = lambda _done, _all: None,
    keep: Keep = lambda _history: None,
) -> History:
    """The history of all alerts, or of those whose labels match. Raises `BadHistory`."""
    width = step.total_seconds()
    first = since.timestamp() // width * width
    steps = int((until.timestamp() - first) / width)
    if steps < 1:
        raise BadHistory("the range is empty: --until must be later than --since")
    if steps > MOST_STEPS:
        raise BadHistory(f"{steps:,} steps are too many: give a longer --step, or a shorter range")
    reading, chosen = Reading(ask, progress, width), f",{matching}" if matching else ""
    parts = list(_parts(f'ALERTS{{alertstate="firing"{chosen}}}', first, steps, width))
    try:
        reading.firing(parts)
        doubts = reading.samples.doubts()
        reading.active(list(_doubted(f"ALERTS_FOR_STATE{{{matching}}}", doubts, parts)))
    except (LookupError, TypeError, ValueError):
        raise BadHistory(
            "the answer is not Prometheus'; give the address under which /api/v1/query_range "
            "answers, not Grafana's"
        ) from None
    except BaseException:  # it is gone, or somebody has no more patience
        if reading.reached is not None and reading.samples.has_any:
            keep(reading.samples.history(first, reading.reached))
        raise
    return reading.samples.history(first, first + steps * width)


def _parts(query: str, first: float, steps: int, width: float) -> Iterator[Part]:
    for begin in range(0, steps + 1, STEPS_AT_ONCE):
        last = min(begin + STEPS_AT_ONCE - 1, steps)
        yield Part(query, first + begin * width, first + last * width)


def _doubted(query: str, doubts: Iterable[float], parts: Sequence[Part]) -> Iterator[Part]:
    """The same parts, as far as there are moments in doubt."""
    waiting = sorted(doubts)
    for part in parts:
        within = [one for one in waiting if part.begin <= one <= part.end]
        if within:
            yield Part(query, within[0], within[-1])
