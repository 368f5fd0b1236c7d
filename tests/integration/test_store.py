"""What the database refuses to store, and what it must store."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver.flows.intake import arrive, take_in
from receiver.store.store import RowRefused, Store, StoreUnavailable
from tests.examples import alert, notification

DAY = timedelta(days=1)


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


@pytest.fixture
def poison(store):
    """A fingerprint that the database refuses."""
    says = {
        "sqlite": (
            "CREATE TRIGGER poison BEFORE INSERT ON decisions WHEN NEW.fingerprint = 'poison' "
            "BEGIN SELECT RAISE(ABORT, 'content'); END",
            "DROP TRIGGER poison",
        ),
        "postgresql": (
            "ALTER TABLE decisions ADD CONSTRAINT poison CHECK (fingerprint <> 'poison')",
            "ALTER TABLE decisions DROP CONSTRAINT poison",
        ),
    }
    refuse, accept = says[store.engine.dialect.name]
    with store.begin() as tx:
        tx._db.execute(text(refuse))
    yield "poison"
    with store.begin() as tx:
        tx._db.execute(text(accept))


def test_an_alert_that_the_database_refuses_leaves_its_neighbours_alone(history, poison):
    """The batch is committed again, alert by alert; what fails alone is invalid."""
    arrivals = [
        arrive(notification(alert("1")), history.playbook),
        arrive(
            notification(alert("2"), alert("3", fingerprint=poison), alert("4")),
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


def test_ids_grow_even_if_the_clock_goes_back_between_two_processes(history, url):
    """The log's order is the order in which it was written."""
    history.deliver(alert("1"))
    history.store.close()
    history.clock.jump(-DAY)
    history.store = Store.open(url, history.clock)

    history.deliver(alert("2"))

    assert [row.model for row in history.log()] == ["1", "2"]
    history.store.close()
