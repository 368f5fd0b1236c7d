"""Asks Prometheus which of its own alerts fire, and what an expression was over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from receiver.core.sources import Listed, Listing, SourceDown
from receiver.core.times import parse_time
from receiver.sources.fetching import Fetch, Upstream
from receiver.sources.reading import NotAnArray, read_object

LARGEST_RANGE = 512 * 1024
"""Some forty series of 360 steps; of one model there is mostly one."""


@dataclass(frozen=True, slots=True)
class PrometheusSource:
    """One Prometheus."""

    fetch: Fetch

    def ask(self) -> Listing:
        """What fires by its own rules. Raises `SourceDown`."""
        try:
            data = read_object(self.fetch("/api/v1/alerts"))["data"]
            return Listing([_listed(one) for one in data["alerts"] if one["state"] == "firing"])
        except (NotAnArray, AttributeError, KeyError, TypeError, ValueError):
            raise SourceDown(
                "the answer is not Prometheus'; write the address under which /api/v1/alerts "
                "answers, without a log-in page before it"
            ) from None


def _listed(alert: dict[str, Any]) -> Listed:
    labels = {str(name): str(value) for name, value in alert["labels"].items()}
    value = float(alert["value"]) if "value" in alert else None
    return Listed("", labels, parse_time(alert["activeAt"]), value=value)


@dataclass(frozen=True, slots=True)
class PrometheusValues:
    """What one Prometheus has stored of an expression."""

    upstream: Upstream

    def values(
        self, expression: str, begin: datetime, end: datetime, step: timedelta, *, seconds: float
    ) -> Sequence[tuple[datetime, float]]:
        """Its numbers at each step. Raises `SourceDown`."""
        query = {
            "query": expression,
            "start": f"{begin.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{step.total_seconds():g}",
            "timeout": f"{seconds * 1000:.0f}ms",  # it, too, gives up then
        }
        path = f"/api/v1/query_range?{urlencode(query)}"
        body = self.upstream.within(path, seconds=seconds, largest=LARGEST_RANGE)
        try:
            found = [_numbers(one["values"]) for one in read_object(body)["data"]["result"]]
        except (NotAnArray, LookupError, TypeError, ValueError, OverflowError):
            raise SourceDown(
                "the answer is not Prometheus'; write the address under which "
                "/api/v1/query_range answers, without a log-in page before it"
            ) from None
        return max(found, key=len, default=())


def _numbers(values: Sequence[Sequence[Any]]) -> Sequence[tuple[datetime, float]]:
    points = ((datetime.fromtimestamp(float(at), UTC), float(value)) for at, value in values)
    return [(at, value) for at, value in points if math.isfinite(value)]
