"""One moment of the store: an open transaction that reads, and the time it was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from receiver.core.models import PauseScope
from receiver.core.ports import Clock
from receiver.store.narrowing import Narrowed
from receiver.store.postgres import database_time
from receiver.store.tables import pauses


class Moment:
    """What every read of one view shares: the transaction, and its time."""

    def __init__(
        self, db: Connection, clock: Clock | None, narrowed: Narrowed | None = None
    ) -> None:
        self.db = db
        self._clock = clock
        self._narrowed = narrowed

    @property
    def theirs(self) -> Sequence[str] | None:
        """The models of the tenant that the view is narrowed to; None if it is not."""
        return None if self._narrowed is None else self._narrowed.names

    @contextmanager
    def everybodys(self) -> Iterator[None]:
        """Read within what all models share, also for a tenant: only numbers may be told of it."""
        if self._narrowed is None:
            yield
            return
        with self._narrowed.off():
            yield

    @cached_property
    def now(self) -> datetime:
        """The time that deciding uses, asked once."""
        return time_of(self.db, self._clock)

    @cached_property
    def is_widely_paused(self) -> bool:
        """Whether a pause of a policy or of everything is in force, asked once."""
        wide = exists().where(pauses.c.scope != PauseScope.MODEL.value, in_force(self.now))
        return bool(self.db.scalar(select(wide)))


class Reads:
    """Reads about one subject, all of the same moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._db = moment.db


def time_of(db: Connection, clock: Clock | None) -> datetime:
    """What the clock says; without one, what the database's clock says."""
    return database_time(db) if clock is None else clock.now()


def in_force(now: datetime) -> ColumnElement[bool]:
    """Whether a pause holds now."""
    return or_(pauses.c.until.is_(None), pauses.c.until > now)
