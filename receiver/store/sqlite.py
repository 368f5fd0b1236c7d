"""SQLite: one file on a local disk, one process, commits that survive power loss."""

import fcntl
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url

from receiver.store.compiled import sqlite_of
from receiver.store.errors import StoreRefused

WAL_BYTES = 16 * 1024 * 1024
"""What the WAL is cut back to once a long reader, or a large commit, has let it grow."""

NETWORK_FILESYSTEMS = ("nfs", "cifs", "smb", "fuse.", "9p", "ceph", "glusterfs", "lustre", "afs")


def sqlite_path(url: str) -> Path | None:
    """The file behind an sqlite URL, None for other engines."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise StoreRefused("storage.url must name a file, for example sqlite:///receiver.db")
    return Path(parsed.database).absolute()


def sqlite_engine(path: Path, *, patience: float, network_filesystem: bool) -> Engine:
    """An engine whose acknowledged commits survive power loss. Raises `StoreRefused`."""
    filesystem = filesystem_of(path.parent)
    remote = filesystem.startswith(NETWORK_FILESYSTEMS)
    if remote and not network_filesystem:
        raise StoreRefused(
            f"{path} lies on {filesystem}, where SQLite's WAL loses data; use a local disk, "
            "or set storage.network_filesystem: true"
        )
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": patience, "isolation_level": None},
        pool_size=16,
        max_overflow=16,
        pool_timeout=patience,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={'DELETE' if remote else 'WAL'}")
        # NORMAL would be many times faster, but loses acknowledged rows on power loss.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        # Debian's SQLite overwrites what is deleted with zeros: to forget a notification would
        # write as much as to store it, and on a disk that is nearly full there is no room for it.
        cursor.execute("PRAGMA secure_delete=FAST")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        sqlite_of(connection).execute(f"BEGIN {kind}")

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
