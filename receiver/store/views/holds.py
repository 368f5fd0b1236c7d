"""What the timer reads: models whose hold has ended, or that something else releases."""

from collections.abc import Collection

from sqlalchemy import bindparam, or_, select

from receiver.core.decisions import Reason
from receiver.core.models import FiringAlert
from receiver.core.storms import Onset, Storm
from receiver.store.compiled_select import columns_of
from receiver.store.tables import configs, firing_alerts, models
from receiver.store.views.moment import Reads
from receiver.store.views.paging import MOST_ROWS
from receiver.store.views.storms import onsets_of

WAITING = (
    select(models.c.name)
    .where(models.c.next_check_at <= bindparam("now"))
    .order_by(models.c.next_check_at)
    .limit(bindparam("most"))
)

SILENT = (
    select(firing_alerts.c.model)
    .where(firing_alerts.c.expires_at <= bindparam("now"))
    .distinct()
    .limit(bindparam("most"))
)

OTHERWISE = (
    select(firing_alerts.c.model)
    .where(
        firing_alerts.c.config_hash != bindparam("mine"),
        firing_alerts.c.expires_at > bindparam("now"),
        or_(
            firing_alerts.c.stale_until.is_(None),
            firing_alerts.c.stale_until <= bindparam("now"),
        ),
        bindparam("mine")
        == select(configs.c.hash).order_by(configs.c.loaded_at.desc()).limit(1).scalar_subquery(),
    )
    .distinct()
    .order_by(firing_alerts.c.model)
    .limit(bindparam("most"))
)


class HoldReads(Reads):
    """Reads of what holds models, and of what no longer does."""

    def ended(self, limit: int) -> list[str]:
        """Models whose hold has ended, longest ago first."""
        return list(self._db.scalars(WAITING, {"now": self._moment.now, "most": limit}))

    def silent(self, limit: int) -> list[str]:
        """Models with an alert that nobody confirmed for too long."""
        return list(self._db.scalars(SILENT, {"now": self._moment.now, "most": limit}))

    def held_by(self, rung: Reason) -> list[FiringAlert]:
        """Alerts that this rung below `cooldown` holds, oldest first."""
        query = (
            select(*columns_of(firing_alerts, FiringAlert))
            .where(firing_alerts.c.held_by == rung.value)
            .order_by(firing_alerts.c.starts_at, firing_alerts.c.fingerprint)
            .limit(MOST_ROWS)
        )
        return [FiringAlert(*row) for row in self._db.execute(query)]

    def waiting_for_hours(self, policies: Collection[str]) -> list[str]:
        """Models of these policies that a window holds until later than now."""
        query = (
            select(firing_alerts.c.model)
            .distinct()
            .where(
                firing_alerts.c.held_by == Reason.WINDOW.value,
                firing_alerts.c.policy.in_(policies),
                firing_alerts.c.held_until > self._moment.now,
            )
            .limit(MOST_ROWS)
        )
        return list(self._db.scalars(query))

    def decided_otherwise(self, config_hash: str) -> list[str]:
        """Models with an alert that counts and was decided by another configuration.

        None unless this one was loaded last: replicas that still have the old one are no judges.
        """
        values = {"mine": config_hash, "now": self._moment.now, "most": MOST_ROWS}
        return list(self._db.scalars(OTHERWISE, values))

    def onsets(self, policy: str, storm: Storm) -> dict[str, Onset]:
        """The models of a policy that fire, or ceased to lately."""
        return onsets_of(self._db, policy, storm, self._moment.now)
