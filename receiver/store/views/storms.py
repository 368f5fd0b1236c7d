"""What storms are told from: when the models of a policy began to fire, and releases."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from receiver.core.policies import Policy
from receiver.core.storms import Gathering, Onset, Onsets, Storm
from receiver.store.column_types import EPOCH
from receiver.store.tables import firing_alerts, models, storm_releases


class Storms:
    """Who began to fire together: read once for many models that did so at about the same time.

    A release is a transaction of its own, which ends before any model is decided after it.
    """

    def __init__(self, db: Connection, now: datetime) -> None:
        self._db, self._now = db, now
        self._read: dict[tuple[str, int], Onsets] = {}
        self._released: dict[str, datetime | None] = {}

    def changed(self) -> None:
        """A model began or ceased to fire, or is another policy's: what was read is old."""
        self._read.clear()

    def gathering(self, policy: Policy, name: str, began: datetime) -> Gathering:
        """Who fires together; nothing is read while the wait holds the model anyway."""
        storm = policy.storm
        if storm is None or self._now < began + storm.wait:
            return Gathering()
        span = (began - EPOCH) // storm.within
        if (policy.name, span) not in self._read:
            first = EPOCH + span * storm.within
            around = (first - storm.within, first + 2 * storm.within)
            onsets = onsets_of(self._db, policy.name, storm, self._now, around)
            self._read[policy.name, span] = Onsets(onsets, storm, self._now)
        return self._read[policy.name, span].around(name, began)

    def released_at(self, policy: str) -> datetime | None:
        """When an operator last released a policy's models, asked once."""
        if policy not in self._released:
            self._released[policy] = released_at(self._db, policy)
        return self._released[policy]


def released_at(db: Connection, policy: str) -> datetime | None:
    """When an operator last released a policy's models."""
    query = select(storm_releases.c.released_at).where(storm_releases.c.policy == policy)
    released: datetime | None = db.scalar(query)
    return released


def onsets_of(
    db: Connection,
    policy: str,
    storm: Storm,
    now: datetime,
    between: tuple[datetime, datetime] | None = None,
) -> dict[str, Onset]:
    """The models of a policy that fire, or ceased to lately; all, or those that began `between`.

    It looks at each model once: an index would have to be kept for policies without storms too.
    """
    m = models.c
    query = select(m.name, m.episode_started_at, m.emptied_at).where(
        is_of(policy),
        m.episode_started_at.is_not(None),
        or_(m.emptied_at.is_(None), m.emptied_at > now - storm.calm),
    )
    if between is not None:
        query = query.where(m.episode_started_at.between(*between))
    return {name: Onset(began, emptied) for name, began, emptied in db.execute(query)}


def is_of(policy: str) -> ColumnElement[bool]:
    """Whether a policy has decided an alert that fires, or was the last to name the model.

    Each of a model's alerts may be another policy's, and each of these counts the model.
    """
    alerts = firing_alerts.c
    fires = exists().where(alerts.model == models.c.name, alerts.policy == policy)
    return or_(models.c.policy == policy, fires)
