"""What the database refuses to store, and what it must store."""

from dataclasses import fields, replace
from datetime import timedelta
from random import Random
from string import ascii_letters

import pytest
from sqlalchemy import text

from receiver.core.alerts import LABELS_BYTES
from receiver.core.models import Model, PauseScope
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.operator import controls, dispatches
from receiver.flows.operator.acts import Act, NotFound
from receiver.flows.operator.controls import Named
from receiver.store.column_types import from_micros
from receiver.store.store import RowRefused, Store, StoreUnavailable
from receiver.store.views.decisions import DECISION_FILTERS
from receiver.store.views.dispatches import DISPATCH_FILTERS
from tests.examples import DRIFT, alert, notification, policy_set
from tests.fakes import NOON

DAY = timedelta(days=1)

TIMES = [field.name for field in fields(Model) if field.name.endswith(("_at", "_until"))]

LATER = """
INSERT INTO decisions (id, decided_at, source, alertname, fingerprint, reason, outcome, detail,
  gates, config_hash)
SELECT id + 1000000, decided_at + 1, 'moon', alertname, fingerprint, 'moonlight', 'wait', detail,
  gates, config_hash FROM decisions
"""
MODEL = PauseScope.MODEL


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
    """Labels survive as sent; the neighbours are decided; nothing is refused.

    As far as they are within their bound: test_label_bounds.py has what is over it.
    """
    text_ = text_[: LABELS_BYTES // 3]
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


@pytest.mark.parametrize("text_", NASTY.values(), ids=NASTY.keys())
def test_strangers_text_has_its_place_everywhere(history, text_):
    """In every field of a notification, in operators' words, in what is asked for."""
    odd = replace(
        notification(alert("1"), alert("2", name=text_, fingerprint="2")),
        receiver=text_,
        group_key=text_,
        status=text_,
        external_url=text_,
        notification_reason=text_,
        route_labels={text_: text_},
        body=text_.encode(errors="surrogatepass"),
    )
    book = policy_set(replace(DRIFT, matchers=()))
    act = Act(f"ana {text_}", text_, key=text_[:200], request="pause 1")
    nobody = Named("drift", {"user_id": "1"})

    (receipt,) = take_in(history.store, [arrive(odd, book, sender=text_)])
    first = controls.pause(history.store, book, act, MODEL, "1", length=None)
    again = controls.pause(history.store, book, act, MODEL, "1", length=None)

    assert [decision.reason.value for decision in receipt.decisions] == ["triggered", "triggered"]
    assert first == again
    fresh = replace(act, key=None)
    with pytest.raises(NotFound):
        controls.retrain(history.store, book, fresh, text_, nobody)
    with pytest.raises(NotFound):
        dispatches.abandon(history.store, book, fresh, text_)
    with history.store.view() as view:
        assert view.models.find(text_) is None
        assert view.dispatches.find(text_) is None
        assert view.models.page(after=text_, limit=5) is not None
        assert view.dispatches.page({}, before=text_, limit=5) is not None
        for name in DECISION_FILTERS:
            assert view.decisions.page({name: text_}, limit=5) is not None
        for name in DISPATCH_FILTERS:
            assert view.dispatches.page({name: text_}, limit=5) is not None


def test_a_name_too_long_for_an_index_does_not_block_its_neighbours(history):
    """PostgreSQL indexes texts of up to 2.7 kB; what is longer, and no repetition, is invalid."""
    endless = "".join(Random(1).choices(ascii_letters, k=20_000))  # noqa: S311  a text
    history.policy_set = policy_set(replace(DRIFT, matchers=()))

    reasons = history.reasons(alert("1"), alert("2", name=endless), alert("3"))

    assert [reasons[0], reasons[2]] == ["triggered", "triggered"]
    assert reasons[1] in {"triggered", "invalid"}


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
    refuse, accept = says[store._engine.dialect.name]
    with store.begin() as tx:
        tx._db.execute(text(refuse))
    yield "poison"
    with store.begin() as tx:
        tx._db.execute(text(accept))


def test_an_alert_that_the_database_refuses_leaves_its_neighbours_alone(history, poison):
    """The batch is committed again, alert by alert; what fails alone is invalid."""
    arrivals = [
        arrive(notification(alert("1")), history.policy_set),
        arrive(
            notification(alert("2"), alert("3", fingerprint=poison), alert("4")),
            history.policy_set,
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


def test_each_field_of_a_model_has_the_column_of_its_name(history):
    """Two times can't change places, neither on the way in nor on the way out."""
    history.deliver(alert())
    with history.store.begin() as tx:
        known = tx.lock_models(["42"])["42"]
        times = {name: NOON + number * DAY for number, name in enumerate(TIMES)}
        model = replace(known, **times, refusals=7)
        tx.save_models([model])
        row = tx._db.execute(text("SELECT * FROM models WHERE name = '42'")).one()

    assert {name: from_micros(row._mapping[name]) for name in TIMES} == times
    assert history.model() == model


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # it can be told not to check words
def test_the_log_is_readable_though_a_later_release_wrote_in_it(history):
    """Replicas are updated one after the other, and this one may lack a word."""
    history.deliver(alert())
    with history.store.begin() as tx:
        tx._db.execute(text("PRAGMA ignore_check_constraints = ON"))
        tx._db.execute(text(LATER))
        tx._db.execute(text("PRAGMA ignore_check_constraints = OFF"))

    assert [(row.reason, row.outcome) for row in history.log()] == [
        ("triggered", "trigger"),
        ("moonlight", "wait"),
    ]
    assert history.whole(history.log()[-1]).gates[-1]["rung"] == "triggered"
