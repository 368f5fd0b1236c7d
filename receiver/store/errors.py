"""The store's errors, and how a driver's error is classified."""

import sqlite3

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeError)
"""What a statement may end with when the store, or what it was told to store, is at fault."""

GONE = (
    OperationalError,
    InterfaceError,
    sqlite3.OperationalError,
    sqlite3.InterfaceError,
)
"""SQLite's errors that blame the store: it is locked, full, read-only, gone."""

CONTENT = ("22", "23", "54", "P0")
"""Classes of SQLSTATE that blame what was to be stored: data, constraints, sizes, triggers."""

COLLISION = ("40001", "40P01")
"""Two transactions stood in each other's way, and the database gave up one of them."""


class StoreUnavailable(Exception):
    """The store can't commit now (gone, locked, full); nothing was stored. Try again.

    If the answer to a COMMIT got lost, it may be stored after all. Deciding again is right then
    too: the facts of the first time are found.
    """


class BeginAgain(StoreUnavailable):
    """Other transactions came between; the same one, begun again now, should succeed."""


class NumberTaken(BeginAgain):
    """Another replica writes decisions under the numbers of this one."""


class RowRefused(Exception):
    """The database refuses what was to be stored: its content is at fault, not the store."""


class UnreadableRow(Exception):
    """A row that was claimed says what nobody can read: a hand that is not ours wrote it.

    Its claim is committed, so that the rows after it come first; it falls due again later.
    """


class StoreRefused(Exception):
    """The store can't be used at all; the message says what to change."""


def failure_of(error: Exception) -> StoreUnavailable | RowRefused:
    """Whether the store is at fault, or what was to be stored."""
    said = cause(error)
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(said)
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state is None:  # SQLite, or a driver that did not come so far as to ask
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        gone = lost or isinstance(error, GONE)
        return StoreUnavailable(said) if gone else RowRefused(said)
    if state in COLLISION:
        return BeginAgain(said)
    if state.startswith("23") and "decisions_pkey" in said:
        return NumberTaken(said)
    return RowRefused(said) if state.startswith(CONTENT) else StoreUnavailable(said)


def cause(error: Exception) -> str:
    """The driver's own words, without the statement and its parameters."""
    if isinstance(error, PoolTimeout):
        return "no connection is free"
    origin = error.orig if isinstance(error, StatementError) and error.orig else error
    return next(iter(str(origin).splitlines()), type(origin).__name__)
