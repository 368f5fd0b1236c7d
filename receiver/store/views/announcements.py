"""Announcements as they are read: pages, and how many wait."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from receiver.core.announcements import Announcement
from receiver.store.announcement_rows import PENDING, announcement_of
from receiver.store.column_types import storable
from receiver.store.tables import announcements
from receiver.store.views.moment import Reads
from receiver.store.views.paging import Page, filtered, page_of

ANNOUNCEMENT_FILTERS = ("subscriber", "kind", "state", "model", "policy")


class AnnouncementReads(Reads):
    """Reads of the outbox to subscribers."""

    def page(
        self,
        filters: Mapping[str, str],
        *,
        before: str | None = None,
        limit: int,
        fits: Callable[[Announcement], bool] | None = None,
    ) -> Page[Announcement]:
        """One page, newest first. `before` is the cursor: an id."""
        table = announcements.c
        query = filtered(select(announcements), announcements, filters).order_by(table.id.desc())
        if before is not None:
            query = query.where(table.id < storable(before))
        return page_of(self._db, query, limit, announcement_of, lambda one: one.id, fits=fits)

    def waiting(self) -> dict[str, tuple[int, datetime]]:
        """How many are pending, and since when the oldest is, by subscriber."""
        return waiting_announcements(self._db)


def waiting_announcements(db: Connection) -> dict[str, tuple[int, datetime]]:
    """How many are pending, and since when the oldest is, by subscriber."""
    table = announcements.c
    query = (
        select(table.subscriber, func.count(), func.min(table.at))
        .where(table.state == PENDING)
        .group_by(table.subscriber)
    )
    return {subscriber: (count, since) for subscriber, count, since in db.execute(query)}
