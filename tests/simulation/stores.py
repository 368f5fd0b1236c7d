"""The real store, in memory, given back fresh; its transactions can be interrupted."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Engine, event

from receiver.core.ids import ENTROPY_BYTES, time_id
from receiver.core.ports import Clock
from receiver.store.column_types import from_micros
from receiver.store.store import Store, Tx
from tests.fakes import HandClock
from tests.postgres import PostgresServer, SharedDatabase
from tests.simulation.plans import seeded

MEMORY = Path("/dev/shm")  # noqa: S108  Linux keeps it in memory

Interruption = Callable[[str], None]

UNSENT = "'pending', 'sending', 'unknown'"

DECISIONS = """
SELECT id, decided_at, source, policy, model, fingerprint, status, starts_at, reason, outcome,
       next_check_at, dispatch_id, notification_id, config_hash, comment, detail, alertname
FROM decisions WHERE id > {last} ORDER BY id"""

TRANSITIONS = """
SELECT t.dispatch_id, t.number, t.at, t.state, t.detail, d.model, d.policy
FROM transitions t JOIN dispatches d ON d.id = t.dispatch_id
ORDER BY t.at, t.dispatch_id, t.number"""

ROWS_OF_SQLITE = (
    "ORDER BY t.at, t.dispatch_id, t.number",
    "WHERE t.rowid > {last} ORDER BY t.rowid",
)
"""There new rows are found by their number; elsewhere all are read."""

DUE = f"""
SELECT 'timer' AS lane, min(next_check_at) AS due FROM models
UNION ALL SELECT 'timer', min(expires_at) FROM firing_alerts
UNION ALL SELECT 'send:' || target, min(due_at) FROM dispatches
  WHERE state IN ({UNSENT}) GROUP BY target
UNION ALL SELECT 'follow:' || target, min(due_at) FROM dispatches
  WHERE state = 'running' GROUP BY target
UNION ALL SELECT 'follow:' || target, min(report_due_at) FROM run_ends
  WHERE report_due_at IS NOT NULL GROUP BY target
UNION ALL SELECT 'announce:' || subscriber, min(due_at) FROM announcements
  WHERE state = 'pending' GROUP BY subscriber
UNION ALL SELECT 'ask:' || name, CASE WHEN leased_until > due_at THEN leased_until ELSE due_at END
  FROM sources
UNION ALL SELECT 'timer', CASE WHEN count(*) > 0 THEN 0 END FROM sweeps"""  # noqa: S608  our own words

WAITING = """
SELECT 1 FROM firing_alerts
WHERE held_by IN ('budget', 'storm') AND held_until IS NULL
   OR config_hash <> (SELECT hash FROM configs ORDER BY loaded_at DESC LIMIT 1) LIMIT 1"""
"""Alerts that are held until others do something, or until it was long enough ago; and those that
a replica with an old configuration decided."""

SHUT = "SELECT 1 FROM firing_alerts WHERE held_by = 'window' LIMIT 1"
"""Alerts that wait for the hours of their policy."""

EDGES = """
SELECT 'ordered' AS what, created_at AS since FROM dispatches
UNION ALL SELECT 'emptied', emptied_at FROM models WHERE emptied_at IS NOT NULL"""

MENDED = {
    "models": """
SELECT name, cooldown_until, backoff_until, observed_until, episode_started_at, emptied_at
FROM models""",
    "firing": """
SELECT fingerprint, expires_at, stale_until, held_by, held_until FROM firing_alerts""",
    "dispatches": "SELECT id, created_at, sent_at, ended_at, cooldown_before FROM dispatches",
    "approvals": "SELECT model, episode_started_at, expires_at FROM approvals",
    "pauses": "SELECT scope, name, until FROM pauses",
    "releases": "SELECT policy, released_at FROM storm_releases",
    "deliveries": "SELECT fingerprint, starts_at, decided_at FROM deliveries",
}
"""What a clock that was ahead may have written, and what it was mended to."""

INSTANTS = {
    "asked_at",
    "at",
    "backoff_until",
    "cooldown_before",
    "cooldown_until",
    "created_at",
    "decided_at",
    "due",
    "emptied_at",
    "ended_at",
    "episode_started_at",
    "expires_at",
    "held_until",
    "next_check_at",
    "observed_until",
    "released_at",
    "sent_at",
    "stale_until",
    "starts_at",
    "until",
}


class Interrupted(Store):
    """The real store, whose process may meet something before and after each transaction."""

    meets: Interruption
    written: Callable[[], None]
    chances: Random

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        self.meets("before a transaction")
        with super().begin() as tx:
            tx.new_id = lambda now: time_id(now, self.chances.randbytes(ENTROPY_BYTES))
            yield tx
        self.written()
        self.meets("after a transaction")


class Stores(Protocol):
    """Makes stores: one database, emptied for each history.

    Attributes:
        transitions: The query for those that are new since `{last}` of them, or for all.

    """

    transitions: str

    def fresh(self) -> None:
        """Forget what earlier histories left."""

    def open(self, clock: Clock, *, alone: bool = True) -> Interrupted:
        """What a process does at its start; not `alone` if others work on the store too."""

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        """Read what was committed."""


class SqliteStores:
    """A file in memory; the same engine serves every history, for its statements are compiled."""

    transitions = TRANSITIONS.replace(*ROWS_OF_SQLITE)

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self._first = Store.open(f"sqlite:///{self._folder}/receiver.db", HandClock())
        self._engine = self._first._engine
        event.listen(self._engine, "connect", not_durable)
        self._engine.dispose()
        self._raw: sqlite3.Connection = self._engine.raw_connection().driver_connection
        self._pristine = sqlite3.connect(":memory:")
        self._raw.backup(self._pristine)
        self._numbers = count()

    def fresh(self) -> None:
        self._pristine.backup(self._raw)
        self._numbers = count()

    def open(self, clock: Clock, *, alone: bool = True) -> Interrupted:
        store = opened(self._engine, clock)
        if not alone:  # the file belongs to one process; several agree on ids as on PostgreSQL
            store._ids.share(next(self._numbers))
        return store

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        cursor = self._raw.execute(query)
        names = [column[0] for column in cursor.description]
        instants = [place for place, name in enumerate(names) if name in INSTANTS]
        rows = [list(row) for row in cursor]
        for place in instants:
            for row in rows:
                if row[place] is not None:
                    row[place] = from_micros(row[place])
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Remove the file."""
        self._pristine.close()
        self._raw.close()
        self._first.close()
        shutil.rmtree(self._folder)


class PostgresStores:
    """A database on a server of our own, for a sample: each transaction takes longer there."""

    transitions = TRANSITIONS

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._shared = SharedDatabase(server, name)
        self._raw = psycopg.connect(
            self._shared.url.replace("postgresql+psycopg", "postgresql"),
            autocommit=True,
            row_factory=dict_row,
        )

    def fresh(self) -> None:
        self._shared.empty()

    def open(self, clock: Clock, *, alone: bool = True) -> Interrupted:
        del alone
        return opened(self._shared.store._engine, clock)

    def rows(self, query: str) -> list[Mapping[str, Any]]:
        return [readable(row) for row in self._raw.execute(query)]

    def close(self) -> None:
        """Give every connection back."""
        self._raw.close()
        self._shared.close()


def opened(engine: Engine, clock: Clock) -> Interrupted:
    """A store for a new process, on connections that are there already."""
    store = Interrupted(engine, clock, path=None, min_free=0)
    store._prepare(Store.migrate)
    store.meets = lambda _where: None
    store.written = lambda: None
    store.chances = seeded("opened")
    return store


def readable(row: dict[str, Any]) -> Mapping[str, Any]:
    """A row with its moments as moments."""
    for key in INSTANTS & row.keys():
        if row[key] is not None:
            row[key] = from_micros(row[key])
    return row


def not_durable(connection: Any, _record: Any) -> None:
    """Power loss is shown elsewhere; here only the order of commits counts."""
    connection.execute("PRAGMA synchronous=OFF")
