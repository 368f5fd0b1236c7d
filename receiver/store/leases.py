"""Leases: claims a due row with UPDATE ... RETURNING; an unreadable row stays claimed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, Row
from sqlalchemy.sql.dml import ReturningUpdate

from receiver.store.column_types import to_micros
from receiver.store.errors import UnreadableRow

T = TypeVar("T")

BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a column ends with that holds something else than its type says."""


def read_claimed(
    db: Connection,
    claiming: ReturningUpdate[Any],
    values: Mapping[str, Any],
    read: Callable[[Row[Any]], T],
    *,
    due: str,
) -> T | None:
    """Claim until `values["until"]`, kept in the column `due`; None if nothing was due.

    Raises `UnreadableRow`, which says how to find the row.
    """
    claimed = db.execute(claiming, values)
    try:
        row = claimed.one_or_none()
        return None if row is None else read(row)
    except BROKEN as error:
        found = f"SELECT * FROM {claiming.table} WHERE {due} = {to_micros(values['until'])}"  # noqa: S608  for people
        said = f"{type(error).__name__}: {error}"
        raise UnreadableRow(f"a row can't be read ({said}); to see it: {found}") from error
