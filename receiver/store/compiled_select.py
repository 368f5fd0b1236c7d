"""Compiled SELECTs of the rows with some values: the reads of each deciding transaction."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Select, Table, text

from receiver.store.column_types import Converter
from receiver.store.compiled import Compiled

CHUNK = 512
"""Values in one statement: far below every engine's limit."""

CHOSEN = "IN CHOSEN"


class ReadingChosen(Compiled):
    """A SELECT of the rows in which one column has one of some values."""

    def __init__(
        self,
        query: Select[Any],
        column: Column[Any],
        *,
        words: Mapping[str, Converter] | None = None,
    ) -> None:
        chosen = text(f"{column.table.name}.{column.name} {CHOSEN}")
        super().__init__(query.where(chosen), words=words)

    def chosen(self, db: Connection, values: Collection[str]) -> list[list[Any]]:
        """The rows with these values."""
        found = []
        for chunk in chunks(sorted(values)):
            found += self._fetched(db, *self._asked(db.dialect, chunk))
        return found

    def _asked(self, dialect: Dialect, chunk: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
        sql = self._form(dialect).sql
        if dialect.name == "postgresql":
            return sql.replace(CHOSEN, "= ANY (%s)"), (list(chunk),)
        # As many as a power of two, so that the driver's cache of statements serves any number.
        size = 1 << (len(chunk) - 1).bit_length()
        marks = ", ".join("?" * size)
        padding = [chunk[-1]] * (size - len(chunk))
        return sql.replace(CHOSEN, f"IN ({marks})"), (*chunk, *padding)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit one statement."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def columns_of(table: Table, kind: type[Any]) -> list[Column[Any]]:
    """The columns that a dataclass's fields are called after, in the order of its fields.

    So `kind(*row)` gives each field the column of its own name, whatever the table's order.
    """
    return [table.c[field.name] for field in fields(kind)]
