"""The store: one database, opened, locked, migrated; transactions that write."""

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from receiver.core.ids import ENTROPY_BYTES, time_id
from receiver.core.ports import Clock
from receiver.store.column_types import to_micros
from receiver.store.dispatch_rows import DispatchRows
from receiver.store.log_rows import LogRows
from receiver.store.model_rows import ModelRows
from receiver.store.retention_rows import RetentionRows
from receiver.store.tables import decisions

LOCK_TIMEOUT_SECONDS = 5
"""How long a transaction waits for another's locks before the caller is told 503."""

NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "fuse.", "9p", "ceph", "glusterfs", "lustre", "afs")


class StoreUnavailable(Exception):  # noqa: N818  says what is true
    """The store can't commit now (gone, locked, full); nothing was stored. Try again."""


class RowRefused(Exception):  # noqa: N818  says what is true
    """The database refuses what was to be stored: its content is at fault, not the store."""


class StoreRefused(Exception):  # noqa: N818  says what is true
    """The store can't be used at all; the message says what to change."""


class Tx(ModelRows, DispatchRows, LogRows, RetentionRows):
    """One transaction: the writes, and the reads that decide. Times come from `now`."""

    def __init__(self, db: Connection, clock: Clock, ids: "DecisionIds") -> None:
        self._db = db
        self._clock = clock
        self._ids = ids

    def now(self) -> datetime:
        """The time that deciding uses. Ask for it after the locks are taken."""
        return self._clock.now()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of this transaction that can fail alone. Raises `RowRefused`."""
        try:
            with self._db.begin_nested():
                yield
        except OperationalError:
            raise
        except (StatementError, OverflowError, UnicodeError) as error:
            raise RowRefused(cause(error)) from error

    def undo(self) -> None:
        """Forget everything that this transaction did; it ends here."""
        self._db.rollback()

    def new_id(self, now: datetime) -> str:
        """A fresh id for a dispatch or a notification."""
        return time_id(now, secrets.token_bytes(ENTROPY_BYTES))

    def decision_id(self, now: datetime) -> int:
        """A fresh id for a decision, larger than all before it."""
        return self._ids.take(now)


class DecisionIds:
    """Numbers that are the time in microseconds, and grow even if the clock goes back."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def start_after(self, last: int) -> None:
        """Continue behind what the log holds."""
        with self._lock:
            self._last = max(self._last, last)

    def take(self, now: datetime) -> int:
        """The next number."""
        with self._lock:
            self._last = max(self._last + 1, to_micros(now))
            return self._last


class Store:
    """One database. Each thread begins its own transactions."""

    def __init__(self, engine: Engine, clock: Clock, *, path: Path | None, min_free: int) -> None:
        self.engine = engine
        self._clock = clock
        self._path = path
        self._min_free = min_free
        self._ids = DecisionIds()
        self._file_lock: IO[str] | None = None
        # SQLite has one writer; its own waiting is by sleeping, ours is in order and at once.
        self._writing = threading.Lock()

    @classmethod
    def open(
        cls, url: str, clock: Clock, *, min_free: int = 0, network_filesystem: bool = False
    ) -> "Store":
        """Open the database, alone, and bring its tables up to date. Raises `StoreRefused`."""
        from receiver.store.migrate import migrate  # noqa: PLC0415  it knows Store's tables

        path = sqlite_path(url)
        if path is None:
            raise StoreRefused(f"{make_url(url).drivername} is not supported yet; use sqlite:///")
        filesystem = filesystem_of(path.parent)
        remote = filesystem.startswith(NETWORK_FILESYSTEMS)
        if remote and not network_filesystem:
            raise StoreRefused(
                f"{path} lies on {filesystem}, where SQLite's WAL loses data; use a local disk, "
                "or set storage.network_filesystem: true"
            )
        engine = sqlite_engine(path, wal=not remote)
        store = cls(engine, clock, path=path, min_free=min_free)
        store._file_lock = lock_file(path)
        migrate(engine)
        with store.read() as db:
            store._ids.start_after(db.scalar(select(func.max(decisions.c.id))) or 0)
        return store

    def close(self) -> None:
        """Give the database back."""
        self.engine.dispose()
        if self._file_lock is not None:
            self._file_lock.close()

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """One writing transaction: all of it, or nothing. Raises `StoreUnavailable`."""
        if not self._writing.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise StoreUnavailable("the store is busy")
        try:
            with self._connection(begin="IMMEDIATE") as db:
                yield Tx(db, self._clock, self._ids)
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One view of the store that does not change meanwhile. Raises `StoreUnavailable`."""
        with self._connection(begin="DEFERRED") as db:
            yield db

    @contextmanager
    def _connection(self, *, begin: str) -> Iterator[Connection]:
        try:
            with (
                self.engine.connect().execution_options(sqlite_begin=begin) as db,
                db.begin(),
            ):
                yield db
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise StoreUnavailable(cause(error)) from error
        except (StatementError, OverflowError, UnicodeError) as error:
            raise RowRefused(cause(error)) from error

    def now(self, _db: Connection) -> datetime:
        """The time that deciding uses."""
        return self._clock.now()

    def free_bytes(self) -> int | None:
        """Room left for the database file; None if it is not ours to know."""
        if self._path is None:
            return None
        room = os.statvfs(self._path.parent)
        return room.f_bavail * room.f_frsize

    def require_room(self) -> None:
        """Raise `StoreUnavailable` below `storage.min_free`: retention must be able to work."""
        free = self.free_bytes()
        if free is not None and free < self._min_free:
            raise StoreUnavailable(
                f"only {free} bytes are free, storage.min_free is {self._min_free}"
            )


def cause(error: Exception) -> str:
    """The driver's own words, without the statement and its parameters."""
    if isinstance(error, PoolTimeout):
        return "no connection is free"
    origin = error.orig if isinstance(error, StatementError) and error.orig else error
    return next(iter(str(origin).splitlines()), type(origin).__name__)


def sqlite_path(url: str) -> Path | None:
    """The file behind an sqlite URL, None for other engines."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise StoreRefused("storage.url must name a file, for example sqlite:///receiver.db")
    return Path(parsed.database).absolute()


def sqlite_engine(path: Path, *, wal: bool) -> Engine:
    """An engine whose acknowledged commits survive power loss."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "isolation_level": None},
        pool_size=16,
        max_overflow=16,
        pool_timeout=LOCK_TIMEOUT_SECONDS,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # NORMAL would be many times faster, but loses acknowledged rows on power loss.
        cursor.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def lock_file(path: Path) -> IO[str]:
    """Refuse a second process on the same file: it would dispatch beside us."""
    try:
        lock = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise StoreRefused(f"{path.parent} can't be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreRefused(
            f"another process uses {path}; stop it, give this one its own storage.url, "
            "or use PostgreSQL for several replicas"
        ) from error
    return lock


def filesystem_of(folder: Path) -> str:
    """The type of the file system that holds a folder (`ext4`, `nfs4`); empty if unknown."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    folder = folder.resolve()
    best, kind = -1, ""
    for line in mounts:
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split()[0]
    return kind
