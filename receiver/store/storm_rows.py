"""Storms: whether one was told of, and that an operator released its models."""

from datetime import datetime

from sqlalchemy import Connection, select

from receiver.core.decisions import Reason
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import approvals, models, storm_releases
from receiver.store.views.storms import is_of


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
                is_of(policy),
            )
            .limit(1)
        )
        return self._db.scalar(query) is not None
