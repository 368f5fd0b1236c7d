"""The outbox of announcements: inserted with their cause, claimed and closed by the sender."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from receiver.core.announcements import Announcement, AnnouncementState, Kind
from receiver.store.compiled import Compiled, given, moment
from receiver.store.compiled_select import columns_of
from receiver.store.compiled_upsert import insert_rows
from receiver.store.leases import read_claimed
from receiver.store.tables import announcements

PENDING = AnnouncementState.PENDING.value

NEWEST_ANNOUNCEMENT = Compiled(select(func.max(announcements.c.id)))


class AnnouncementRows:
    """Statements about announcements. No model is locked for any of them."""

    _db: Connection

    def add_announcements(self, made: Iterable[Announcement]) -> None:
        """Store what is to be told, in the transaction that makes it true."""
        insert_rows(self._db, announcements, [_row(one) for one in made])

    def claim_announcement(
        self, subscriber: str, *, now: datetime, lease: timedelta
    ) -> Announcement | None:
        """Take the oldest due announcement to a subscriber for the length of `lease`, or None.

        Raises `UnreadableRow`.
        """
        values = {"to": subscriber, "now": now, "until": now + lease}
        return read_claimed(
            self._db, CLAIM, values, Announcement, table=announcements, due="due_at"
        )

    def save_announcement(self, changed: Announcement) -> bool:
        """Write a claimed one back. False, and nothing written, if the claim is not ours."""
        saved = self._db.execute(
            update(announcements)
            .where(announcements.c.id == changed.id, announcements.c.claim == changed.claim)
            .values(
                state=changed.state.value,
                due_at=changed.due_at,
                detail=changed.detail,
                status_code=changed.status_code,
                ended_at=changed.ended_at,
            )
        )
        return saved.rowcount > 0


def _claiming() -> Compiled:
    """The statement that takes the first announcement to a subscriber that is due."""
    table = announcements.c
    due = (
        select(table.id)
        .where(
            table.subscriber == given("to", table.subscriber),
            table.state == PENDING,
            table.due_at <= moment("now"),
        )
        .order_by(table.due_at, table.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = (
        update(announcements)
        .where(table.id == due)
        .values(due_at=moment("until"), claim=table.claim + 1, tries=table.tries + 1)
        .returning(*columns_of(announcements, Announcement))
    )
    return Compiled(claim, words={"kind": Kind, "state": AnnouncementState})


CLAIM = _claiming()


def _row(announcement: Announcement) -> dict[str, Any]:
    return {
        **asdict(announcement),
        "kind": announcement.kind.value,
        "state": announcement.state.value,
    }


def announcement_of(row: Row[Any]) -> Announcement:
    """A row of `announcements` as a core value."""
    columns = dict(row._mapping)
    kind, state = Kind(row.kind), AnnouncementState(row.state)
    return Announcement(**{**columns, "kind": kind, "state": state})
