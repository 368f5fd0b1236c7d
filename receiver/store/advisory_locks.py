"""Advisory locks: keep replicas from doing one thing at once (reload, pause, retention, ...)."""

from enum import IntEnum
from zlib import crc32

from sqlalchemy import Connection, Integer, Select, func, literal, select

PROGRAM = 727_620_000
"""Tells our locks from other programs' advisory locks in the same database."""


class AdvisoryLock(IntEnum):
    """Kinds of locks. Never renumber one: the release before takes them too."""

    MIGRATE = 1
    PAUSE = 2  # deciding shares it: nothing is decided while many models are paused or resumed
    CONFIGURE = 3
    FORGET = 4
    ANSWER = 5  # to one Idempotency-Key
    BUDGET = 6  # limits that count the runs of several models; taken behind the models' locks


class AdvisoryLocks:
    """A transaction's advisory locks.

    They are taken before models are locked, so that no two transactions wait for each other.
    `BUDGET` alone is taken when a model is about to trigger: behind it nothing more is locked.
    """

    _db: Connection

    def take_advisory_lock(
        self, lock: AdvisoryLock, name: str = "", *, shared: bool = False
    ) -> None:
        """Wait for the lock. Several can have it at the same time if each of them shares it."""
        take_advisory_lock(self._db, lock, name, shared=shared)

    def try_advisory_lock(self, lock: AdvisoryLock) -> bool:
        """Take the lock if nobody has it."""
        if self._db.dialect.name == "sqlite":
            return True
        return bool(self._db.scalar(_asking("pg_try_advisory_xact_lock", lock, "")))


def take_advisory_lock(
    db: Connection, lock: AdvisoryLock, name: str = "", *, shared: bool = False
) -> None:
    """Hold an advisory lock until the transaction ends. On SQLite a writer is alone anyway."""
    if db.dialect.name != "sqlite":
        db.execute(_asking(f"pg_advisory_xact_lock{'_shared' if shared else ''}", lock, name))


def _asking(function: str, lock: AdvisoryLock, name: str) -> Select[tuple[object]]:
    number = crc32(name.encode(errors="surrogatepass")) - 2**31  # the second key is signed
    keys = literal(PROGRAM + lock, Integer), literal(number, Integer)
    return select(getattr(func, function)(*keys))
