"""Asks Prometheus for a history in parts, so that no answer is large; tells how far it is."""

from collections.abc import Callable, Mapping
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


def ask_history(
    ask: Ask,
    *,
    since: datetime,
    until: datetime,
    step: timedelta,
    matching: str = "",
    progress: Progress = lambda _done, _all: None,
) -> History:
    """The history of all alerts, or of those whose labels match. Raises `BadHistory`."""
    width = step.total_seconds()
    first = since.timestamp() // width * width
    steps = int((until.timestamp() - first) / width)
    if steps < 1:
        raise BadHistory("the range is empty: --until must be later than --since")
    if steps > MOST_STEPS:
        raise BadHistory(f"{steps:,} steps are too many: give a longer --step, or a shorter range")
    samples, parts = Samples(width), -(-(steps + 1) // STEPS_AT_ONCE)
    for part in range(parts):
        begin = first + part * STEPS_AT_ONCE * width
        end = min(begin + (STEPS_AT_ONCE - 1) * width, first + steps * width)
        _read_part(ask, samples, matching, (begin, end, width))
        progress(part + 1, parts)
    return samples.history(first, first + steps * width)


def _read_part(
    ask: Ask, samples: Samples, matching: str, part: tuple[float, float, float]
) -> None:
    begin, end, width = part
    chosen = f",{matching}" if matching else ""
    firing = f'ALERTS{{alertstate="firing"{chosen}}}'
    active = f"ALERTS_FOR_STATE{{{matching}}}"
    for query, take in ((firing, _fired), (active, _active)):
        data = ask(
            "/api/v1/query_range",
            {"query": query, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{width:g}"},
        )
        try:
            for series in data["result"]:
                take(samples, series)
        except (LookupError, TypeError, ValueError):
            raise BadHistory(
                "the answer is not Prometheus'; give the address under which /api/v1/query_range "
                "answers, not Grafana's"
            ) from None


def _fired(samples: Samples, series: Mapping[str, Any]) -> None:
    samples.add(series["metric"], [float(at) for at, _ in series["values"]])


def _active(samples: Samples, series: Mapping[str, Any]) -> None:
    samples.add_active(series["metric"], series["values"])
