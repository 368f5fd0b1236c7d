"""The store: one database, opened, locked, migrated; transactions that write."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

from sqlalchemy import Connection, Engine, func, select, text

from receiver.core.ids import ENTROPY_BYTES, MILLISECOND, moment_of, time_id
from receiver.core.policies import Policy
from receiver.core.ports import Clock
from receiver.core.snapshot import Snapshot
from receiver.core.sources import Asking
from receiver.core.tenants import Tenant
from receiver.store.advisory_locks import AdvisoryLocks
from receiver.store.announcement_rows import NEWEST_ANNOUNCEMENT, AnnouncementRows
from receiver.store.clock_rows import ClockRows
from receiver.store.compiled import PAST_SQLALCHEMY
from receiver.store.decision_ids import DecisionIds
from receiver.store.dispatch_rows import NEWEST_DISPATCH, DispatchRows
from receiver.store.errors import (
    DRIVER_ERRORS,
    BeginAgain,
    NumberTaken,
    RowRefused,
    StoreRefused,
    StoreUnavailable,
    UnreadableRow,
    failure_of,
)
from receiver.store.log_rows import LogRows
from receiver.store.migrate import is_due, migrate
from receiver.store.model_rows import ModelRows
from receiver.store.postgres import (
    READING,
    postgres_engine,
    present_url,
    require_fit,
    require_sessions,
)
from receiver.store.restraint_rows import RestraintRows
from receiver.store.retention_rows import RetentionRows
from receiver.store.run_end_rows import RunEndRows
from receiver.store.source_rows import SourceRows
from receiver.store.sqlite import lock_file, sqlite_engine, sqlite_path
from receiver.store.sweep_rows import SweepRows
from receiver.store.tables import decisions
from receiver.store.target_rows import TargetRows
from receiver.store.views.moment import time_of
from receiver.store.views.view import View
from receiver.store.write_lock import WriteLock

__all__ = ["BeginAgain", "RowRefused", "Store", "StoreRefused", "StoreUnavailable", "Tx"]

LOCK_TIMEOUT_SECONDS = 5
"""How long a transaction waits for another's locks before the caller is told 503."""

BEGINNINGS = 5
"""How often a transaction that others came between is begun."""

T = TypeVar("T")


class Tx(
    ModelRows,
    DispatchRows,
    RunEndRows,
    RestraintRows,
    AnnouncementRows,
    SourceRows,
    TargetRows,
    LogRows,
    RetentionRows,
    SweepRows,
    ClockRows,
    AdvisoryLocks,
):
    """One transaction: the writes, and the reads that decide. Times come from `now`."""

    def __init__(self, db: Connection, clock: Clock | None, ids: DecisionIds) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._ordered_last: datetime | None = None

    def now(self) -> datetime:
        """The time that deciding uses. Ask for it after the locks are taken."""
        return time_of(self._db, self._clock)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of this transaction that can fail alone. Raises `RowRefused`."""
        try:
            with self._db.begin_nested():
                yield
        except DRIVER_ERRORS as error:
            raise failure_of(error) from error

    def undo(self) -> None:
        """Forget everything that this transaction did; it ends here."""
        self._db.rollback()

    def new_id(self, now: datetime) -> str:
        """A fresh id for a notification."""
        return time_id(now, secrets.token_bytes(ENTROPY_BYTES))

    def outbox_id(self, now: datetime) -> str:
        """A fresh id for a dispatch or an announcement: behind all before it, which lists go by.

        A clock that was ahead has left ids that later ones must not hide behind.
        """
        last = self._ordered_last or self._last_ordered() or now
        self._ordered_last = now if last <= now else last + MILLISECOND
        return self.new_id(self._ordered_last)

    def _last_ordered(self) -> datetime | None:
        newest = [
            statement.value(self._db) for statement in (NEWEST_DISPATCH, NEWEST_ANNOUNCEMENT)
        ]
        return max(filter(None, (moment_of(one) for one in newest if one)), default=None)

    def decision_id(self, now: datetime) -> int:
        """A fresh id for a decision, larger than all before it."""
        return self._ids.take(now)


class Store:
    """One database. Each thread begins its own transactions.

    Attributes:
        alone: Whether no other process can use the database while this one does.

    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock | None,
        *,
        path: Path | None,
        min_free: int,
        url_file: Path | None = None,
    ) -> None:
        self._engine = engine
        self._url_file = url_file
        self.alone = engine.dialect.name == "sqlite"
        self._clock = clock
        self._path = path
        self._min_free = min_free
        self._ids = DecisionIds()
        self._file_lock: IO[str] | None = None
        # SQLite has one writer; its own waiting is by sleeping, ours is in order and at once.
        self._writing = WriteLock()

    @property
    def url(self) -> str:
        """The database's address, with the password that is good now."""
        url = present_url(self._engine.url, self._url_file)
        return url.render_as_string(hide_password=False)

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock | None,
        *,
        min_free: int = 0,
        network_filesystem: bool = False,
        migrate: Callable[["Store"], None] | None = None,
        url_file: Path | None = None,
    ) -> "Store":
        """Open the database and bring its tables up to date.

        Without a clock, the database's own tells the time: several replicas must agree on it.
        `url_file` is where the URL was read: what it says of user and password may change.
        `migrate` is called if a migration is due; without it, that runs in this process.
        Raises `StoreRefused`, `StoreUnavailable`.
        """
        path = sqlite_path(url)
        engine = engine_of(url, network_filesystem=network_filesystem, url_file=url_file)
        store = cls(engine, clock, path=path, min_free=min_free, url_file=url_file)
        if path is not None:
            store._file_lock = lock_file(path)
        try:
            store._require_sessions()
            store._prepare(migrate or Store.migrate)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def beside(cls, url: str, clock: Clock) -> "Store":
        """For a child that only reads, beside the process that opened the database."""
        # Whoever called us has judged the file system already, and holds the file's lock.
        return cls(engine_of(url, network_filesystem=True), clock, path=None, min_free=0)

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()
        if self._file_lock is not None:
            self._file_lock.close()

    def run(self, work: Callable[[Tx], T]) -> T:
        """Do this in one writing transaction, begun again if others came between.

        What it does must have no effect but its writes. Raises `StoreUnavailable`.
        """
        for _ in range(BEGINNINGS - 1):
            try:
                with self.begin() as tx:
                    return work(tx)
            except BeginAgain:
                continue
        with self.begin() as tx:
            return work(tx)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """One writing transaction: all of it, or nothing. Raises `StoreUnavailable`.

        After `UnreadableRow` too it is committed: what was claimed stays claimed.
        """
        with self._writer():
            try:
                unreadable: UnreadableRow | None = None
                options = {"sqlite_begin": "IMMEDIATE", PAST_SQLALCHEMY: self.alone}
                with self._connection(**options) as db:
                    try:
                        yield Tx(db, self._clock, self._ids)
                    except UnreadableRow as error:
                        unreadable = error
                if unreadable is not None:
                    raise unreadable
            except NumberTaken:
                self._take_number()
                raise

    @contextmanager
    def view(self, tenant: Tenant | None = None) -> Iterator[View]:
        """The store at one moment, for whoever only reads; all of it, or what is a tenant's.

        Raises `StoreUnavailable`.
        """
        with self._reading(narrowed=tenant is not None) as db:
            yield View(db, self._clock, tenant)

    def snapshot(
        self, policies: Sequence[Policy] = (), asking: Asking | None = None
    ) -> Snapshot | None:
        """Everything that the metrics show of the store; None if it can't be read.

        The other metrics are needed most when the store is gone.
        """
        try:
            with self.view() as view:
                return view.snapshot(policies, asking)
        except StoreUnavailable:
            return None

    @contextmanager
    def _reading(self, *, narrowed: bool = False) -> Iterator[Connection]:
        options = {PAST_SQLALCHEMY: not narrowed} if self.alone else READING
        with self._connection(**options) as db:
            yield db

    @contextmanager
    def _writer(self) -> Iterator[None]:
        if not self.alone:
            yield
            return
        if not self._writing.take(LOCK_TIMEOUT_SECONDS):
            raise StoreUnavailable("the store is busy")
        try:
            yield
        finally:
            self._writing.give()

    @contextmanager
    def _connection(self, **options: object) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(**options) as db, db.begin():
                yield db
        except DRIVER_ERRORS as error:
            raise failure_of(error) from error

    def migrate(self) -> None:
        """Run the migrations that are due. Raises `StoreUnavailable`."""
        with self._connection(sqlite_begin="IMMEDIATE") as db:
            migrate(db)

    def _require_sessions(self) -> None:
        if self.alone:
            return
        try:
            require_sessions(self._engine)
        except DRIVER_ERRORS as error:
            raise failure_of(error) from error

    def _prepare(self, migrate: Callable[["Store"], None]) -> None:
        """Bring the tables up to date, and our ids behind those of the log."""
        with self._reading() as db:
            if not self.alone:
                require_fit(db)
            due = is_due(db)
        if due:
            migrate(self)
        with self._reading() as db:
            self._ids.start_after(db.scalar(select(func.max(decisions.c.id))) or 0)
        self._take_number()

    def _take_number(self) -> None:
        """Get this replica's number, which tells its decisions' ids from all others'."""
        if not self.alone:
            with self._connection() as db:
                self._ids.share(db.execute(NEXT_NUMBER).scalar_one())

    def free_bytes(self) -> int | None:
        """Room left for the database file; None if it is not ours to know."""
        if self._path is None:
            return None
        room = os.statvfs(self._path.parent)
        return room.f_bavail * room.f_frsize

    def require_room(self) -> None:
        """Raise `StoreUnavailable` below `storage.min_free`: retention must be able to work."""
        free = self.free_bytes()
        if free is None or free >= self._min_free:
            return
        # SQLite's file never shrinks: what retention freed within it is room too. But a part of
        # min_free must be on the disk itself, where the WAL grows.
        if 2 * free >= self._min_free and free + self._reusable_bytes() >= self._min_free:
            return
        raise StoreUnavailable(f"only {free} bytes are free, storage.min_free is {self._min_free}")

    def _reusable_bytes(self) -> int:
        """Room within the SQLite file that was given back by what was deleted."""
        with self._reading() as db:
            pages, size = (db.scalar(text(f"PRAGMA {name}")) for name in REUSABLE)
        return int(pages or 0) * int(size or 0)


def engine_of(url: str, *, network_filesystem: bool, url_file: Path | None = None) -> Engine:
    """The engine behind a storage URL. Raises `StoreRefused`."""
    path = sqlite_path(url)
    if path is None:
        return postgres_engine(url, patience=LOCK_TIMEOUT_SECONDS, url_file=url_file)
    return sqlite_engine(
        path, patience=LOCK_TIMEOUT_SECONDS, network_filesystem=network_filesystem
    )


REUSABLE = ("freelist_count", "page_size")

NEXT_NUMBER = text("SELECT nextval('replica_numbers')")
