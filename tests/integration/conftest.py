"""A store, a clock and a target for every test of the flows."""

import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from receiver.store.store import Store
from tests.commands import EVIL, run_here
from tests.described import DescribedPeer
from tests.fakes import FakeTarget, HandClock
from tests.histories import History
from tests.postgres import SharedDatabase, serving
from tests.posts import entry, post
from tests.replicas import Replicas
from tests.serving import host, serve

MEMORY = Path("/dev/shm")  # noqa: S108  Linux keeps it in memory


def pytest_terminal_summary(terminalreporter):
    """Tell what tests counted, in total: workers hand it over with their reports."""
    counted = Counter()
    for report in terminalreporter.getreports("passed"):
        counted.update(dict(report.user_properties))
    for what, number in counted.items():
        terminalreporter.write_line(f"{number:,} {what}")


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database with its tables; the tests copy it, for migrating each time takes long."""
    path = tmp_path_factory.mktemp("migrated") / "receiver.db"
    Store.open(f"sqlite:///{path}", HandClock()).close()
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder in memory where there is one: what the flows do needs no durable disk."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres):
    """A database on it with its tables, and nobody connected, so that it can be copied."""
    with postgres.database() as name:
        Store.open(postgres.url(name), HandClock()).close()
        yield name


@pytest.fixture(scope="session")
def shared(postgres, template):
    """The database that most tests on PostgreSQL use, one after the other."""
    with postgres.database(template) as name:
        shared = SharedDatabase(postgres, name)
        yield shared
        shared.close()


@pytest.fixture
def replicas(postgres, template):
    """Several replicas on a PostgreSQL database of their own."""
    with postgres.database(template) as name, Replicas(postgres, name) as replicas:
        yield replicas


@pytest.fixture
def sqlite_url(folder, migrated):
    shutil.copy(migrated, folder / "receiver.db")
    return f"sqlite:///{folder}/receiver.db"


@pytest.fixture
def postgres_url(shared):
    shared.empty()
    return shared.url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """An empty database with its tables, on each engine."""
    kind = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    return request.getfixturevalue(kind[request.param])


@pytest.fixture
def store(request, url, clock):
    if url.startswith("sqlite"):
        store = Store.open(url, clock)
        yield store
        store.close()
    else:
        engine = request.getfixturevalue("shared").store._engine
        store = Store(engine, clock, path=None, min_free=0)
        store._prepare(Store.migrate)
        yield store


@pytest.fixture
def target():
    return FakeTarget()


@pytest.fixture
def history(store, clock, target):
    return History(store, clock, target)


@pytest.fixture
def peer(history, tmp_path):
    """HTTP to the history's store; each answer must be as the OpenAPI document says."""
    with host(history, tmp_path) as plain:
        yield DescribedPeer(plain.url)


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A receiver that was told nothing, for questions that leave nothing behind."""
    folder = tmp_path_factory.mktemp("idle")
    store = Store.open(f"sqlite:///{folder}/receiver.db", HandClock())
    with host(History(store, HandClock(), FakeTarget()), folder) as plain:
        yield DescribedPeer(plain.url)
    store.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A receiver in a process of its own: two models in flight, and a stranger's alert."""
    with serve(tmp_path_factory.mktemp("served")) as receiver:
        receiver.post("/webhook", post(entry("42"), entry("43"), entry(name=EVIL)))
        receiver.post("/webhook", post(entry("42", name="LowModelR2")))
        yield receiver


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run a command here, as the installed one runs it."""
    return run_here(monkeypatch, capsys)


@pytest.fixture
def ask(cli, served):
    """Run a command that asks the served receiver."""
    return lambda *args: cli(*args, url=served.url)
