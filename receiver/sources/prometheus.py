"""Asks Prometheus which of its own alerts fire: whether one that Alertmanager lost is over."""

from dataclasses import dataclass
from typing import Any

from receiver.core.sources import Listed, Listing, SourceDown
from receiver.core.times import parse_time
from receiver.sources.fetching import Fetch
from receiver.sources.reading import NotAnArray, read_object


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
