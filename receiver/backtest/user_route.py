"""Reads how the user's Alertmanager groups and repeats from its own configuration."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from receiver.backtest.alertmanager import Route
from receiver.backtest.histories import BadHistory, History
from receiver.lint.alertmanager_files import AlertmanagerFile, ends_as_ours, read_alertmanager
from receiver.lint.documents import Path_, Unreadable, read_file
from receiver.lint.label_sets import LabelSet
from receiver.lint.routing import arrivals

EVERY_LABEL = "..."
"""Alertmanager's `group_by: ['...']`: each alert alone."""


def route_in(path: Path, history: History) -> tuple[Route, tuple[str, ...]]:
    """The route by which most of a history's alerts come to us, and what else is to be known.

    Raises `BadHistory`.
    """
    try:
        found = read_alertmanager(read_file(path))
    except Unreadable as error:
        raise BadHistory(f"{path}: {error}") from None
    if found is None:
        raise BadHistory(f"{path} has no `route`; give Alertmanager's own configuration")
    ours = frozenset(one.receiver for one in found.webhooks if ends_as_ours(one))
    if not ours:
        raise BadHistory(
            f"{path}: none of its receivers posts to us; a `webhook_configs` with a `url` that "
            "ends in /webhook does"
        )
    counts, lost, known = _taken(found, history, ours)
    if not counts:
        raise BadHistory(f"{path}: none of the alerts comes to us by its routes; see `lint`")
    notes = []
    if lost:
        notes.append(f"{lost} alerts don't come to us by the routes of {path.name}; see `lint`")
    if len(counts) > 1:
        notes.append(
            f"alerts come to us by {len(counts)} routes of {path.name}: all are played as by that "
            "of most of them"
        )
    most = known[counts.most_common(1)[0][0]]
    return _spelled_out(most, history), tuple(notes)


def _taken(
    found: AlertmanagerFile, history: History, ours: frozenset[str]
) -> tuple[Counter[Path_], int, dict[Path_, Route]]:
    """How many alerts each route takes, how many none takes, and the routes."""
    counts: Counter[Path_] = Counter()
    known: dict[Path_, Route] = {}
    lost = 0
    for alert in history.alerts:
        labels = LabelSet({name: frozenset({text}) for name, text in alert.labels.items()})
        taken = [one.route for one in arrivals(found.route, labels, ours=ours)]
        lost += not taken
        for one in taken:
            counts[one.path] += 1
            known[one.path] = Route(
                one.group_wait, one.group_interval, one.repeat_interval, one.group_by
            )
    return counts, lost, known


def _spelled_out(route: Route, history: History) -> Route:
    """`...` as the labels that it stands for."""
    if route.group_by is None or EVERY_LABEL not in route.group_by:
        return route
    names = sorted({name for alert in history.alerts for name in alert.labels})
    return replace(route, group_by=tuple(names))
