"""Many rows at once: INSERT, with ON CONFLICT where rows may be there, run on the driver.

These are the hot statements. SQLAlchemy compiles each once; for every row it would then also walk
its types and parameters, which takes several times as long as SQLite takes to store the row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Key = tuple[str, ...]
"""The columns that tell whether a row is there already; none for a plain INSERT."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement in the driver's words, and how to bind its columns."""

    sql: str
    positions: tuple[str, ...] | None
    binders: Mapping[str, Callable[[Any], Any]]

    def parameters(self, row: Mapping[str, Any]) -> Any:
        """A row as this driver wants it: by place or by name."""
        bound = {
            name: self.binders[name](value) if name in self.binders else value
            for name, value in row.items()
        }
        if self.positions is None:
            return bound
        return tuple([bound[name] for name in self.positions])


_PREPARED: dict[tuple[str, str, Key, Key], Prepared] = {}


def insert_into(db: Connection, table: Table) -> Any:
    """An INSERT of the connection's engine."""
    return sqlite.insert(table) if db.dialect.name == "sqlite" else postgresql.insert(table)


def insert_rows(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write new rows, all with the same columns."""
    _run(db, table, (), rows)


def upsert(db: Connection, table: Table, key: Key, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write whole rows, in place of those that have the same key.

    They are written in order, so that no two transactions wait for each other's rows.
    """
    _run(db, table, key, sorted(rows, key=itemgetter(*key)))


def _run(db: Connection, table: Table, key: Key, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        prepared = _prepare(db, table, key, tuple(rows[0]))
        db.exec_driver_sql(prepared.sql, [prepared.parameters(row) for row in rows])


def _prepare(db: Connection, table: Table, key: Key, columns: Key) -> Prepared:
    known = _PREPARED.get((db.dialect.name, table.name, key, columns))
    if known is not None:
        return known
    statement = insert_into(db, table)
    if key:
        changed = {name: statement.excluded[name] for name in columns if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    compiled = statement.compile(dialect=db.dialect, column_keys=list(columns))
    binders = {
        name: processor
        for name in columns
        if (processor := table.c[name].type.bind_processor(db.dialect)) is not None
    }
    positions = tuple(compiled.positiontup) if compiled.positional else None
    prepared = Prepared(str(compiled), positions, binders)
    _PREPARED[db.dialect.name, table.name, key, columns] = prepared
    return prepared
