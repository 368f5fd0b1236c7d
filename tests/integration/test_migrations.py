"""Tables are brought up to date once, by whoever comes first."""

import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from receiver.store.advisory_locks import PROGRAM, AdvisoryLock
from receiver.store.migrate import HEAD, KNOWN
from receiver.store.store import RowRefused, Store, StoreRefused, engine_of
from receiver.store.tables import metadata
from tests.postgres import Backdoor
from tests.waiting import GENEROUS, eventually

OPEN = (
    "import sys; from receiver.wiring import SystemClock; from receiver.store.store import Store; "
    "Store.open(sys.argv[1], SystemClock()).close(); "
    "print(any(name.startswith('alembic') for name in sys.modules))"
)


@pytest.fixture
def own_url(request, url):
    """The same as `url`, and nobody else uses it: what is done to it may stay."""
    if url.startswith("sqlite"):
        yield url
        return
    postgres, template = request.getfixturevalue("postgres"), request.getfixturevalue("template")
    with postgres.database(template) as name:
        yield postgres.url(name)


# Alembic hands SQLAlchemy what it reflected of a rule that is NOT VALID, and is warned of it.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
def test_the_migrations_make_the_tables_that_the_code_describes(store):
    """Nothing is in one that is not in the other."""
    with store._reading() as db:
        engine = db.dialect.name

        def of_this_engine(thing, _name, _kind, _reflected, _other):
            return thing.info.get("engine", engine) == engine

        options = {"compare_type": True, "include_object": of_this_engine}
        context = MigrationContext.configure(db, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_known_without_loading_alembic():
    """A start with tables up to date must not pay for Alembic."""
    scripts = ScriptDirectory("receiver/store/migrations")

    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == set(KNOWN)


def test_a_start_with_tables_up_to_date_loads_no_alembic(url):
    """It would cost memory and time for nothing."""
    command = [sys.executable, "-c", OPEN, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True)

    assert said.stdout == "False\n"


def test_tables_of_a_later_release_are_used_as_they_are(own_url, clock):
    """The release before still works on the new schema."""
    store = Store.open(own_url, clock)
    with store.begin() as tx:
        tx._db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()

    Store.open(own_url, clock).close()


def test_a_log_of_the_release_before_takes_the_new_reasons(tmp_path, clock, postgres):
    """Its rule is widened in place: every row, index and trigger stays, and words are refused."""
    with postgres.database() as name:
        for url in (f"sqlite:///{tmp_path}/receiver.db", postgres.url(name)):
            filled_by_the_release_before(url)

            store = Store.open(url, clock)

            with store.begin() as tx:
                tx._db.execute(text(DECISION), {"id": 2, "reason": "unconfirmed"})
                tx._db.execute(text(DECISION), {"id": 3, "reason": "silenced"})
                kept = list(tx._db.scalars(text("SELECT reason FROM decisions ORDER BY id")))
            for forbidden, values in (
                (DECISION, {"id": 4, "reason": "mood"}),
                ("UPDATE decisions SET reason = 'stale' WHERE id = :id", {"id": 1}),
                ("DELETE FROM decisions WHERE id = :id", {"id": 1}),
            ):
                with pytest.raises(RowRefused), store.begin() as tx:
                    tx._db.execute(text(forbidden), values)
            if store.alone:
                with store.begin() as tx:
                    assert tx._db.scalar(text("PRAGMA integrity_check")) == "ok"
            store.close()
            assert kept == ["triggered", "unconfirmed", "silenced"]


DECISION = (
    "INSERT INTO decisions (id, decided_at, source, alertname, fingerprint, reason, outcome, "
    "detail, gates, config_hash) VALUES (:id, 1, 'timer', '', '', :reason, 'hold', '', '[]', '')"
)


def filled_by_the_release_before(url):
    config = Config()
    config.set_main_option("script_location", "receiver/store/migrations")
    engine = engine_of(url, network_filesystem=False)
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "0007")
        db.execute(text(DECISION), {"id": 1, "reason": "triggered"})
    engine.dispose()


def test_of_replicas_that_start_together_one_migrates(postgres):
    """The others wait for as long as it takes, and find that nothing is left to do."""
    with postgres.database() as name, Backdoor(postgres, name) as backdoor:
        backdoor.execute(f"SELECT pg_advisory_lock({PROGRAM + AdvisoryLock.MIGRATE}, -2147483648)")
        command = [sys.executable, "-c", OPEN, postgres.url(name)]
        starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        eventually(lambda: backdoor.waiting() == 3)
        backdoor.execute("SELECT pg_advisory_unlock_all()")

        said = [process.communicate(timeout=GENEROUS)[0] for process in starting]

        assert [process.returncode for process in starting] == [0, 0, 0]
        assert sorted(said) == ["False\n", "False\n", "True\n"]
        assert backdoor.execute("SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_a_database_that_cannot_hold_every_text_is_refused(postgres, clock):
    """It is told at the start, not when the first label with an accent comes."""
    ascii_only = {"ENCODING": "'SQL_ASCII'", "LC_COLLATE": "'C'", "LC_CTYPE": "'C'"}
    if postgres.icu:
        ascii_only["LOCALE_PROVIDER"] = "libc"
    with (
        postgres.database("template0", **ascii_only) as name,
        pytest.raises(StoreRefused, match=r"SQL_ASCII.*ENCODING 'UTF8'"),
    ):
        Store.open(postgres.url(name), clock)
