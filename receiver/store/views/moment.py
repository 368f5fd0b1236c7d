"""One moment of the store: an open transaction that reads, and the time it was."""

from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from receiver.core.ports import Clock
from receiver.store.postgres import database_time


class Moment:
    """What every read of one view shares: the transaction, and its time."""

    def __init__(self, db: Connection, clock: Clock | None) -> None:
        self.db = db
        self._clock = clock

    @cached_property
    def now(self) -> datetime:
        """The time that deciding uses, asked once."""
        return time_of(self.db, self._clock)


class Reads:
    """Reads about one subject, all of the same moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._db = moment.db


def time_of(db: Connection, clock: Clock | None) -> datetime:
    """What the clock says; without one, what the database's clock says."""
    return database_time(db) if clock is None else clock.now()
