"""What only SQLite needs: one process, a local disk, room on it, durable commits."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver.core.alerts import Source
from receiver.flows.worker.retention import Ages, forget
from receiver.store.sqlite import WAL_BYTES
from receiver.store.store import Store, StoreRefused, StoreUnavailable
from tests.examples import alert, notification


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

    with store._reading() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "delete"
    store.close()


def test_commits_are_durable_before_they_are_acknowledged(store):
    """NORMAL would lose acknowledged rows on power loss: measured."""
    with store._reading() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2


def test_too_little_room_is_told_before_anything_is_stored(history, store):
    """503 then: retention must still be able to work."""
    store._min_free = 1 << 60

    with pytest.raises(StoreUnavailable, match="min_free"):
        history.deliver(alert())

    assert history.log() == []


def test_what_retention_freed_within_the_file_is_room(history, store):
    """The file never shrinks, so without it a full disk would refuse everything for ever."""
    store.free_bytes, store._min_free = lambda: 1_000_000, 1_500_000
    with pytest.raises(StoreUnavailable, match="min_free"):
        history.deliver(alert())

    with store.begin() as tx:
        tx._db.execute(text("CREATE TABLE filler AS SELECT zeroblob(1000000)"))
    with store.begin() as tx:
        tx._db.execute(text("DROP TABLE filler"))

    assert history.reasons(alert()) == ["triggered"]


def test_free_pages_in_the_file_do_not_make_up_for_a_full_disk(history, store):
    """The WAL grows on the disk itself, and retention must be able to write it."""
    store.free_bytes, store._min_free = lambda: 1_000_000, 3_000_000
    store._reusable_bytes = lambda: 1 << 60

    with pytest.raises(StoreUnavailable, match="min_free"):
        history.deliver(alert())


def test_the_wal_gives_back_what_it_grew_by(store, folder):
    """While somebody reads it only grows; afterwards it would take that room for ever."""
    wal = folder / "receiver.db-wal"
    with store._reading() as db:
        db.execute(text("SELECT count(*) FROM models"))
        with store.begin() as tx:
            tx._db.execute(text("CREATE TABLE filler AS SELECT zeroblob(30000000)"))
    grown = wal.stat().st_size
    for _ in range(3):
        with store.begin() as tx:
            tx._db.execute(text("INSERT INTO filler VALUES (1)"))

    assert grown > 30_000_000
    assert wal.stat().st_size <= WAL_BYTES


def test_to_forget_takes_little_room(history, store, folder):
    """On a disk that is nearly full there is none to overwrite what is deleted with zeros."""
    body = "x" * 5_000_000
    notice = notification(alert())
    with store.begin() as tx:
        tx.add_notifications(
            [("n", tx.now(), Source.ALERTMANAGER, "", replace(notice, body=body.encode()))]
        )
    with store._connection() as db:
        db.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    history.clock.pass_(timedelta(days=15))

    forget(store, Ages(), lambda: False)

    assert (folder / "receiver.db-wal").stat().st_size < len(body) / 2
