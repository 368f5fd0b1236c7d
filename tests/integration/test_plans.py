"""How SQLite comes by what the loops ask for each second: not through all that waits or fires."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from receiver.core.dispatches import DispatchState
from receiver.store import compiled
from tests.examples import alert

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

LARGE = ("models", "firing_alerts", "dispatches", "announcements", "decisions", "transitions")

ONLY_WHEN = {
    "cooldown_until >": "a clock was set back",
    "created_at >": "a clock was set back",
    "announcements.at >": "a clock was set back",
    "config_hash !=": "it goes by the models that fire, each second: 20 ms of 50,000",
}
"""What may go through a whole table, by a part of the statement, and why."""


@pytest.fixture
def asked(history, monkeypatch):
    """Every statement with its parameters, as the driver gets them."""
    seen = {}
    if history.store._engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by statistics, which these few rows do not give")

    def noting(real):
        def note(db, sql, parameters):
            seen.setdefault(sql, parameters)
            return real(db, sql, parameters)

        return note

    for name in ("read_on_driver", "changed_on_driver"):
        monkeypatch.setattr(compiled, name, noting(getattr(compiled, name)))

    def note(_connection, _cursor, sql, parameters, *_rest):
        seen.setdefault(sql, parameters)

    event.listen(history.store._engine, "before_cursor_execute", note)
    yield seen
    event.remove(history.store._engine, "before_cursor_execute", note)


def plan(history, sql, parameters):
    with history.store.view() as view:
        rows = view._moment.db.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
        return [row[-1] for row in rows]


def plan_of(history, asked, beginning):
    [found] = [(sql, given) for sql, given in asked.items() if sql.startswith(beginning)]
    return plan(history, *found)


def used(steps):
    """The indexes of queues, and by what they are entered."""
    return [step.partition("INDEX ")[2] for step in steps if "_due" in step]


def test_no_loop_goes_through_a_whole_table(history, asked):
    """Models fire, run, and are decided again; then each statement is asked for its plan."""
    history.deliver(*(alert(f"{number}") for number in range(30)))
    history.wait(8 * HOUR, 10 * MINUTE)

    assert len(asked) > 25
    scanned = {}
    for sql, parameters in list(asked.items()):
        if not re.match(r"\s*(SELECT|UPDATE|DELETE|WITH)\b", sql) or isinstance(parameters, list):
            continue
        steps = plan(history, sql, parameters)
        if any(f"SCAN {table}" in step for step in steps for table in LARGE):
            scanned[" ".join(sql.split())] = steps
    foreseen = {part for part in ONLY_WHEN for sql in scanned if part in sql}
    assert [sql for sql in scanned if not any(part in sql for part in ONLY_WHEN)] == []
    assert foreseen == set(ONLY_WHEN)


@pytest.mark.parametrize("states", [["pending"], ["running", "sending", "unknown"]])
def test_the_first_of_a_queue_is_found_by_its_index(history, asked, states):
    """Of 50,000 that wait for one target, and for it alone."""
    with history.store.begin() as tx:
        tx.claim_dispatch("pipeline", [*map(DispatchState, states)], now=tx.now(), lease=HOUR)

    steps = plan_of(history, asked, "UPDATE dispatches")
    assert used(steps) == ["ix_dispatches_due (target=? AND state=? AND due_at<?)"]
    # Of several states those that are due are sorted: runs that are followed, a few at a time.
    assert ("USE TEMP B-TREE FOR ORDER BY" in steps) == (len(states) > 1)


def test_the_first_announcement_is_found_by_its_index(history, asked):
    """However many wait for a subscriber that nobody reaches."""
    with history.store.begin() as tx:
        tx.claim_announcement("chat", now=tx.now(), lease=HOUR)

    steps = plan_of(history, asked, "UPDATE announcements")
    assert used(steps) == ["ix_announcements_due (subscriber=? AND state=? AND due_at<?)"]
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
