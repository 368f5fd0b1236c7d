"""Rejections as they are read: bodies that we could not accept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from receiver.store.compiled_select import columns_of
from receiver.store.tables import rejections
from receiver.store.views.moment import Reads
from receiver.store.views.paging import Page, page_of


@dataclass(frozen=True, slots=True)
class Rejection:
    """A body that we could not accept.

    Attributes:
        size: Of the whole body in bytes; `body` is its beginning.

    """

    id: int
    received_at: datetime
    sender: str
    status_code: int
    detail: str
    size: int
    body: bytes


REJECTIONS = select(*columns_of(rejections, Rejection))


class RejectionReads(Reads):
    """Reads of rejections."""

    def page(
        self, *, before: int | None = None, limit: int, fits: Callable[[Rejection], bool]
    ) -> Page[Rejection]:
        """One page, newest first. `before` is the cursor: an id."""
        query = REJECTIONS.order_by(rejections.c.id.desc())
        if before is not None:
            query = query.where(rejections.c.id < before)
        return page_of(
            self._db, query, limit, lambda row: Rejection(*row), lambda one: one.id, fits=fits
        )

    def newest(self, limit: int) -> list[Rejection]:
        """The newest first."""
        query = REJECTIONS.order_by(rejections.c.id.desc()).limit(limit)
        return [Rejection(*row) for row in self._db.execute(query)]

    def find(self, rejection_id: int) -> Rejection | None:
        """One of them."""
        row = self._db.execute(REJECTIONS.where(rejections.c.id == rejection_id)).one_or_none()
        return None if row is None else Rejection(*row)
