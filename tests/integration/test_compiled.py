"""Statements that run on the driver mean what SQLAlchemy would make of them, on both engines."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, update

from receiver.core.sources import Hush
from receiver.store.compiled import Compiled, count, given, moment
from receiver.store.errors import RowRefused
from receiver.store.tables import sightings
from tests.fakes import NOON

LATER = NOON + timedelta(microseconds=1)

ADD = Compiled(
    insert(sightings).values(source="main", refused=False),
    sets=["fingerprint", "starts_at", "misses", "quiet"],
)

OF_STARTS = sightings.c.starts_at <= moment("now")

FOUND = Compiled(
    select(sightings.c.fingerprint, sightings.c.starts_at, sightings.c.quiet, sightings.c.refused)
    .where(OF_STARTS, sightings.c.misses.in_([0, 1]))
    .order_by(sightings.c.fingerprint)
    .limit(count("most")),
    words={"quiet": Hush},
)

MOVE = Compiled(
    update(sightings)
    .where(sightings.c.fingerprint == given("of", sightings.c.fingerprint))
    .values(misses=sightings.c.misses + 1)
    .returning(sightings.c.misses),
    sets=["missed_since"],
)

REMOVE = Compiled(delete(sightings).where(OF_STARTS))

COUNT = Compiled(select(func.count()).select_from(sightings))


def add(tx, name, at=NOON, quiet=None):
    ADD.run(tx._db, fingerprint=name, starts_at=at, misses=0, quiet=quiet)


def test_what_is_given_and_what_is_returned_have_their_columns_types(store):
    """Moments, members of enums, booleans and NULL come back as they went in."""
    with store.begin() as tx:
        add(tx, "a", quiet="muted")
        add(tx, "b", at=LATER)
        found = FOUND.rows(tx._db, now=LATER, most=9)

    assert found == [["a", NOON, Hush.MUTED, False], ["b", LATER, None, False]]


def test_each_run_has_values_of_its_own(store):
    """Nothing of an earlier run is left in the statement."""
    with store.begin() as tx:
        for name in ("a", "b"):
            add(tx, name)

        assert FOUND.column(tx._db, now=NOON, most=1) == ["a"]
        assert FOUND.column(tx._db, now=NOON, most=2) == ["a", "b"]
        assert FOUND.row(tx._db, now=NOON - timedelta(microseconds=1), most=2) is None


def test_an_update_returns_what_it_changed(store):
    """Columns are set to what is given under their names, beside those of the statement."""
    with store.begin() as tx:
        add(tx, "a")
        tries = [MOVE.value(tx._db, of=of, missed_since=NOON) for of in ("a", "a", "b")]
        kept = tx._db.execute(select(sightings.c.missed_since)).scalar_one()

    assert tries == [1, 2, None]
    assert kept == NOON


def test_it_tells_how_many_rows_it_changed(store):
    """Also when there were none."""
    with store.begin() as tx:
        add(tx, "a")
        add(tx, "b", at=LATER)

        assert REMOVE.run(tx._db, now=NOON) == 1
        assert REMOVE.run(tx._db, now=NOON) == 0
        assert COUNT.value(tx._db) == 1


def test_what_was_not_given_is_no_null(store):
    """A statement that lacks a value must not run."""
    with store.begin() as tx, pytest.raises(Exception, match="now"):
        FOUND.rows(tx._db, most=1)


def test_what_the_database_refuses_is_refused_with_its_words(store):
    """SQLite is asked past SQLAlchemy: its own errors are told apart all the same."""
    with store.begin() as tx:
        add(tx, "a")
    with pytest.raises(RowRefused, match=r"UNIQUE|unique"), store.begin() as tx:
        add(tx, "a")
    with store.begin() as tx:
        assert COUNT.value(tx._db) == 1
