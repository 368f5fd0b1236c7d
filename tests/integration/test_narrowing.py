"""A narrowed view holds nothing but a tenant's rows, whatever is read through it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, text

from receiver.core.tenants import Tenant
from receiver.store.compiled import Compiled
from receiver.store.model_rows import NAMES
from receiver.store.narrowing import NARROWED
from receiver.store.tables import (
    announcements,
    approvals,
    metadata,
    models,
    pauses,
    rejections,
    sightings,
)
from receiver.store.views import decisions as log_of
from tests.examples import alert
from tests.fakes import NOON

MINE = Tenant.of({"user_id": "mine"})

# What a tenant of {user_id: mine} could be taken for, by whoever looks for a text in the JSON.
STRANGE = [
    {"user_id": "mine2"},
    {"user_id": "not mine"},
    {"user_id": 'mine"'},
    {"user_id": "mine\\"},
    {"other_user_id": "mine"},
    {'x"user_id': "mine"},
    {'x,"user_id': "mine"},
    {'{"user_id': "mine"},
    {"note": '{"user_id":"mine"'},
    {"note": ',"user_id":"mine"'},
    {"note": ',"user_id":"mine","'},
    {"user_id": "x", "note": '\\,"user_id":"mine"'},
    {"note\\": ',"user_id":"mine"'},
    {"user_id": "", "mine": "user_id"},
    {},
]
OURS = [{"user_id": "mine"}, {"a": "b", "user_id": "mine"}, {"user_id": "mine", "z": "\0\ud800é"}]


# What a short history leaves no row in.
OF_FOREIGN = [
    (
        pauses,
        {"scope": "model", "name": "foreign", "since": NOON, "actor": "a", "comment": "b"},
    ),
    (
        approvals,
        {"model": "foreign", "episode_started_at": NOON, "rung": "approval", "asked_at": NOON},
    ),
    (
        sightings,
        {
            "fingerprint": "HighModelMAE-foreign",
            "source": "main",
            "starts_at": NOON,
            "misses": 0,
            "refused": False,
        },
    ),
    (
        announcements,
        {
            "id": "a",
            "subscriber": "b",
            "kind": "parked",
            "model": "foreign",
            "at": NOON,
            "data": {},
            "due_at": NOON,
            "state": "given_up",
            "tries": 1,
            "claim": 1,
            "detail": "c",
        },
    ),
    (
        rejections,
        {
            "received_at": NOON,
            "sender": "a",
            "status_code": 400,
            "detail": "b",
            "size": 1,
            "body": b"c",
        },
    ),
]


def put(store, rows):
    with store.begin() as tx:
        for number, labels in enumerate(rows):
            row = {"name": f"m{number}", "labels": labels, "refusals": 0}
            tx._db.execute(insert(models).values(row))


def test_a_label_is_compared_whole(store):
    """Name and value; no text in another label is taken for one."""
    put(store, OURS + STRANGE)

    with store.view(MINE) as view:
        assert list(view._moment.theirs) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("value", ["mine", 'a"b', "a\\", 'a\\"b', "é", "\0", "%s", "?", "'", ","])
def test_any_value_is_found_and_no_other(store, value):
    """Quotes, backslashes and drivers' signs are text like any other."""
    rows = [{"user_id": value}, {"user_id": value + "x"}, {"user_id": "x" + value}, {"x": value}]
    put(store, rows)

    with store.view(Tenant.of({"user_id": value})) as view:
        assert list(view._moment.theirs) == ["m0"]


def counts(store, tenant):
    """How many rows of each table there are for them."""
    with store.view(tenant) as view:
        return {
            name: view._moment.db.scalar(select(func.count()).select_from(table))
            for name, table in metadata.tables.items()
        }


def test_every_table_is_narrowed_or_empty(history):
    """Counted through the view: of somebody else's history nothing is left in any table."""
    history.deliver(alert(user_id="foreign"), alert(user_id="foreign", name="LowModelR2"))
    history.run_to_its_end()
    with history.store.begin() as tx:
        for table, row in OF_FOREIGN:
            tx._db.execute(insert(table).values(row))

    nobodys = counts(history.store, Tenant.of({"user_id": "nobody"}))
    theirs = counts(history.store, Tenant.of({"user_id": "foreign"}))

    assert nobodys == dict.fromkeys(metadata.tables, 0)
    whole = counts(history.store, None)
    assert theirs == {name: whole[name] if name in NARROWED else 0 for name in whole}
    assert all(whole[name] for name in NARROWED)


def test_nothing_but_reads_goes_through(store):
    """What is no SELECT could not be narrowed, and fails."""
    for statement in ("DELETE FROM models", "TABLE models", "VALUES (1)"):
        with (
            pytest.raises(AssertionError, match="only reads"),
            store.view(MINE) as view,
        ):
            view._moment.db.execute(text(statement))


COUNTED = Compiled(select(func.count()).select_from(models))

WITHIN = text("WITH x AS (SELECT name FROM models) SELECT count(*) FROM x")


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(COUNTED.value, id="compiled"),
        pytest.param(lambda db: db.scalar(WITHIN), id="with tables of its own"),
        pytest.param(lambda db: len(NAMES.chosen(db, ["m0", "m3"])), id="chosen"),
    ],
)
def test_however_it_is_asked_it_is_narrowed(store, count):
    """Also what runs on the driver elsewhere, and a query that defines tables of its own."""
    put(store, STRANGE)

    with store.view(MINE) as view:
        assert count(view._moment.db) == 0
    with store.view() as view:
        assert count(view._moment.db) > 0


def test_the_next_view_is_whole_again(history):
    """Connections are used again; a tenant's limit is not."""
    history.deliver(alert(user_id="foreign"))

    for tenant, count in ((MINE, 0), (None, 1), (MINE, 0), (None, 1)):
        with history.store.view(tenant) as view:
            assert len(view.decisions.page({}, limit=10).rows) == count


@pytest.mark.parametrize("most", [0, 100])
@pytest.mark.parametrize("filters", [{}, {"reason": "triggered"}, {"status": "firing"}])
def test_few_models_are_found_as_many_are(history, monkeypatch, most, filters):
    """Whichever way a page is read, it has the same rows, and so have all pages together."""
    monkeypatch.setattr(log_of, "MOST_WALKS", most)
    tenant = (
        Tenant.of({"user_id": "a"}) | Tenant.of({"user_id": "b"}) | Tenant.of({"user_id": "c"})
    )
    for minute in range(8):
        for user in ("a", "b", "c", "d"):
            history.deliver(alert(user_id=user, starts_at=NOON - timedelta(minutes=minute)))
        history.clock.pass_(timedelta(minutes=30))
    expected = [one.id for one in reversed(history.log(**filters)) if one.model != "d"]

    found, before = [], None
    while True:
        with history.store.view(tenant) as view:
            page = view.decisions.page(filters, limit=5, before=before)
        found += [row.id for row in page.rows]
        if page.next_cursor is None:
            break
        assert len(page.rows) == 5
        before = int(page.next_cursor)

    assert found == expected
    assert expected


BROKEN = replace(alert(user_id="mine", fingerprint="x"), problem="it began never")


def test_what_was_not_understood_is_nobodys(history):
    """Also where it names a model of theirs: its sentence may be about somebody else's alert."""
    history.deliver(alert(user_id="mine"), BROKEN)

    with history.store.view(MINE) as view:
        seen = [row.reason for row in view.decisions.page({}, limit=10).rows]

    assert [(row.reason, row.model) for row in history.log(reason="invalid")] == [
        ("invalid", "mine")
    ]
    assert seen == ["triggered"]
