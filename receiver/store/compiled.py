"""Statements that are built and compiled once, and run on the driver.

They are those that run every second, or in every transaction. To build and to look up a statement,
and to wrap what it returns, takes SQLAlchemy several times as long as SQLite takes to run it.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    Connection,
    Dialect,
    Integer,
    bindparam,
)
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ReturnsRows

from receiver.store.column_types import FROM_DATABASE, Converter, Instant, convert, places

T = TypeVar("T")

PAST_SQLALCHEMY = "past_sqlalchemy"
"""The option of a connection whose driver may be asked by itself."""

Parameters: TypeAlias = tuple[Any, ...] | dict[str, Any]
"""What a driver takes: in their order, or by name."""


def given(name: str, like: Column[T]) -> BindParameter[T]:
    """A value for this column that is given each time the statement runs."""
    return bindparam(name, None, type_=like.type)


def moment(name: str) -> BindParameter[datetime]:
    """A moment that is given each time the statement runs."""
    return bindparam(name, None, type_=Instant())


def count(name: str) -> BindParameter[int]:
    """A number, such as a LIMIT, that is given each time the statement runs."""
    return bindparam(name, None, type_=Integer())


class Compiled:
    """A statement; the rows it returns are lists, in the order of its columns.

    Its parameters are made by `given`, `moment` and `count`, which tell their types: a comparison
    would give them none of ours. `sets` are columns that an UPDATE sets, or an INSERT fills, with
    what is given under their names. `words` convert columns otherwise than their types say: into
    members of our enums, for example.
    """

    def __init__(
        self,
        statement: ClauseElement,
        *,
        sets: Sequence[str] = (),
        words: Mapping[str, Converter] | None = None,
    ) -> None:
        self.statement = statement
        self._sets = sets
        returned = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
        self._places = places(returned, FROM_DATABASE, words)
        self._form = cache(self._compiled)

    def rows(self, db: Connection, **values: Any) -> list[list[Any]]:
        """Every row."""
        form = self._form(db.dialect)
        return self._fetched(db, form.sql, form.parameters(values))

    def row(self, db: Connection, **values: Any) -> list[Any] | None:
        """The first row, None without any."""
        return next(iter(self.rows(db, **values)), None)

    def value(self, db: Connection, **values: Any) -> Any:
        """The first column of the first row, None without any."""
        row = self.row(db, **values)
        return None if row is None else row[0]

    def column(self, db: Connection, **values: Any) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self.rows(db, **values)]

    def run(self, db: Connection, **values: Any) -> int:
        """How many rows it changed."""
        form = self._form(db.dialect)
        return changed_on_driver(db, form.sql, form.parameters(values))

    def _fetched(self, db: Connection, sql: str, parameters: Parameters) -> list[list[Any]]:
        found = list(map(list, read_on_driver(db, sql, parameters)))
        convert(found, self._places)
        return found

    def _compiled(self, dialect: Dialect) -> "_Form":
        compiled = cast(
            SQLCompiler,
            self.statement.compile(
                dialect=dialect,
                column_keys=[*self._sets] or None,
                compile_kwargs={"render_postcompile": True},
            ),
        )
        converters = {
            name: converter
            for name, bound in compiled.binds.items()
            if (converter := bound.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        fixed = {
            name: converters[name](value) if name in converters and value is not None else value
            for name, value in compiled.params.items()
            if name not in compiled.binds or compiled.binds[name].unique
        }
        return _Form(str(compiled), compiled.positiontup, converters, fixed)


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one engine's driver takes it.

    Attributes:
        order: The parameters' names in their order; None where the driver takes them by name.
        fixed: Parameters whose value is part of the statement.

    """

    sql: str
    order: Sequence[str] | None
    converters: Mapping[str, Callable[[Any], Any]]
    fixed: Mapping[str, Any]

    def parameters(self, values: Mapping[str, Any]) -> Parameters:
        """What the driver is given."""
        given = dict(self.fixed)
        for name, value in values.items():
            converter = self.converters.get(name)
            given[name] = value if converter is None else converter(value)
        return given if self.order is None else tuple([given[name] for name in self.order])


def read_on_driver(db: Connection, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
    """The rows of a statement that returns some.

    SQLite is asked past SQLAlchemy, which takes three times as long as the statement; its errors
    are then the driver's own. PostgreSQL's connection may be lost, which SQLAlchemy must notice;
    and what a tenant reads it must narrow, so who may be asked past it is said by the store.
    """
    if db.get_execution_options().get(PAST_SQLALCHEMY):
        return sqlite_of(db).execute(sql, cast("tuple[Any, ...]", parameters)).fetchall()
    result = db.exec_driver_sql(sql, parameters)
    found = [tuple(row) for row in result.cursor.fetchall()]
    result.close()
    return found


def changed_on_driver(db: Connection, sql: str, parameters: Parameters) -> int:
    """How many rows a statement changed that returns none."""
    if db.get_execution_options().get(PAST_SQLALCHEMY):
        return sqlite_of(db).execute(sql, cast("tuple[Any, ...]", parameters)).rowcount
    return db.exec_driver_sql(sql, parameters).rowcount


def write_on_driver(db: Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
    """Run a statement for each of these rows."""
    if db.get_execution_options().get(PAST_SQLALCHEMY):
        sqlite_of(db).executemany(sql, rows)
    else:
        db.exec_driver_sql(sql, rows)


def sqlite_of(db: Connection) -> sqlite3.Connection:
    """The driver's connection."""
    return cast("sqlite3.Connection", db.connection.driver_connection)
