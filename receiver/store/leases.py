"""Leases: claims a due row with UPDATE ... RETURNING; an unreadable row stays claimed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, Table

from receiver.store.column_types import to_micros
from receiver.store.compiled import Compiled
from receiver.store.errors import UnreadableRow

T = TypeVar("T")

BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a column ends with that holds something else than its type says."""


def read_claimed(
    db: Connection,
    claiming: Compiled,
    values: Mapping[str, Any],
    kind: Callable[..., T],
    *,
    table: Table,
    due: str,
) -> T | None:
    """Claim until `values["until"]`, kept in the column `due` of `table`; None if nothing was due.

    `claiming` returns the fields of `kind`, in their order.
    Raises `UnreadableRow`, which says how to find the row.
    """
    try:
        row = claiming.row(db, **values)
        return None if row is None else kind(*row)
    except BROKEN as error:
        found = f"SELECT * FROM {table} WHERE {due} = {to_micros(values['until'])}"  # noqa: S608  for people
        said = f"{type(error).__name__}: {error}"
        raise UnreadableRow(f"a row can't be read ({said}); to see it: {found}") from error
