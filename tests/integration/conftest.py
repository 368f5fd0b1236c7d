"""A store, a clock and a target for every test of the flows."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from receiver.store.store import Store
from tests.fakes import FakeTarget, HandClock
from tests.histories import History

MEMORY = Path("/dev/shm")  # noqa: S108  Linux keeps it in memory


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


@pytest.fixture
def store(folder, clock, migrated):
    shutil.copy(migrated, folder / "receiver.db")
    store = Store.open(f"sqlite:///{folder}/receiver.db", clock)
    yield store
    store.close()


@pytest.fixture
def target():
    return FakeTarget()


@pytest.fixture
def history(store, clock, target):
    return History(store, clock, target)
