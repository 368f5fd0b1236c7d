"""Histories: which alerts fired from when to when, whoever remembered it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from receiver.core.durations import show_duration

CLUSTER_LABELS = frozenset({"cluster", "datacenter", "monitor", "prometheus"})
"""External labels that usually tell servers apart."""

SHOWN = 3

REPLICA_LABELS = frozenset({"prometheus_replica", "__replica__", "thanos_replica"})
"""Told apart by these, two Prometheus servers see one alert; Alertmanager never gets them."""

SERIES_LABELS = frozenset({"__name__", "alertstate"})
"""What a series of `ALERTS` has beside the alert's own labels."""

SHOWN = 3


class BadHistory(ValueError):
    """No history can be told from this; the message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert fires from here to there. `ended` is None if it fired when the history ends."""

    began: datetime
    ended: datetime | None

    def fires_at(self, now: datetime) -> bool:
        """Whether it fires then."""
        return self.began <= now and (self.ended is None or now < self.ended)


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """The firings of one alert (one set of labels), in order and apart from each other."""

    labels: Mapping[str, str]
    firings: tuple[Firing, ...]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that our log remembers: what a model of runs is learned from.

    Attributes:
        helped: Whether its model recovered; None if that can't be told.

    """

    policy: str
    model: str
    ordered_at: datetime
    took: timedelta | None
    helped: bool | None


@dataclass(frozen=True, slots=True)
class History:
    """What fired between two moments.

    Attributes:
        notes: What a reader must know about it: gaps, restarts, replicas.
        runs: Runs that happened meanwhile, if that is known.

    """

    since: datetime
    until: datetime
    alerts: tuple[AlertHistory, ...]
    notes: tuple[str, ...] = ()
    runs: tuple[PastRun, ...] = ()

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.until - self.since


def history_of(
    since: datetime,
    until: datetime,
    found: Iterable[tuple[Mapping[str, str], Sequence[Firing]]],
    notes: Iterable[str] = (),
    runs: Iterable[PastRun] = (),
) -> History:
    """A history from firings in any order: one entry for each set of labels, replicas as one.

    Raises `BadHistory` if nothing fired.
    """
    together: dict[tuple[tuple[str, str], ...], list[Firing]] = {}
    replicas: set[str] = set()
    for labels, firings in found:
        own = {
            name: value
            for name, value in labels.items()
            if name not in SERIES_LABELS and name not in REPLICA_LABELS
        }
        replicas |= {labels[name] for name in REPLICA_LABELS & labels.keys()}
        together.setdefault(tuple(sorted(own.items())), []).extend(firings)
    alerts = tuple(
        AlertHistory(dict(labels), merged(firings)) for labels, firings in sorted(together.items())
    )
    if not any(alert.firings for alert in alerts):
        raise BadHistory(
            f"no alert fired between {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} UTC: "
            "give a longer --since, or look at the rules: `ALERTS` is written by the Prometheus "
            "that evaluates them"
        )
    told = [*notes, *_changed(alerts), *_clusters(alerts)]
    if len(replicas) > 1:
        told.append(
            f"{len(replicas)} replicas of Prometheus are taken as one: an alert fires "
            "while any of them says so"
        )
    return History(since, until, alerts, tuple(told), tuple(runs))


def _clusters(alerts: Iterable[AlertHistory]) -> list[str]:
    """What tells servers apart that are no replicas, where there are several."""
    found: dict[str, set[str]] = {}
    for alert in alerts:
        for name in CLUSTER_LABELS & alert.labels.keys():
            found.setdefault(name, set()).add(alert.labels[name])
    return [
        f"alerts of {len(values)} clusters ({name} is {', '.join(sorted(values)[:SHOWN])}"
        f"{', ...' if len(values) > SHOWN else ''}): what is the same but for that is two alerts, "
        "and one model unless the label names it"
        for name, values in sorted(found.items())
        if len(values) > 1
    ]


def _changed(alerts: Iterable[AlertHistory]) -> list[str]:
    """Alerts whose label names are not the same all the time: whose rule was another one."""
    names: dict[str, dict[tuple[str, ...], datetime]] = {}
    for alert in alerts:
        known = names.setdefault(alert.labels.get("alertname", ""), {})
        shape = tuple(sorted(alert.labels))
        began = min((one.began for one in alert.firings), default=None)
        if began is not None:
            known[shape] = min(known.get(shape, began), began)
    return [
        f"{name} has other labels from {since:%Y-%m-%d %H:%M} UTC on ({', '.join(new)} where it "
        f"had {', '.join(old)}): its rule was changed, or there are two of that name"
        for name, shapes in sorted(names.items())
        for (old, _), (new, since) in pairwise(sorted(shapes.items(), key=lambda one: one[1]))
    ]


def merged(firings: Iterable[Firing]) -> tuple[Firing, ...]:
    """Firings in order; those that overlap or touch are one."""
    result: list[Firing] = []
    for firing in sorted(firings, key=lambda one: one.began):
        last = result[-1] if result else None
        if last is None or (last.ended is not None and firing.began > last.ended):
            result.append(firing)
        elif last.ended is not None:
            ended = None if firing.ended is None else max(last.ended, firing.ended)
            result[-1] = Firing(last.began, ended)
    return tuple(result)


def joined(histories: Sequence[History]) -> History:
    """Several files of one history as one."""
    if len(histories) == 1:
        return histories[0]
    ordered = sorted(histories, key=lambda one: one.since)
    until = max(one.until for one in ordered)
    found = [
        (alert.labels, _within(alert.firings, one.until, until))
        for one in ordered
        for alert in one.alerts
    ]
    notes = [note for one in ordered for note in one.notes]
    for before, after in pairwise(ordered):
        if after.since > before.until:
            gap = show_duration(after.since - before.until)
            notes.append(f"nothing is known for {gap} from {before.until:%Y-%m-%d %H:%M} UTC on")
    runs = [run for one in ordered for run in one.runs]
    return history_of(ordered[0].since, until, found, dict.fromkeys(notes), runs)


def _within(firings: Sequence[Firing], known: datetime, until: datetime) -> list[Firing]:
    """What fired when one file ends is known up to there only."""
    open_ended = known >= until
    return [
        one if one.ended is not None or open_ended else Firing(one.began, known) for one in firings
    ]


def shown_names(names: Iterable[str]) -> str:
    """Some names for a sentence."""
    listed = sorted(set(names))
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
