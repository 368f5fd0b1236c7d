"""Pages of values: what the lists of the API have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Select, Table

from receiver.store.column_types import storable

T = TypeVar("T")

MOST_ROWS = 500
"""The longest page."""

ROWS_AT_A_TIME = 50
"""Rows that a driver fetches at a time: a page may end long before its last row."""


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
    *,
    fits: Callable[[T], bool] | None = None,
) -> Page[T]:
    """The first rows of a query as values. The cursor is told by the last of them.

    `fits` is asked of each in turn, and may end the page early; it must take the first.
    """
    options = {} if limit <= ROWS_AT_A_TIME else {"yield_per": ROWS_AT_A_TIME}
    found: list[T] = []
    with db.execute(query.limit(limit + 1), execution_options=options) as rows:
        for row in rows:
            value = read(row)
            if len(found) == limit or not (fits is None or fits(value)):
                return Page(found, str(cursor(found[-1])))
            found.append(value)
    return Page(found, None)
