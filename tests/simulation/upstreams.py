"""Upstreams: what Alertmanagers and Prometheus answer when a process asks which alerts fire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receiver.core.sources import Listed, Listing, SourceDown
from receiver.flows.worker.polling import Asked
from tests.simulation.prometheus import Prometheus
from tests.simulation.world import Kind, World

if TYPE_CHECKING:
    from tests.simulation.alertmanagers import Alertmanager
    from tests.simulation.replicas import Replica


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a source was heard to say.

    Attributes:
        asked_at: When it was asked: true seconds since the history began.
        taken_at: When whoever asked took it, as it has written down, to ask it: a moment before.
          From then on the answer counts.
        alerts: What it lists, by fingerprint.

    """

    source: str
    asked_at: float
    taken_at: float
    up_since: str
    listing: Sequence[Listed]
    alerts: Mapping[str, Listed]


TAKEN = "SELECT asked_at FROM sources WHERE name = '{name}' AND asked_at IS NOT NULL"


class Line:
    """One process's line to a source."""

    def __init__(self, name: str, listing: Callable[[], Listing], replica: "Replica") -> None:
        self._name = name
        self._listing = listing
        self._replica = replica
        self._world = replica.world

    def ask(self) -> Listing:
        """What it lists. Raises `SourceDown`."""
        world, asked_at = self._world, self._world.hub.now
        self._replica.meets("before asking a source")
        if world.strikes(0.1):
            world.hub.pause(world.between(1, 40))
        try:
            listing = self._answer()
        except SourceDown as down:
            world.note(self._name, Kind.ASKED, f"{self._replica.name} is told nothing: {down}")
            raise
        alerts = {one.fingerprint: one for one in listing.alerts}
        answer = Answer(
            self._name,
            asked_at,
            self._taken_at(asked_at),
            listing.up_since,
            listing.alerts,
            alerts,
        )
        quiet = sum(one.quiet is not None for one in listing.alerts)
        said = f"{self._replica.name} is told {len(listing.alerts)} alerts, {quiet} quiet"
        world.note(self._name, Kind.ASKED, said, answer)
        self._replica.heard[self._name] = answer
        if world.strikes(0.1):  # it is long
            world.hub.pause(world.between(1, 40))
        self._replica.meets("after asking a source")
        return listing

    def _taken_at(self, asked_at: float) -> float:
        """When it was taken; long ago if nobody knows, for the clock was set back meanwhile."""
        rows = self._replica.stores.rows(TAKEN.format(name=self._name))
        taken = [self._world.wall.true(row["asked_at"]) for row in rows]
        if any(one > asked_at + 1 for one in taken):
            return float("-inf")
        return min([asked_at, *taken])

    def _answer(self) -> Listing:
        if self._world.strikes(self._world.plan.source_trouble) or self._replica.has_no_token:
            raise SourceDown("no answer")
        return self._listing()


class Upstreams:
    """Who can be asked."""

    def __init__(
        self, world: World, managers: list["Alertmanager"], prometheus: Prometheus
    ) -> None:
        self._world = world
        self._managers = managers
        self._prometheus = prometheus

    def asked_by(self, replica: "Replica") -> dict[str, Asked]:
        """What a process knows of them."""
        plan = self._world.plan
        objector = Line("prometheus", self._prometheus.listing, replica) if plan.objector else None
        return {
            one.name: Asked(one.name, Line(one.name, one.listing, replica), plan.poll, objector)
            for one in self._managers[: plan.sources]
        }
