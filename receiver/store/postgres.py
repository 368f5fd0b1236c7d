"""PostgreSQL: one database that several replicas share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Engine,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.exc import ArgumentError

from receiver.secret_files import BadFile, read_secret
from receiver.store.errors import StoreRefused

CONNECTING: dict[str, Any] = {
    "application_name": "retrain-receiver",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    # A host that vanished sends no reset: without these we would wait for it for hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Settings of a connection, unless the URL has them."""

SESSION = """
SELECT set_config('lock_timeout', '{patience}s', false),
       set_config('statement_timeout', '30s', false),
       -- A replica that stands still must not hold its models for longer than this.
       set_config('idle_in_transaction_session_timeout', '30s', false),
       set_config('TimeZone', 'UTC', false),
       -- A queue is empty for weeks and holds thousands an hour later. A plan made once for any
       -- state and any moment could not use the indexes of the few rows that are live.
       set_config('plan_cache_mode', 'force_custom_plan', false),
       -- What our longer statements cost is much overestimated: to compile them took PostgreSQL
       -- ten times as long as to run them.
       set_config('jit', 'off', false),
       -- What is acknowledged must survive power loss. A stronger setting is left alone.
       CASE current_setting('synchronous_commit')
       WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""

TURNS = 3
"""How often two connections take turns: other clients of a pooler may take a backend between."""

BACKEND = select(func.pg_backend_pid(), func.pg_postmaster_start_time())

READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""A view that does not change meanwhile."""

CLOCK = select(func.clock_timestamp(type_=DateTime(timezone=True)))


def postgres_engine(url: str, *, patience: int, url_file: Path | None = None) -> Engine:
    """An engine that survives restarts of its server. Raises `StoreRefused`.

    Each new connection is made with the user and the password that `url_file` has by then.
    """
    query = make_url(url).query
    try:
        engine = create_engine(
            url,
            connect_args={name: CONNECTING[name] for name in CONNECTING if name not in query},
            # What was locked is read by later statements, and those must see what was committed
            # while we waited for the lock.
            isolation_level="READ COMMITTED",
            # Three replicas at their peak stay below the usual limit of 100 connections.
            pool_size=8,
            max_overflow=16,
            pool_timeout=patience,
            pool_pre_ping=True,
            pool_use_lifo=True,
            use_native_hstore=False,
        )
    except ModuleNotFoundError as error:
        raise StoreRefused(
            f"{error.name} is not installed; PostgreSQL needs retrain-receiver[postgresql]"
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute(SESSION.format(patience=patience)).close()
        connection.autocommit = False

    if url_file is not None:

        @event.listens_for(engine, "do_connect")
        def log_in(_dialect: Any, _record: Any, _arguments: Any, settings: dict[str, Any]) -> None:
            now = present_url(engine.url, url_file)
            login = {"user": now.username, "password": now.password}
            # What the address leaves out may come from its query, or from the environment.
            settings |= {name: value for name, value in login.items() if value is not None}

    return engine


def present_url(url: URL, url_file: Path | None) -> URL:
    """The address with the user and the password that its file has now.

    Where the file can't be used those of the start are tried; so too where it leads to another
    database, which is another store and for the next start.
    """
    if url_file is None:
        return url
    try:
        found = make_url(read_secret(url_file))
    except (BadFile, ArgumentError):
        return url
    if _place(found) != _place(url):
        return url
    return url.set(username=found.username, password=found.password)


def _place(url: URL) -> tuple[object, ...]:
    return url.host, url.port, url.database, url.query


def require_fit(db: Connection) -> None:
    """Refuse a database that can't hold what strangers write. Raises `StoreRefused`."""
    encoding = db.scalar(sql("SELECT current_setting('server_encoding')"))
    if encoding != "UTF8":
        raise StoreRefused(
            f"the database's encoding is {encoding}; create it anew with ENCODING 'UTF8'"
        )


def require_sessions(engine: Engine) -> None:
    """Refuse a pooler that lends each transaction another session. Raises `StoreRefused`.

    Our time-outs and prepared statements belong to a session. Two connections that take turns must
    each keep a backend of its own: behind PgBouncer in transaction mode they share, or swap, them.
    """
    with engine.connect() as one, engine.connect() as two:
        seen = [(_backend(one), _backend(two)) for _ in range(TURNS)]
    if len(set(seen)) > 1 or seen[0][0] == seen[0][1]:
        raise StoreRefused(
            "a pooler between us and the database lends each transaction another session "
            "(PgBouncer with pool_mode = transaction), but our time-outs and prepared statements "
            "belong to sessions; write pool_mode = session for this database, or let storage.url "
            "lead to PostgreSQL itself"
        )


def _backend(db: Connection) -> tuple[object, ...]:
    """The process that serves this transaction; of several servers two may have one number."""
    with db.begin():
        return tuple(db.execute(BACKEND).one())


def database_time(db: Connection) -> datetime:
    """The one clock that all replicas share, now; `now()` would be the transaction's beginning."""
    return db.execute(CLOCK).scalar_one().astimezone(UTC)
