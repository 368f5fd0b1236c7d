"""INSERT with ON CONFLICT, which both engines understand and SQLAlchemy spells per engine."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(db: Connection, table: Table) -> Any:
    """An INSERT of the connection's engine."""
    return sqlite.insert(table) if db.dialect.name == "sqlite" else postgresql.insert(table)


def upsert(
    db: Connection, table: Table, key: Sequence[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Write whole rows, in place of those that have the same key.

    They are written in order, so that no two transactions wait for each other's rows.
    """
    if not rows:
        return
    statement = insert_into(db, table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
    db.execute(statement, sorted(rows, key=itemgetter(*key)))
