"""What the database itself refuses, and what it survives."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from receiver.core.dispatches import DispatchState
from receiver.flows.intake import arrive, take_in
from receiver.flows.retention import Ages, forget
from receiver.store import queries
from receiver.store.migrate import HEAD, KNOWN
from receiver.store.store import RowRefused, Store, StoreRefused, StoreUnavailable
from receiver.store.tables import metadata
from tests.examples import alert, notification
from tests.fakes import cut_before_accepting

DAY = timedelta(days=1)


@pytest.fixture
def raw(history, folder):
    """The file as any SQLite client sees it, with one decision in it."""
    history.deliver(alert())
    connection = sqlite3.connect(folder / "receiver.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET reason = 'unmatched'",
        "UPDATE decisions SET id = id + 1",
        "DELETE FROM decisions",
        "REPLACE INTO decisions SELECT * FROM decisions",
        "INSERT OR REPLACE INTO decisions SELECT * FROM decisions",
        (
            "INSERT INTO decisions SELECT * FROM decisions WHERE true "
            "ON CONFLICT (id) DO UPDATE SET detail = 'forged'"
        ),
    ],
)
def test_the_log_is_append_only(raw, statement):
    """The database refuses to change or delete a decision, whoever asks."""
    before = raw.execute("SELECT * FROM decisions").fetchall()

    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)

    assert raw.execute("SELECT * FROM decisions").fetchall() == before


def test_only_what_lies_before_the_horizon_can_be_deleted(raw):
    """Retention writes down first what it is going to forget."""
    raw.execute("INSERT INTO horizon VALUES (1, 0, 0)")
    with pytest.raises(sqlite3.IntegrityError, match="only retention"):
        raw.execute("DELETE FROM decisions")

    raw.execute("UPDATE horizon SET decisions_before = 1 << 60")
    raw.execute("DELETE FROM decisions")

    assert raw.execute("SELECT count(*) FROM decisions").fetchone() == (0,)


def test_the_database_refuses_a_second_live_dispatch_of_a_model(raw):
    """The backstop behind the locks."""
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(
            "INSERT INTO dispatches SELECT 'another', model, policy, target, kind, place, inputs,"
            " created_at, due_at, cooldown, settle, decision_id, alertname, ordered, overruled,"
            " cooldown_before, state, detail, attempt, in_doubt, accepted, absences, looks,"
            " doubt_since, sent_at, ended_at, run_id, run_url, claim FROM dispatches"
        )


@pytest.mark.parametrize(
    ("column", "value"), [("reason", "because"), ("outcome", "maybe"), ("source", "a friend")]
)
def test_the_database_refuses_words_that_we_do_not_use(raw, column, value):
    """Reasons, outcomes and sources are the documented ones."""
    row = dict(
        zip(
            [name for _, name, *_ in raw.execute("PRAGMA table_info(decisions)")],
            raw.execute("SELECT * FROM decisions").fetchone(),
            strict=True,
        )
    )
    row |= {"id": 1, column: value}
    marks = ", ".join("?" * len(row))

    with pytest.raises(sqlite3.IntegrityError, match="is_known"):
        raw.execute(f"INSERT INTO decisions VALUES ({marks})", list(row.values()))  # noqa: S608


def test_the_migrations_make_the_tables_that_the_code_describes(store):
    """Nothing is in one that is not in the other."""
    with store.read() as db:
        context = MigrationContext.configure(db, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_known_without_loading_alembic():
    """A start with tables up to date must not pay for Alembic."""
    scripts = ScriptDirectory("receiver/store/migrations")

    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == set(KNOWN)


def test_a_start_with_tables_up_to_date_loads_no_alembic(store, folder):
    """It would cost memory and time for nothing."""
    store.close()
    code = (
        "import sys; from receiver.wiring import SystemClock; from receiver.store.store import "
        f"Store; Store.open('sqlite:///{folder}/receiver.db', SystemClock()); "
        "print(any(name.startswith('alembic') for name in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == "False\n"


def test_tables_of_a_later_release_are_used_as_they_are(store, folder, clock):
    """The release before still works on the new schema."""
    with store.begin() as tx:
        tx._db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()

    Store.open(f"sqlite:///{folder}/receiver.db", clock).close()


def test_a_second_process_on_the_same_file_is_refused(store, folder, clock):
    """It would dispatch beside the first; the message says what to do."""
    with pytest.raises(StoreRefused, match=r"another process uses .* PostgreSQL"):
        Store.open(f"sqlite:///{folder}/receiver.db", clock)


def test_a_network_file_system_is_refused_unless_allowed(folder, clock, monkeypatch):
    """WAL loses data there; with the setting, the slower journal is used."""
    monkeypatch.setattr("receiver.store.store.filesystem_of", lambda _folder: "nfs4")
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


NASTY = {
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
    "bidi": "a\u202eb",
    "huge": "x" * 100_000,
    "quotes": "'; DROP TABLE decisions; --",
    "newlines": "a\r\nb\x1b[31m",
}


@pytest.mark.parametrize("text_", NASTY.values(), ids=NASTY.keys())
def test_strangers_text_is_stored_and_shown_exactly_where_it_matters(history, text_):
    """Labels survive as sent; the neighbours are decided; nothing is refused."""
    odd = replace(
        alert("1"), labels={"alertname": "HighModelMAE", "user_id": "1", "evil": text_, text_: "x"}
    )

    assert history.reasons(odd, alert("2")) == ["triggered", "triggered"]

    (row,) = history.log(model="1")
    assert row.labels["evil"] == text_
    history.run_to_its_end()
    history.clock.pass_(timedelta(hours=7))
    history.tick()
    assert len(history.dispatches(model="1")) == 2


def test_an_alert_that_the_database_refuses_leaves_its_neighbours_alone(history):
    """The batch is committed again, alert by alert; what fails alone is invalid."""
    with history.store.begin() as tx:
        tx._db.execute(
            text(
                "CREATE TRIGGER poison BEFORE INSERT ON decisions WHEN NEW.fingerprint = 'poison' "
                "BEGIN SELECT RAISE(ABORT, 'content'); END"
            )
        )
    arrivals = [
        arrive(notification(alert("1")), history.playbook),
        arrive(
            notification(alert("2"), alert("3", fingerprint="poison"), alert("4")),
            history.playbook,
        ),
    ]

    receipts = take_in(history.store, arrivals)

    reasons = [[d.reason.value for d in receipt.decisions] for receipt in receipts]
    assert reasons == [["triggered"], ["triggered", "invalid", "triggered"]]
    assert [row.reason for row in history.log(notification_id=receipts[1].notification_id)] == [
        "triggered",
        "invalid",
        "triggered",
    ]


def test_a_content_error_is_no_outage(store):
    """What the database refuses is told apart from a database that is gone."""
    with pytest.raises(RowRefused), store.begin() as tx:
        tx._db.execute(text("INSERT INTO models (name) VALUES ('x')"))
    with pytest.raises(StoreUnavailable), store.begin() as tx:
        tx._db.execute(text("SELECT * FROM nowhere"))


def ages(**changed):
    return replace(Ages(), **changed)


def test_retention_forgets_by_age_and_changes_no_decision(history):
    """Skips sooner than the rest; what deciding needs is not in the log."""
    history.deliver(alert("1"), alert("2", name="Watchdog"))
    history.run_to_its_end()
    until = history.model("1").cooldown_until

    history.clock.pass_(15 * DAY)
    forget(history.store, Ages(), lambda: False)
    assert [row.reason for row in history.log()] == ["triggered"]
    with history.store.read() as db:
        assert queries.raw_body(db, history.log()[0].seen_in) is None

    history.clock.pass_(90 * DAY)
    forget(history.store, Ages(), lambda: False)
    assert history.log() == []
    assert history.dispatches() == []
    assert history.model("1").cooldown_until == until


def test_retention_keeps_what_is_not_over(history):
    """A live or parked dispatch stays, however old."""
    history.target.accidents = [cut_before_accepting] * 3
    history.deliver(alert("1"))
    history.wait(timedelta(hours=1))
    history.deliver(alert("2"))
    history.clock.pass_(100 * DAY)

    forget(history.store, Ages(), lambda: False)

    assert history.states() == [DispatchState.PARKED, DispatchState.PENDING]


def test_retention_stops_when_the_process_ends(history):
    """A shutdown does not wait for millions of old rows."""
    history.deliver(alert("2", name="Watchdog"))
    history.clock.pass_(15 * DAY)

    assert forget(history.store, Ages(), lambda: True) == 0
    assert len(history.log()) == 1


def test_a_clock_that_goes_back_forgets_nothing_that_is_young(history):
    """Only what is old by its own time is deleted."""
    history.clock.jump(200 * DAY)
    history.deliver(alert("1"))
    history.clock.jump(-200 * DAY)
    history.deliver(alert("2"))

    forget(history.store, ages(decisions=DAY), lambda: False)

    assert {row.model for row in history.log()} == {"1", "2"}


def test_ids_grow_even_if_the_clock_goes_back_between_two_processes(history, folder):
    """The log's order is the order in which it was written."""
    history.deliver(alert("1"))
    history.store.close()
    history.clock.jump(-DAY)
    history.store = Store.open(f"sqlite:///{folder}/receiver.db", history.clock)

    history.deliver(alert("2"))

    assert [row.model for row in history.log()] == ["1", "2"]
    history.store.close()
