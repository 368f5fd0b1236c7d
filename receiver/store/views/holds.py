"""What the timer reads: models whose hold has ended, or that something else releases."""

from collections.abc import Collection, Iterator

from sqlalchemy import ColumnElement, or_, select

from receiver.core.decisions import Reason
from receiver.core.shared_room import Held
from receiver.core.storms import Onsets, Storm
from receiver.core.sweeps import Sweep
from receiver.store.compiled import Compiled, count, given, moment
from receiver.store.model_rows import alerts_of_each
from receiver.store.tables import configs, firing_alerts, models, sweeps
from receiver.store.views.moment import Reads
from receiver.store.views.paging import MOST_ROWS
from receiver.store.views.storms import onsets_of

WAITING = Compiled(
    select(models.c.name)
    .where(models.c.next_check_at <= moment("now"))
    .order_by(models.c.next_check_at)
    .limit(count("most"))
)

SILENT = Compiled(
    # An expression: to tell models apart SQLite would walk their index, through all that fire.
    select(firing_alerts.c.model.concat(""))
    .where(firing_alerts.c.expires_at <= moment("now"))
    .distinct()
    .limit(count("most"))
)

SWEEP = Compiled(select(sweeps.c.kind).order_by(sweeps.c.kind).limit(1))

NOT_DUE = or_(models.c.next_check_at.is_(None), models.c.next_check_at > moment("now"))
"""Whom the timer is about to decide needs no release: so a page of released ones empties."""

MINE = given("mine", configs.c.hash)

OTHERWISE = Compiled(
    select(firing_alerts.c.model)
    .join(models, models.c.name == firing_alerts.c.model)
    .where(
        NOT_DUE,
        firing_alerts.c.config_hash != MINE,
        firing_alerts.c.expires_at > moment("now"),
        or_(
            firing_alerts.c.stale_until.is_(None),
            firing_alerts.c.stale_until <= moment("now"),
        ),
        select(configs.c.hash).order_by(configs.c.loaded_at.desc()).limit(1).scalar_subquery()
        == MINE,
    )
    .distinct()
    .order_by(firing_alerts.c.model)
    .limit(count("most"))
)


class HoldReads(Reads):
    """Reads of what holds models, and of what no longer does."""

    def ended(self, limit: int) -> list[str]:
        """Models whose hold has ended, longest ago first."""
        return WAITING.column(self._db, now=self._moment.now, most=limit)

    def silent(self, limit: int) -> list[str]:
        """Models with an alert that nobody confirmed for too long."""
        return SILENT.column(self._db, now=self._moment.now, most=limit)

    def alerts_of_each(self, names: Collection[str]) -> dict[str, int]:
        """How many alerts of each of these models fire; those without any are left out."""
        return alerts_of_each(self._db, names)

    def sweep(self) -> Sweep | None:
        """A sweep over all models that fire that is under way."""
        kind = SWEEP.value(self._db)
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
        now = self._moment.now
        return OTHERWISE.column(self._db, mine=config_hash, now=now, most=MOST_ROWS)

    def onsets(self, policy: str, storm: Storm) -> Onsets:
        """The models of a policy that fire, or ceased to lately."""
        now = self._moment.now
        return Onsets(onsets_of(self._db, policy, storm, now), storm, now)
