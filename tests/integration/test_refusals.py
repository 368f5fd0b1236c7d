"""The log is append-only, and the database itself refuses what must not be."""

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.examples import alert

FAR_AWAY = 1 << 60


@pytest.fixture
def raw(history, url):
    """The database as any client with all rights sees it, with one decision in it."""
    history.deliver(alert())
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


SAME = "SELECT * FROM decisions"

FORGERIES = (
    "UPDATE decisions SET reason = 'unmatched'",
    "UPDATE decisions SET id = id + 1",
    "DELETE FROM decisions",
    f"INSERT INTO decisions {SAME} WHERE true ON CONFLICT (id) DO UPDATE SET detail = 'x'",
)
ON_SQLITE = (
    f"REPLACE INTO decisions {SAME}",
    f"INSERT OR REPLACE INTO decisions {SAME}",
)
ON_POSTGRESQL = ("TRUNCATE decisions",)


@pytest.mark.parametrize(
    ("url", "statement"),
    [
        *[("sqlite", statement) for statement in (*FORGERIES, *ON_SQLITE)],
        *[("postgresql", statement) for statement in (*FORGERIES, *ON_POSTGRESQL)],
    ],
    indirect=["url"],
)
def test_the_log_is_append_only(raw, statement):
    """The database refuses to change or delete a decision, whoever asks."""
    before = raw.exec_driver_sql(SAME).fetchall()

    with pytest.raises(DBAPIError, match=r"is written once|only retention deletes"):
        raw.exec_driver_sql(statement)

    assert raw.exec_driver_sql(SAME).fetchall() == before


def test_only_what_lies_before_the_horizon_can_be_deleted(raw):
    """Retention writes down first what it is going to forget."""
    raw.execute(text("INSERT INTO horizon VALUES (1, 0, 0)"))
    with pytest.raises(DBAPIError, match="only retention"):
        raw.execute(text("DELETE FROM decisions"))

    raw.execute(text("UPDATE horizon SET decisions_before = :far"), {"far": FAR_AWAY})
    raw.execute(text("DELETE FROM decisions"))

    assert raw.scalar(text("SELECT count(*) FROM decisions")) == 0


def test_skips_have_a_horizon_of_their_own(raw):
    """A decision that held or triggered stays as long as the operator said."""
    raw.execute(text("INSERT INTO horizon VALUES (1, 0, :far)"), {"far": FAR_AWAY})

    with pytest.raises(DBAPIError, match="only retention"):
        raw.execute(text("DELETE FROM decisions"))


def test_the_database_refuses_a_second_live_dispatch_of_a_model(raw):
    """The backstop behind the locks."""
    row = dict(raw.execute(text("SELECT * FROM dispatches")).mappings().one())

    with pytest.raises(DBAPIError, match=r"ux_dispatches_live_model|dispatches\.model"):
        insert(raw, "dispatches", {**row, "id": "another"})

    insert(raw, "dispatches", {**row, "id": "another", "state": "parked"})


@pytest.mark.parametrize(
    ("column", "value"), [("reason", "because"), ("outcome", "maybe"), ("source", "a friend")]
)
def test_the_database_refuses_words_that_we_do_not_use(raw, column, value):
    """Reasons, outcomes and sources are the documented ones."""
    row = dict(raw.execute(text(SAME)).mappings().one())

    with pytest.raises(DBAPIError, match="is_known"):
        insert(raw, "decisions", {**row, "id": 1, column: value})

    insert(raw, "decisions", {**row, "id": 1})


def insert(raw, table, row):
    marks = ", ".join(f":{name}" for name in row)
    raw.execute(text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"), row)  # noqa: S608
