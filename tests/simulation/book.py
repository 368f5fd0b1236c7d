"""Reads what was committed right after each commit, as somebody at the API could."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from receiver.core.windows import Window
from receiver.store.column_types import from_micros
from tests.fakes import NOON
from tests.simulation.stores import DECISIONS, DUE, EDGES, MENDED, SHUT, WAITING, Stores
from tests.simulation.world import Kind, World

COUNTED = """
SELECT (SELECT count(*) FROM decisions) AS decisions,
       (SELECT count(*) FROM transitions) AS transitions,
       (SELECT hash FROM configs ORDER BY loaded_at DESC LIMIT 1) AS config"""
"""Most transactions change none of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """When a timer looked last, by the deciding clock, and how much was committed by then."""

    at: datetime
    commits: int


class Book:
    """The log and the dispatches' histories, in the order of their commits.

    Attributes:
        on_change: Called when something was committed.
        commits: How many decided something or moved a dispatch.
        newest: The latest moment of a decision.

    """

    def __init__(self, world: World, stores: Stores) -> None:
        self._world = world
        self._stores = stores
        self._newest = 0
        self._moves: set[tuple[str, int]] = set()
        self._seen: set[int] = set()
        self._counted = (0, 0)
        self._forgets = False
        self._config: str | None = None
        self._due: dict[str, datetime] | None = None
        self._edges: list[datetime] | None = None
        self._shut = False
        self._openings: dict[Window, tuple[datetime, datetime]] = {}
        self.commits = 0
        self.newest = NOON
        self.on_change: Callable[[], None] = lambda: None

    def read(self) -> None:
        """Note what is new."""
        (counted,) = self._stores.rows(COUNTED)
        before, known = len(self._seen) + len(self._moves), self._counted
        self._counted = (counted["decisions"], counted["transitions"])
        self._forgets |= any(now < then for now, then in zip(self._counted, known, strict=True))
        if counted["decisions"] != known[0]:
            for row in self._new_decisions(counted["decisions"]):
                self._world.note("receiver", Kind.DECISION, told_decision(row), row)
                self.newest = max(self.newest, row["decided_at"])
        if counted["transitions"] != known[1]:
            # Where rows were deleted, the number of the last one tells nothing.
            last = 0 if self._forgets else len(self._moves)
            for row in self._stores.rows(self._stores.transitions.format(last=last)):
                key = (row["dispatch_id"], row["number"])
                if key not in self._moves:
                    self._moves.add(key)
                    self._world.note("receiver", Kind.DISPATCH, told_transition(row), row)
        if counted["config"] != self._config:
            after, before = counted["config"], self._config
            said = f"{after} takes the place of {before}"
            self._world.note("receiver", Kind.CHANGED, said, (before, after))
            self._config = after
        running = self._world.hub.running
        if running is not None and running.name.endswith(" clock"):
            rows = {what: self._stores.rows(query) for what, query in MENDED.items()}
            self._world.note(running.name, Kind.MENDED, "moments are mended", rows)
        self._due = self._edges = None
        self.commits += len(self._seen) + len(self._moves) != before
        self.on_change()

    def due(self) -> Mapping[str, datetime]:
        """When each lane has something to do, by the deciding clock."""
        if self._due is None:
            found: dict[str, datetime] = {}
            for row in self._stores.rows(DUE):
                if row["due"] is not None:
                    found[row["lane"]] = min(found.get(row["lane"], row["due"]), row["due"])
            self._due = found
        return self._due

    def next_look(self, seen: "Seen") -> datetime | None:
        """When a timer that has looked then may find the end of a hold that is not stored.

        That is room in a budget, the calm after a storm, or hours that a clock shows which was set
        back. The real timer looks every second; here it looks whenever something was committed,
        and when a span of time is over or hours begin.
        """
        edges = self._edges_now()
        if edges and seen.commits != self.commits:
            return self._world.wall.now()
        shut = [one.window for one in self._world.plan.rungs if one.window] if self._shut else []
        edges = [*edges, *(self._opens_at(window, seen.at) for window in shut)]
        return min((edge for edge in edges if edge > seen.at), default=None)

    def _opens_at(self, window: Window, at: datetime) -> datetime:
        """What was the next opening for an earlier moment still is, until then."""
        asked_at, opening = self._openings.get(window, (at, at))
        if not asked_at <= at < opening:
            opening = window.opens_at(at)
            self._openings[window] = (at, opening)
        return opening

    def _edges_now(self) -> list[datetime]:
        if self._edges is None:
            self._edges = []
            self._shut = bool(self._stores.rows(SHUT))
            if self._shut or self._stores.rows(WAITING):
                rungs = self._world.plan.rungs
                spans = {limit.span for one in rungs for limit in one.limits if limit.span}
                calms = {one.storm.calm for one in rungs if one.storm}
                for row in self._stores.rows(EDGES):
                    lengths = spans if row["what"] == "ordered" else calms
                    self._edges += [from_micros(row["since"]) + length for length in lengths]
                self._edges.append(self._world.wall.now())
        return self._edges

    def _new_decisions(self, counted: int) -> list[Mapping[str, Any]]:
        """Each row once, even if another replica's clock gave it a smaller id than the last."""
        new = self._stores.rows(DECISIONS.format(last=self._newest))
        if self._forgets or counted != len(self._seen) + len(new):
            new = [
                row
                for row in self._stores.rows(DECISIONS.format(last=0))
                if row["id"] not in self._seen
            ]
        self._seen.update(row["id"] for row in new)
        self._newest = max((self._newest, *(row["id"] for row in new)))
        return new


def told_decision(row: Mapping[str, Any]) -> str:
    """A decision in one line."""
    subject = f"{row['fingerprint'] or row['model'] or ''} {row['status'] or ''}".strip()
    return f"{row['source']}: {subject}: {row['reason']} ({row['detail']})"


def told_transition(row: Mapping[str, Any]) -> str:
    """A dispatch's new state in one line."""
    return f"{row['dispatch_id']} of {row['model']}: {row['state']} ({row['detail']})"
