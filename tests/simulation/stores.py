"""The real store, in memory, given back fresh; its transactions can be interrupted."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Protocol

from sqlalchemy import Engine, event, func, select

from receiver.core.ids import ENTROPY_BYTES, time_id
from receiver.core.ports import Clock
from receiver.store.column_types import from_micros
from receiver.store.store import DecisionIds, Store, Tx
from receiver.store.tables import decisions
from tests.fakes import HandClock

MEMORY = Path("/dev/shm")  # noqa: S108  Linux keeps it in memory

Interruption = Callable[[str], None]

UNSENT = "'pending', 'sending', 'unknown'"

DECISIONS = """
SELECT id, decided_at, source, policy, model, fingerprint, status, starts_at, reason, outcome,
       next_check_at, dispatch_id, notification_id, config_hash, comment, detail, alertname
FROM decisions WHERE id > {last} ORDER BY id"""

TRANSITIONS = """
SELECT t.rowid AS row, t.dispatch_id, t.number, t.at, t.state, t.detail, d.model, d.policy,
       d.decision_id, d.ordered
FROM transitions t JOIN dispatches d ON d.id = t.dispatch_id
WHERE t.rowid > {last} ORDER BY t.rowid"""

DUE = f"""
SELECT 'timer' AS lane, min(next_check_at) AS due FROM models
UNION ALL SELECT 'timer', min(expires_at) FROM firing_alerts
UNION ALL SELECT 'send:' || target, min(due_at) FROM dispatches
  WHERE state IN ({UNSENT}) GROUP BY target
UNION ALL SELECT 'follow:' || target, min(due_at) FROM dispatches
  WHERE state = 'running' GROUP BY target"""  # noqa: S608  our own words

INSTANTS = {"decided_at", "starts_at", "next_check_at", "at", "due"}


class Interrupted(Store):
    """The real store, whose process may meet something before and after each transaction."""

    meets: Interruption
    written: Callable[[], None]
    chances: Random
    clock: Clock

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        self.meets("before a transaction")
        with super().begin() as tx:
            tx.new_id = lambda now: time_id(now, self.chances.randbytes(ENTROPY_BYTES))
            tx.now = self.clock.now
            yield tx
        self.written()
        self.meets("after a transaction")

    def now(self, _db: Any) -> Any:
        return self.clock.now()


class Stores(Protocol):
    """Makes stores: one database, emptied for each history."""

    def fresh(self) -> None:
        """Forget what earlier histories left."""

    def open(self, clock: Clock, *, alone: bool = True) -> Interrupted:
        """What a process does at its start; not `alone` if others work on the store too."""

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        """Read what was committed."""


class SqliteStores:
    """A file in memory; the same engine serves every history, for its statements are compiled."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        first = Store.open(f"sqlite:///{self._folder}/receiver.db", HandClock())
        self._first = first
        self.engine: Engine = first.engine
        event.listen(self.engine, "connect", not_durable)
        self.engine.dispose()
        self._raw: sqlite3.Connection = self.engine.raw_connection().driver_connection
        self._raw.row_factory = sqlite3.Row
        self._pristine = sqlite3.connect(":memory:")
        self._raw.backup(self._pristine)

    def fresh(self) -> None:
        self._pristine.backup(self._raw)
        self._ids = DecisionIds()

    def open(self, clock: Clock, *, alone: bool = True) -> Interrupted:
        store = Interrupted(self.engine, clock, path=None, min_free=0)
        if not alone:  # the file belongs to one process; what several need to agree on is theirs
            store._ids = self._ids
        with self.engine.connect() as db:
            store._ids.start_after(db.scalar(select(func.max(decisions.c.id))) or 0)
        store.clock = clock
        return store

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        return [readable(row) for row in self._raw.execute(query)]

    def close(self) -> None:
        """Remove the file."""
        self._pristine.close()
        self._raw.close()
        self._first.close()
        shutil.rmtree(self._folder)


def readable(row: Any) -> Mapping[str, Any]:
    """A row by names, its moments as moments."""
    return {
        key: from_micros(row[key]) if key in INSTANTS and row[key] is not None else row[key]
        for key in row.keys()  # noqa: SIM118  sqlite3.Row is no mapping
    }


def not_durable(connection: Any, _record: Any) -> None:
    """Power loss is shown elsewhere; here only the order of commits counts."""
    connection.execute("PRAGMA synchronous=OFF")
