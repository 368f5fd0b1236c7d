"""What only SQLite needs: one process, a local disk, room on it, durable commits."""

import pytest
from sqlalchemy import text

from receiver.store.store import Store, StoreRefused, StoreUnavailable
from tests.examples import alert


@pytest.fixture
def url(sqlite_url):
    return sqlite_url


def test_a_second_process_on_the_same_file_is_refused(store, folder, clock):
    """It would dispatch beside the first; the message says what to do."""
    with pytest.raises(StoreRefused, match=r"another process uses .* PostgreSQL"):
        Store.open(f"sqlite:///{folder}/receiver.db", clock)


def test_a_network_file_system_is_refused_unless_allowed(folder, clock, monkeypatch):
    """WAL loses data there; with the setting, the slower journal is used."""
    monkeypatch.setattr("receiver.store.sqlite.filesystem_of", lambda _folder: "nfs4")
    url = f"sqlite:///{folder}/remote.db"
    with pytest.raises(StoreRefused, match="network_filesystem: true"):
        Store.open(url, clock)

    store = Store.open(url, clock, network_filesystem=True)

    with store.read() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "delete"
    store.close()


def test_commits_are_durable_before_they_are_acknowledged(store):
    """NORMAL would lose acknowledged rows on power loss: measured."""
    with store.read() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2


def test_too_little_room_is_told_before_anything_is_stored(history, store):
    """503 then: retention must still be able to work."""
    store._min_free = 1 << 60

    with pytest.raises(StoreUnavailable, match="min_free"):
        history.deliver(alert())

    assert history.log() == []
