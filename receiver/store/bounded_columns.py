"""Columns that are read only as far as their bound: earlier releases stored labels without one."""

from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Table, case, func, literal_column

from receiver.core.alerts import LABELS_BYTES

NO_LABELS: ColumnElement[Any] = literal_column("'{}'")


def columns_within_bounds(
    table: Table, kind: type[Any], *, instead: ColumnElement[Any] | None = None
) -> list[ColumnElement[Any]]:
    """As `columns_of`, but labels over `LABELS_BYTES` stay in the database.

    A page of them was seen to take 1 GB. `instead` is read in their place; without it, NULL.
    """
    return [
        within_bound(table, instead) if field.name == "labels" else table.c[field.name]
        for field in fields(kind)
    ]


def within_bound(table: Table, instead: ColumnElement[Any] | None) -> ColumnElement[Any]:
    """The labels, if they are within their bound: they are stored in ASCII, a byte a character."""
    short = func.length(table.c.labels) <= literal_column(str(LABELS_BYTES))
    return case((short, table.c.labels), else_=instead).label("labels")
