"""Storms: whether one was told of, and that an operator released its models."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from receiver.core.decisions import Reason
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import approvals, firing_alerts, models, storm_releases
from receiver.store.views.storms import is_of


class StormRows:
    """Statements about releases."""

    _db: Connection

    def release_storm(self, policy: str, at: datetime) -> None:
        """Let the models of a policy go on that have begun to fire by now."""
        upsert(self._db, storm_releases, ("policy",), [{"policy": policy, "released_at": at}])

    def free_stormed(self, policies: Collection[str]) -> int:
        """Let the models that a storm of these policies holds be decided anew; how many.

        Nothing is decided meanwhile: the `PAUSE` lock is held. All at once, for it is two
        statements however many they are, and an operator is told their number.
        """
        alerts = firing_alerts.c
        of_a_storm = alerts.held_by == Reason.STORM.value
        held = select(alerts.model).where(of_a_storm, alerts.policy.in_(sorted(policies)))
        count: int | None = self._db.scalar(
            select(func.count()).select_from(held.distinct().subquery())
        )
        self._db.execute(
            update(firing_alerts)
            .where(alerts.model.in_(held), alerts.held_by.is_not(None))
            .values(held_by=None, held_until=None, asks=False)
        )
        return count or 0

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
