"""Reads an alert's annotations for people: threshold, runbook and dashboard links."""

import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from receiver.alertmanager import raw_alerts
from receiver.core.expressions import Comparison, comparison_of
from receiver.core.models import FiringAlert
from receiver.store.views.view import View
from receiver.web.page.labels import web_link

MOST_BYTES = 4 * 1024**2
"""Of notifications, read for one page: some thousand alerts of a usual size."""

LONGEST_ALERT = 64 * 1024
MOST_BODIES = 50
LONGEST_SUMMARY = 2000
MOST_KNOWN = 5000
"""The page is quick rather than complete: thresholds in huge notifications are not looked for."""

ANNOTATION, EXPRESSION = "the annotation `threshold`", "the rule's expression"


@dataclass(frozen=True, slots=True)
class Told:
    """What one alert said in passing; all of it strangers' text.

    Attributes:
        comparison: What its rule measures and compares, against the threshold that counts.
        threshold_from: Where the threshold stood.

    """

    threshold: float | None = None
    threshold_from: str = ""
    comparison: Comparison | None = None
    summary: str = ""
    source: str | None = None
    runbook: str | None = None


NOTHING = Told()


class Hearsay:
    """Remembers what stored alerts told: a notification never changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Told] = {}
        # Splitting takes several times a body's bytes: one page at a time, and the next finds it.
        self._reading = threading.Lock()

    def of(self, view: View, alerts: Sequence[FiringAlert]) -> dict[str, Told]:
        """What each of these alerts told, by fingerprint."""
        return self.at(
            view,
            {alert.fingerprint: (alert.seen_in or "", alert.position or 0) for alert in alerts},
        )

    def at(self, view: View, places: Mapping[str, tuple[str, int]]) -> dict[str, Told]:
        """What is told at these places: a notification, and an alert's position in it."""
        with self._reading:
            self._read(view, set(places.values()))
            return {name: self._known.get(place, NOTHING) for name, place in places.items()}

    def _read(self, view: View, places: AbstractSet[tuple[str, int]]) -> None:
        """Get to know what is not known yet; each notification is split once."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        wanted: dict[str, set[int]] = {}
        for seen_in, position in places - self._known.keys():
            wanted.setdefault(seen_in, set()).add(position)
        bodies = view.decisions.small_bodies(sorted(wanted)[:MOST_BODIES], MOST_BYTES)
        for seen_in, body in bodies.items():
            alerts = raw_alerts(body, wanted[seen_in], LONGEST_ALERT)
            for position in wanted[seen_in]:
                alert = alerts.get(position)
                told = read(alert) if isinstance(alert, dict) else NOTHING
                self._known[seen_in, position] = told


def read(alert: Mapping[str, Any]) -> Told:
    """The same of an alert as it came."""
    annotations = alert.get("annotations")
    said = annotations if isinstance(annotations, dict) else {}
    source = web_link(alert.get("generatorURL"))
    comparison, threshold = _compared(source), _number(said.get("threshold"))
    told_from = ANNOTATION
    if threshold is None and comparison is not None:
        threshold, told_from = comparison.threshold, EXPRESSION
    if comparison is not None and threshold is not None:
        comparison = replace(comparison, threshold=threshold)
    return Told(
        threshold=threshold,
        threshold_from="" if threshold is None else told_from,
        comparison=comparison,
        summary=str(said.get("summary") or "")[:LONGEST_SUMMARY],
        source=source,
        runbook=web_link(said.get("runbook_url")),
    )


def _compared(url: str | None) -> Comparison | None:
    """What the rule's expression compares, which Prometheus puts into its link."""
    if url is None:
        return None
    try:
        query = parse_qs(urlsplit(url).query, max_num_fields=50)
    except ValueError:
        return None
    return comparison_of(query.get("g0.expr", [""])[0])


def _number(value: object) -> float | None:
    try:
        found = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and abs(found) < float("inf") else None
