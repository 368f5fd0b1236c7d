"""Pages of values: what the lists of the API have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, Table

from receiver.store.column_types import storable

T = TypeVar("T")

MOST_ROWS = 500
"""The longest page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, and where the next page begins (None: there is none)."""

    rows: Sequence[T]
    next_cursor: str | None


def filtered(query: Select[Any], table: Table, filters: Mapping[str, str]) -> Select[Any]:
    """Only the rows whose columns say this."""
    for name, value in filters.items():
        query = query.where(table.c[name] == storable(value))
    return query


def page_of(
    db: Connection,
    query: Select[Any],
    limit: int,
    read: Callable[[Any], T],
    cursor: Callable[[T], object],
) -> Page[T]:
    """The first rows of a query as values. The cursor is told by the last of them."""
    found = [read(row) for row in db.execute(query.limit(limit + 1))]
    more = len(found) > limit
    return Page(found[:limit], str(cursor(found[limit - 1])) if more else None)
