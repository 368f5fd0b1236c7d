"""Reads and writes what storms depend on: when models began to fire, and releases."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from receiver.core.decisions import Reason
from receiver.core.storms import Onset, Storm
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import approvals, firing_alerts, models, storm_releases


class StormRows:
    """Statements about releases."""

    _db: Connection

    def release_storm(self, policy: str, at: datetime) -> None:
        """Let the models of a policy go on that have begun to fire by now."""
        upsert(self._db, storm_releases, ("policy",), [{"policy": policy, "released_at": at}])

    def storm_is_told(self, policy: str) -> bool:
        """Whether a question about a storm of this policy is open."""
        query = (
            select(approvals.c.model)
            .join(models, models.c.name == approvals.c.model)
            .where(
                approvals.c.rung == Reason.STORM.value,
                approvals.c.approved.is_(None),
                approvals.c.episode_started_at == models.c.episode_started_at,
                models.c.emptied_at.is_(None),
                _is_of(policy),
            )
            .limit(1)
        )
        return self._db.scalar(query) is not None


def released_at(db: Connection, policy: str) -> datetime | None:
    """When an operator last released a policy's models."""
    query = select(storm_releases.c.released_at).where(storm_releases.c.policy == policy)
    released: datetime | None = db.scalar(query)
    return released


def onsets_of(
    db: Connection, policy: str, storm: Storm, now: datetime, near: datetime | None = None
) -> dict[str, Onset]:
    """The models of a policy that fire, or ceased to lately; `near` a moment or all of them.

    It looks at each model once: an index would have to be kept for policies without storms too.
    """
    m = models.c
    query = select(m.name, m.episode_started_at, m.emptied_at).where(
        _is_of(policy),
        m.episode_started_at.is_not(None),
        or_(m.emptied_at.is_(None), m.emptied_at > now - storm.calm),
    )
    if near is not None:
        query = query.where(
            m.episode_started_at >= near - storm.within,
            m.episode_started_at <= near + storm.within,
        )
    return {name: Onset(began, emptied) for name, began, emptied in db.execute(query)}


def _is_of(policy: str) -> ColumnElement[bool]:
    """Whether a policy has decided an alert that fires, or was the last to name the model.

    Each of a model's alerts may be another policy's, and each of these counts the model.
    """
    alerts = firing_alerts.c
    fires = exists().where(alerts.model == models.c.name, alerts.policy == policy)
    return or_(models.c.policy == policy, fires)
