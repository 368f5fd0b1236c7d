"""Rows that no code of ours wrote: each is told of, and left alone; the others go on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver.core.announcements import Subscriber
from receiver.core.runs import RunState
from receiver.flows.transitions import LEASE
from receiver.flows.worker.announcing import announce_next
from receiver.flows.worker.loops import Setup, Worker
from receiver.flows.worker.retention import Ages
from receiver.store.column_types import to_micros
from receiver.store.errors import UnreadableRow
from tests.clocks import sets_ahead, sets_back
from tests.examples import DRIFT, alert

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)

FAR = 9 * 10**18
"""Microseconds: no calendar goes so far."""

NEXT_CHECK = "SELECT next_check_at FROM models WHERE name = '1'"

SPOILED = [
    f"created_at = {FAR}",
    "in_doubt = 'no JSON'",
    "in_doubt = '1'",
    "inputs = '[[['",
    "kind = 'carrier pigeon'",
]


def spoil(history, table, change, where="model = '1'"):
    with history.store.begin() as tx:
        tx._db.execute(text(f"UPDATE {table} SET {change} WHERE {where}"))  # noqa: S608


def step(work):
    """One step of a loop: what it says of a row that it can't read, and how to find that row."""
    try:
        work()
    except UnreadableRow as error:
        said, _, query = str(error).partition("; to see it: ")
        return said, query
    return None


def both_due(history):
    """Two models' dispatches, the first of which is due before the other."""
    history.deliver(alert("1"))
    history.clock.pass_(SECOND)
    history.deliver(alert("2"))


@pytest.mark.parametrize("change", SPOILED)
def test_an_unreadable_dispatch_does_not_block_the_others(history, change):
    """It is due first; it is told of once in a lease, and its model is never sent for."""
    both_due(history)
    spoil(history, "dispatches", change)

    said, query = step(history.send)
    history.send()

    assert said.startswith("a row can't be read (")
    assert len(history.target.starts) == 1
    with history.store._reading() as db:
        assert [row.model for row in db.execute(text(query))] == ["1"]
    assert step(history.send) is None
    history.clock.pass_(LEASE)
    assert step(history.send)[0] == said


@pytest.mark.parametrize("change", SPOILED)
def test_an_unreadable_run_does_not_block_the_others(history, change):
    """Its row is claimed first."""
    both_due(history)
    while history.send():
        pass
    spoil(history, "dispatches", change)
    history.target.finish(RunState.SUCCEEDED)
    history.clock.pass_(60 * SECOND)

    assert step(history.follow) is not None
    history.follow()

    with history.store._reading() as db:
        ended = db.scalars(text("SELECT model FROM dispatches WHERE state = 'succeeded'")).all()
    assert ended == ["2"]


def test_an_unreadable_run_end_does_not_block_other_reports(history):
    """Reports are read from the ends of runs."""
    both_due(history)
    history.run_to_its_end()
    with history.store.begin() as tx:
        tx._db.execute(text("UPDATE run_ends SET report_due_at = created_at, report_tries = 0"))
    spoil(history, "run_ends", "metrics = '{'")
    history.target.reads = 0

    assert step(history.follow) is not None
    history.follow()

    assert history.target.reads == 1


def test_an_unreadable_announcement_does_not_block_the_others(history):
    """It is due again when its lease ends."""
    history.policy_set = replace(history.policy_set, subscribers=(Subscriber("all"),))
    both_due(history)
    spoil(history, "announcements", "data = 'x'")
    heard = []

    class Announcer:
        def send(self, announcement, _now):
            heard.append(announcement.model)

    assert step(lambda: announce_next(history.store, "all", Announcer())) is not None
    announce_next(history.store, "all", Announcer())

    assert heard == ["2"]


@pytest.mark.parametrize("table", ["models", "firing_alerts"])
def test_an_unreadable_model_does_not_block_the_others(history, table):
    """The timer tells of it and comes back to it in a minute."""
    both_due(history)
    history.run_to_its_end()
    history.clock.pass_(DRIFT.cooldown + SECOND)
    spoil(
        history, table, "labels = '{'", where="name = '1'" if table == "models" else "model = '1'"
    )
    setup = Setup(history.policy_set, {}, Ages())
    worker = Worker(history.store, history.clock, setup, lambda _: history.target)

    assert worker._recheck()

    assert {row.model for row in history.dispatches(state="pending")} == {"2"}
    assert history.store.run(lambda tx: tx._db.scalar(text(NEXT_CHECK))) > to_micros(history.now())


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("models", "labels = '{'"),
        ("firing_alerts", "labels = '{'"),
        ("dispatches", "inputs = '[[['"),
        ("dispatches", f"created_at = {FAR}"),
    ],
)
def test_an_unreadable_row_does_not_keep_others_from_being_mended(history, table, change):
    """A clock that was ahead has written both."""
    history.tick()
    sets_ahead(history, DAY)
    both_due(history)
    spoil(history, table, change, where="name = '1'" if table == "models" else "model = '1'")

    sets_back(history, DAY)

    assert history.model("2").cooldown_until <= history.now() + DRIFT.cooldown
    (other,) = history.dispatches(model="2")
    assert other.created_at <= history.now()
