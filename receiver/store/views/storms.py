"""What storms are told from: when the models of a policy began to fire, and releases."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from receiver.core.storms import Onset, Storm
from receiver.store.tables import firing_alerts, models, storm_releases


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
        is_of(policy),
        m.episode_started_at.is_not(None),
        or_(m.emptied_at.is_(None), m.emptied_at > now - storm.calm),
    )
    if near is not None:
        query = query.where(
            m.episode_started_at >= near - storm.within,
            m.episode_started_at <= near + storm.within,
        )
    return {name: Onset(began, emptied) for name, began, emptied in db.execute(query)}


def is_of(policy: str) -> ColumnElement[bool]:
    """Whether a policy has decided an alert that fires, or was the last to name the model.

    Each of a model's alerts may be another policy's, and each of these counts the model.
    """
    alerts = firing_alerts.c
    fires = exists().where(alerts.model == models.c.name, alerts.policy == policy)
    return or_(models.c.policy == policy, fires)
