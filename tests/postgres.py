"""A PostgreSQL server of our own: started for the tests, in memory where there is room."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from receiver.store.store import Store
from tests.fakes import HandClock
from tests.waiting import eventually, free_port

MEMORY = Path("/dev/shm")  # noqa: S108  Linux keeps it in memory

SUPERUSER = "test"

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "16MB",
    # Power loss is shown elsewhere; here only what a restart keeps counts.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    # Our sessions must ask for durable commits by themselves.
    "synchronous_commit": "off",
    # A deadlock is to be told as such, not as a wait that took too long.
    "deadlock_timeout": "100ms",
}

WIPE = """
DO $$ DECLARE name text; BEGIN
    SET LOCAL session_replication_role = replica;  -- no trigger guards the log
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
END $$"""


def find_binaries() -> Path | None:
    """The folder that holds `initdb` and `pg_ctl`: Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts)
    return Path(found).resolve().parent if found else debian[-1].parent if debian else None


class PostgresServer:
    """One server, and the databases in it.

    Attributes:
        icu: Whether it orders text by ICU's rules, and not by those of C.

    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._numbers = count(1)
        # PostgreSQL refuses to run as root.
        self._user = _somebody() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self.icu = "--icu-locale" in self._run("initdb", "--help", data=False)
        # An order of text that is not Python's, as most installations have it.
        order = ["--locale-provider=icu", "--icu-locale=en-US"] if self.icu else []
        self._run(
            "initdb",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            *order,
        )

    def start(self, **changes: str) -> None:
        """Start it, and wait until it answers. `changes` are to our settings."""
        options = {**SETTINGS, **changes, "unix_socket_directories": str(self._folder)}
        said = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder}/log", f"--options={said}")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is as sudden as a crash."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def restart(self) -> None:
        """Let it crash, and start it again."""
        self.stop()
        self.start()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder / ".s.PGSQL.5432"

    def url(self, database: str, through: Path | None = None) -> str:
        """What an operator would write into `storage.url`; `through`: another socket's folder."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={through or self._folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """Connect as an administrator; each statement commits by itself."""
        return psycopg.connect(
            host=str(self._folder), user=SUPERUSER, dbname=database, autocommit=True
        )

    @contextmanager
    def database(self, template: str = "template1", **options: str) -> Iterator[str]:
        """Make a database; its name. It goes with the block."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as admin:
            settings = " ".join(f"{key} = {value}" for key, value in options.items())
            admin.execute(f"CREATE DATABASE {name} TEMPLATE = {template} {settings}")
        try:
            yield name
        finally:
            with self.connect() as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def pooled(self, database: str, mode: str, folder: Path) -> Iterator[str]:
        """Put PgBouncer before a database; the storage URL through it. Skips where it is missing.

        `folder` is for its own files; other users must be able to read there.
        """
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            missing = "no PgBouncer here: install the package pgbouncer"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        file, port = folder / "pgbouncer.ini", free_port()
        file.write_text(
            f"[databases]\n{database} = host={self._folder} user={SUPERUSER}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        )
        process = subprocess.Popen(
            [program, "-q", file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user.pw_uid if self._user else None,
        )
        try:
            eventually(lambda: listens(port))
            yield f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{port}/{database}"
        finally:
            process.terminate()
            process.wait()

    def _run(self, program: str, *arguments: str, data: bool = True) -> str:
        place = [f"--pgdata={self._folder}/data"] if data else []
        done = subprocess.run(
            [self._binaries / program, *arguments, *place],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if not data or program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            log = self._folder / "log"
            told = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stdout or ''}{told}")
        return done.stdout or ""


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _somebody() -> pwd.struct_passwd:
    """Find a user that is not root: the package's own, if it is installed."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@contextmanager
def serving() -> Iterator[PostgresServer]:
    """Run a server; skip what needs one where there is none, but never in CI."""
    binaries = find_binaries()
    if binaries is None:
        missing = "no PostgreSQL here: install the package postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        server = PostgresServer(binaries, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


class SharedDatabase:
    """A database with its tables, emptied for each test: that is faster than a copy of it.

    Attributes:
        store: A store on it, whose connections and compiled statements serve all tests.

    """

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.url = server.url(name)
        self.store = Store.open(self.url, HandClock())
        self._connect = lambda: server.connect(name)
        self._admin = self._connect()

    def empty(self) -> None:
        """Forget what earlier tests left."""
        try:
            self._admin.execute(WIPE)
        except psycopg.OperationalError:  # a test restarted the server
            self._admin.close()
            self._admin = self._connect()
            self._admin.execute(WIPE)

    def close(self) -> None:
        """Give all connections back."""
        self._admin.close()
        self.store.close()


class Backdoor:
    """Looks at a database from outside: who waits there, and what is locked."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._admin = server.connect(name)
        self._admin.execute("SET lock_timeout = '5s'")

    def waiting(self) -> int:
        """How many transactions wait for another's locks."""
        row = self._admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def is_locked(self, model: str) -> bool:
        """Whether a transaction holds the model."""
        query = "SELECT 1 FROM models WHERE name = %s FOR UPDATE SKIP LOCKED"
        return self._admin.execute(query, [model]).fetchone() is None

    def execute(self, statement: str) -> list[Any]:
        """Do what an administrator may do; the rows, if there are any."""
        said = self._admin.execute(statement)
        return said.fetchall() if said.description else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()
