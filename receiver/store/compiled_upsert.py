"""Compiled bulk INSERT and upsert (ON CONFLICT), run on the driver.

These are the hot statements. For every row SQLAlchemy would walk its names, types and parameters,
which takes several times as long as SQLite takes to store it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite

from receiver.store.column_types import TO_DATABASE, convert, places
from receiver.store.compiled import write_on_driver

SLICE = 500
"""Rows that are converted at a time: those of a group of 20,000 would take 10 MiB."""

Key = tuple[str, ...]
"""The columns that tell whether a row is there already; none for a plain INSERT."""


class Writing:
    """An INSERT of whole values, in place of those that have the same key.

    Their columns are attributes, unless `get` or `take` says otherwise. `converters` are for
    columns that hold something else than their type says.
    """

    def __init__(
        self,
        table: Table,
        key: Key = (),
        *,
        columns: Sequence[str] | None = None,
        get: Callable[..., Callable[[Any], Any]] = attrgetter,
        take: Callable[[Any], Iterable[Any]] | None = None,
        converters: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self._table = table
        self._key = key
        self._columns = tuple(columns or table.c.keys())
        self._take = take or get(*self._columns)
        self._places = places([table.c[name] for name in self._columns], TO_DATABASE, converters)
        self._order = get(*key) if key else None
        self._sql = cache(self._statement)

    def write(self, db: Connection, values: Iterable[Any]) -> None:
        """Write them, in the order of their keys: no two transactions wait for each other's."""
        if self._order is not None:
            values = sorted(values, key=self._order)
        taken = map(self._take, values)
        while rows := [list(row) for row in islice(taken, SLICE)]:
            convert(rows, self._places)
            write_on_driver(db, self._sql(db.dialect), list(map(tuple, rows)))

    def _statement(self, dialect: Dialect) -> str:
        quote = dialect.identifier_preparer.quote
        mark = "?" if dialect.name == "sqlite" else "%s"
        columns = [quote(name) for name in self._columns]
        marks = ", ".join([mark] * len(columns))
        sql = f"INSERT INTO {self._table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        if not self._key:
            return sql
        changes = ", ".join(f"{n} = excluded.{n}" for n in columns if n not in self._key)
        return f"{sql} ON CONFLICT ({', '.join(self._key)}) DO UPDATE SET {changes}"


class Changing(Writing):
    """An UPDATE of some columns of rows that are there, found by their key."""

    def __init__(self, table: Table, key: Key, columns: Sequence[str]) -> None:
        super().__init__(table, key, columns=(*columns, *key))
        self._changed = columns

    def _statement(self, dialect: Dialect) -> str:
        mark = "?" if dialect.name == "sqlite" else "%s"
        changes = ", ".join(f"{name} = {mark}" for name in self._changed)
        found = " AND ".join(f"{name} = {mark}" for name in self._key)
        return f"UPDATE {self._table.name} SET {changes} WHERE {found}"  # noqa: S608


def insert_into(db: Connection, table: Table) -> Any:
    """An INSERT of the connection's engine."""
    return sqlite.insert(table) if db.dialect.name == "sqlite" else postgresql.insert(table)


def insert_rows(db: Connection, table: Table, rows: Collection[Mapping[str, Any]]) -> None:
    """Write new rows, all with the same columns."""
    upsert(db, table, (), rows)


def upsert(db: Connection, table: Table, key: Key, rows: Collection[Mapping[str, Any]]) -> None:
    """Write whole rows, all with the same columns, in place of those that have the same key."""
    if rows:
        _writing(table, key, tuple(next(iter(rows)))).write(db, rows)


@cache
def _writing(table: Table, key: Key, columns: tuple[str, ...]) -> Writing:
    return Writing(table, key, columns=columns, get=itemgetter)
