"""Subscribers: each process tells them of what happens, over a bad line."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from receiver.core.announcements import Announcement, NotDelivered
from tests.simulation.world import Kind

if TYPE_CHECKING:
    from tests.simulation.replicas import Replica


class Subscription:
    """One process's line to the subscriber."""

    def __init__(self, replica: "Replica") -> None:
        self._replica = replica
        self._world = replica.world

    def send(self, announcement: Announcement, now: datetime) -> None:
        """Tell it. Raises `NotDelivered` now and then, and then it may have heard all the same."""
        del now
        world = self._world
        self._replica.meets("before an announcement")
        if world.strikes(0.05):
            world.hub.pause(world.between(1, 50))
        hears = not world.strikes(world.plan.deafness)
        if hears:
            said = f"{announcement.kind} {announcement.id} of {announcement.model}"
            world.note(announcement.subscriber, Kind.TOLD, said, announcement.id)
        self._replica.meets("after an announcement")
        if not hears or world.strikes(world.plan.deafness / 2):
            wish = world.random.choice((None, timedelta(minutes=5)))
            raise NotDelivered("503", status_code=503, retry_after=wish)
