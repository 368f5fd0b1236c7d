"""The audit log as it is read: pages, single decisions, what is new."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, false, func, null, select, union_all

from receiver.core.decisions import Reason, Scalar
from receiver.store.bounded_columns import columns_within_bounds
from receiver.store.column_types import MICROSECOND, from_micros, storable, to_micros
from receiver.store.compiled import Compiled
from receiver.store.compiled_select import columns_of
from receiver.store.tables import (
    FILTERS,
    ID_SLACK,
    RAN_AHEAD,
    configs,
    decisions,
    horizon,
    notifications,
)
from receiver.store.views.moment import Reads
from receiver.store.views.paging import Page, filtered, page_of

DECISION_FILTERS = FILTERS


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as the log keeps it, without what its rungs saw.

    Its words are text: a release that came later may have written ones that this one lacks, and
    the log must be readable all the same.
    """

    id: int
    decided_at: datetime
    source: str
    policy: str | None
    model: str | None
    alertname: str
    fingerprint: str
    status: str | None
    starts_at: datetime | None
    labels: Mapping[str, str] | None
    value: float | None
    reason: str
    outcome: str
    detail: str
    next_check_at: datetime | None
    dispatch_id: str | None
    notification_id: str | None
    seen_in: str | None
    position: int | None
    config_hash: str
    actor: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class WholeDecision(StoredDecision):
    """The same with its gates: what each rung saw, as JSON."""

    gates: Sequence[Mapping[str, Scalar]]


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """What is told of a decision as it happens."""

    id: int
    model: str | None
    policy: str | None
    reason: str
    outcome: str
    source: str
    dispatch_id: str | None


class DecisionReads(Reads):
    """Reads of the log, and of what decisions were made from."""

    def page(
        self,
        filters: Mapping[str, str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
        fits: Callable[[StoredDecision], bool] | None = None,
        labels: bool = True,
    ) -> Page[StoredDecision]:
        """One page, newest first. `before` is the cursor: an id.

        Without `labels` they are None: they are nearly all that a row may take.
        """
        d = decisions.c
        query = filtered(select(*(STORED if labels else UNLABELLED)), decisions, filters)
        between = self._between(since, until, before)
        if "model" not in filters and self._moment.theirs is not None:
            between += _within_few(self._moment.theirs, filters, between, limit + 1)
        query = query.where(*between).order_by(d.id.desc())
        return page_of(
            self._db, query, limit, lambda row: StoredDecision(*row), lambda one: one.id, fits=fits
        )

    def _between(
        self, since: datetime | None, until: datetime | None, before: int | None
    ) -> list[ColumnElement[bool]]:
        d = decisions.c
        bounds: list[ColumnElement[bool]] = []
        if since is not None:
            # An id is never behind its time, so it can bound the search.
            bounds += [d.id >= to_micros(since), d.decided_at >= since]
        if until is not None:
            # An id runs ahead of its time by no more than the slack, unless it is one of those
            # that the clock was set back under.
            ahead = to_micros(until) + ID_SLACK // MICROSECOND  # it may be the calendar's last
            last = self._last_ran_ahead(until)
            bounds += [d.id < max(ahead, last + 1), d.decided_at < until]
        if before is not None:
            bounds.append(d.id < before)
        return bounds

    def _last_ran_ahead(self, until: datetime) -> int:
        """The largest id of a decision from before this whose id ran ahead, 0 without any.

        Their index is empty unless the clock was set back by more than the slack.
        """
        ran_ahead = select(func.max(decisions.c.id)).where(
            RAN_AHEAD, decisions.c.decided_at < until
        )
        last: int | None = self._db.scalar(ran_ahead)
        return last or 0

    def find(self, decision_id: int) -> WholeDecision | None:
        """One decision, with its gates."""
        query = select(*columns_within_bounds(decisions, WholeDecision))
        row = self._db.execute(query.where(decisions.c.id == decision_id)).one_or_none()
        return None if row is None else WholeDecision(*row)

    def before(self, decision: StoredDecision) -> StoredDecision | None:
        """The decision about the same model just before this one."""
        if decision.model is None:
            return None
        page = self.page({"model": decision.model}, before=decision.id, limit=1, labels=False)
        return next(iter(page.rows), None)

    def newest_id(self) -> int:
        """The largest id in the log, 0 without any."""
        with self._moment.everybodys():
            newest: int | None = NEWEST.value(self._db)
        return newest or 0

    def newest_moment(self) -> datetime | None:
        """The time of the newest id; it may run ahead of the clock."""
        newest = self.newest_id()
        return from_micros(newest) if newest else None

    def horizon(self) -> datetime | None:
        """Up to when retention has deleted decisions; None if it never did."""
        moment: datetime | None = HORIZON.value(self._db)
        return moment

    def after(self, last: int, overlap: timedelta, limit: int) -> list[DecisionEvent]:
        """The newest decisions behind this id, and those of shortly before it; newest first."""
        d = decisions.c
        query = select(*columns_of(decisions, DecisionEvent))
        new = query.where(d.id > last - overlap // MICROSECOND).order_by(d.id.desc())
        return [DecisionEvent(*row) for row in self._db.execute(new.limit(limit))]

    def expired_at(self) -> datetime | None:
        """When an alert was last given up because nobody confirmed it."""
        moment: datetime | None = self._db.scalar(
            select(decisions.c.decided_at)
            .where(decisions.c.reason == Reason.EXPIRED.value)
            .order_by(decisions.c.id.desc())
            .limit(1)
        )
        return moment

    def raw_body(self, notification_id: str | None) -> bytes | None:
        """A notification's body as received; None once forgotten."""
        if notification_id is None:
            return None
        body: bytes | None = self._db.scalar(
            select(notifications.c.body).where(notifications.c.id == notification_id)
        )
        return body

    def small_bodies(self, ids: Sequence[str], most: int) -> dict[str, bytes]:
        """Notifications as they came, by id: the smallest, as long as all are so many bytes."""
        n = notifications.c
        size = func.length(n.body)
        sized = select(n.id, size).where(n.id.in_(ids), size <= most).order_by(size, n.id)
        chosen, taken = [], 0
        for row in self._db.execute(sized):
            taken += row[1]
            if taken > most:
                break
            chosen.append(row.id)
        query = select(n.id, n.body).where(n.id.in_(chosen))
        return {row.id: row.body for row in self._db.execute(query)} if chosen else {}

    def config(self, config_hash: str) -> str | None:
        """A configuration by its hash, as canonical JSON."""
        query = select(configs.c.body).where(configs.c.hash == config_hash)
        text: str | None = self._db.scalar(query)
        return text


MOST_WALKS = 100
"""Models of a tenant that are walked one by one; of more a page is found soon in the whole log."""


def _within_few(
    names: Sequence[str],
    filters: Mapping[str, str],
    between: Sequence[ColumnElement[bool]],
    limit: int,
) -> list[ColumnElement[bool]]:
    """Where to find a page's rows of few models: each is a walk along its index, not the log."""
    d = decisions.c
    if not names:
        return [false()]
    if len(names) > MOST_WALKS:
        return []
    # As an expression, or an engine without statistics would walk along that column's index.
    said = [func.coalesce(d[name], null()) == storable(value) for name, value in filters.items()]
    walk = select(d.id).where(*between, *said).order_by(d.id.desc()).limit(limit)
    each = union_all(
        *(select(walk.where(d.model == name).subquery()) for name in names)
    ).subquery()
    return [d.id.in_(select(each.c.id).order_by(each.c.id.desc()).limit(limit))]


NEWEST = Compiled(select(func.max(decisions.c.id)))
HORIZON = Compiled(select(horizon.c.decisions_before))
STORED: list[Any] = columns_within_bounds(decisions, StoredDecision)
UNLABELLED: list[Any] = [null().label("labels") if one.name == "labels" else one for one in STORED]
