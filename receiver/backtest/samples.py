"""Samples: series of `ALERTS` become firings, chunk by chunk; the samples are let go."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from receiver.backtest.histories import SERIES_LABELS, Firing, History, history_of
from receiver.core.durations import show_duration

Labels = tuple[tuple[str, str], ...]

NEXT = 1.5
"""Steps between two samples from which on something is missing between them."""

RESTART = 3600.0
"""Seconds: a longer gap is no restart of Prometheus."""


@dataclass(slots=True)
class Span:
    """Seconds from the first to the last sample of one firing."""

    first: float
    last: float


@dataclass(slots=True)
class Series:
    """One series of `ALERTS`: its spans, and since when it was active by `ALERTS_FOR_STATE`."""

    spans: list[Span] = field(default_factory=list)
    active: list[tuple[float, Span]] = field(default_factory=list)


class Samples:
    """Gathers firings from samples that are `step` seconds apart."""

    def __init__(self, step: float) -> None:
        self._step = step
        self._series: dict[Labels, Series] = {}

    def add(self, labels: Mapping[str, str], moments: Sequence[float]) -> None:
        """Take the moments at which a series of `ALERTS` had a sample, in order."""
        spans = self._of(labels).spans
        for first, last in stretches(moments, self._step):
            _extend(spans, first, last, self._step)

    def add_active(self, labels: Mapping[str, str], values: Sequence[Sequence[Any]]) -> None:
        """Take samples of `ALERTS_FOR_STATE`: each says since when the alert is active."""
        known = self._of(labels).active
        for value, first, last in constants(values):
            if known and known[-1][0] == value:
                known[-1][1].last = last
            else:
                known.append((value, Span(first, last)))

    @property
    def has_any(self) -> bool:
        """Whether anything fired so far."""
        return any(series.spans for series in self._series.values())

    def doubts(self) -> set[float]:
        """Moments at which `ALERTS_FOR_STATE` tells whether a gap is an end or a restart."""
        return {
            moment
            for series in self._series.values()
            for before, after in pairwise(series.spans)
            if after.first - before.last < RESTART
            for moment in (before.last, after.first)
        }

    def history(self, since: float, until: float) -> History:
        """What fired from the first to the last moment that was asked for."""
        restarts: list[float] = []
        found = [
            (dict(labels), self._firings(series, until, restarts))
            for labels, series in self._series.items()
            if series.spans
        ]
        notes = []
        if restarts:
            longest = show_duration(timedelta(seconds=max(restarts)))
            notes.append(
                f"{len(restarts)} gaps of up to {longest} in which the same firing goes on "
                "(ALERTS_FOR_STATE is the same before and after): Prometheus was restarted"
            )
        step = show_duration(timedelta(seconds=self._step))
        notes.append(f"read every {step}: each beginning and end is up to {step} off")
        return history_of(moment(since), moment(until), found, notes)

    def _of(self, labels: Mapping[str, str]) -> Series:
        own = tuple(sorted((n, v) for n, v in labels.items() if n not in SERIES_LABELS))
        return self._series.setdefault(own, Series())

    def _firings(self, series: Series, until: float, restarts: list[float]) -> list[Firing]:
        spans = [series.spans[0]]
        for before, after in pairwise(series.spans):
            gap = after.first - before.last
            active = _active_at(series, before.last)
            if gap < RESTART and active is not None and active == _active_at(series, after.first):
                spans[-1] = Span(spans[-1].first, after.last)
                restarts.append(gap)
            else:
                spans.append(after)
        return [Firing(moment(one.first), self._end(one.last, until)) for one in spans]

    def _end(self, last: float, until: float) -> datetime | None:
        """The first moment without a sample; None if the history ends before it."""
        return None if last + self._step > until else moment(last + self._step)


def _extend(spans: list[Span], first: float, last: float, step: float) -> None:
    if spans and first - spans[-1].last <= NEXT * step:
        spans[-1].last = max(last, spans[-1].last)
    else:
        spans.append(Span(first, last))


def _active_at(series: Series, at: float) -> float | None:
    return next((value for value, span in series.active if span.first <= at <= span.last), None)


def stretches(moments: Sequence[float], step: float) -> Iterator[tuple[float, float]]:
    """First and last moment of each stretch without a gap.

    Moments are at least a step apart, so as many as fit between two of them leave no gap: a month
    of samples is looked at a few times, not one by one.
    """
    waiting = [(0, len(moments) - 1)] if moments else []
    while waiting:
        first, last = waiting.pop()
        whole = moments[last] - moments[first] <= (last - first) * step * 1.000001
        if whole or (last - first == 1 and moments[last] - moments[first] <= NEXT * step):
            yield moments[first], moments[last]
        elif last - first == 1:
            yield moments[first], moments[first]
            yield moments[last], moments[last]
        else:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]


def constants(values: Sequence[Sequence[Any]]) -> Iterator[tuple[float, float, float]]:
    """Each value with its first and last moment, of values that never come back.

    If two samples have the same, so has all between them.
    """
    waiting = [(0, len(values) - 1)] if values else []
    while waiting:
        first, last = waiting.pop()
        if values[first][1] == values[last][1]:
            yield float(values[first][1]), float(values[first][0]), float(values[last][0])
        elif last - first == 1:
            waiting += [(last, last), (first, first)]
        else:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]


def usual_step(series: Iterable[Sequence[float]]) -> float:
    """How far apart samples usually are: the middle of the smallest distances."""
    least = sorted(
        min(after - before for before, after in pairwise(moments))
        for moments in series
        if len(moments) > 1
    )
    return least[len(least) // 2] if least else 60.0


def moment(seconds: float) -> datetime:
    """A moment that Prometheus tells in seconds."""
    return datetime.fromtimestamp(seconds, UTC)
