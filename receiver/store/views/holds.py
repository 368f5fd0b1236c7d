"""What the timer reads: models whose hold has ended, or that something else releases."""

from collections.abc import Collection, Iterator

from sqlalchemy import ColumnElement, bindparam, or_, select

from receiver.core.decisions import Reason
from receiver.core.shared_room import Held
from receiver.core.storms import Onsets, Storm
from receiver.core.sweeps import Sweep
from receiver.store.tables import configs, firing_alerts, models, sweeps
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

NOT_DUE = or_(models.c.next_check_at.is_(None), models.c.next_check_at > bindparam("now"))
"""Whom the timer is about to decide needs no release: so a page of released ones empties."""

OTHERWISE = (
    select(firing_alerts.c.model)
    .join(models, models.c.name == firing_alerts.c.model)
    .where(
        NOT_DUE,
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

    def sweep(self) -> Sweep | None:
        """A sweep over all models that fire that is under way."""
        kind = self._db.scalar(select(sweeps.c.kind).order_by(sweeps.c.kind).limit(1))
        return None if kind is None else Sweep(kind)

    def policies_held_by(self, rung: Reason) -> frozenset[str]:
        """Policies with an alert that this rung holds without an end of its own."""
        held = select(firing_alerts.c.policy).where(*self._without_end(rung)).distinct()
        return frozenset(self._db.scalars(held))

    def held_by(self, rung: Reason, policies: Collection[str]) -> Iterator[Held]:
        """Alerts of these policies that this rung holds without an end of its own, oldest first.

        All of them, row by row: a page would hide those behind it for as long as it stays full.
        """
        query = (
            select(firing_alerts.c.model, firing_alerts.c.policy, models.c.next_check_at)
            .join(models, models.c.name == firing_alerts.c.model)
            .where(*self._without_end(rung), firing_alerts.c.policy.in_(sorted(policies)))
            .order_by(firing_alerts.c.starts_at, firing_alerts.c.fingerprint)
        )
        now = self._moment.now
        with self._db.execute(query, execution_options={"yield_per": MOST_ROWS}) as rows:
            for model, policy, check_at in rows:
                yield Held(model, policy, is_due=check_at is not None and check_at <= now)

    def _without_end(self, rung: Reason) -> tuple[ColumnElement[bool], ...]:
        """An end that has passed is none: the timer may have been away."""
        until = firing_alerts.c.held_until
        ended = or_(until.is_(None), until <= self._moment.now)
        return (firing_alerts.c.held_by == rung.value, ended)

    def waiting_for_hours(self, policies: Collection[str]) -> list[str]:
        """Models of these policies that a window holds until later than now."""
        query = (
            select(firing_alerts.c.model)
            .join(models, models.c.name == firing_alerts.c.model)
            .distinct()
            .where(
                NOT_DUE,
                firing_alerts.c.held_by == Reason.WINDOW.value,
                firing_alerts.c.policy.in_(policies),
                firing_alerts.c.held_until > self._moment.now,
            )
            .limit(MOST_ROWS)
        )
        return list(self._db.scalars(query, {"now": self._moment.now}))

    def decided_otherwise(self, config_hash: str) -> list[str]:
        """Models with an alert that counts and was decided by another configuration.

        None unless this one was loaded last: replicas that still have the old one are no judges.
        """
        values = {"mine": config_hash, "now": self._moment.now, "most": MOST_ROWS}
        return list(self._db.scalars(OTHERWISE, values))

    def onsets(self, policy: str, storm: Storm) -> Onsets:
        """The models of a policy that fire, or ceased to lately."""
        now = self._moment.now
        return Onsets(onsets_of(self._db, policy, storm, now), storm, now)
