"""What is too old is forgotten, and nothing that deciding needs."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchState
from receiver.flows.worker.retention import Ages, forget
from receiver.store.store import StoreUnavailable
from tests.examples import alert
from tests.fakes import cut_before_accepting

DAY = timedelta(days=1)


def test_retention_forgets_by_age_and_changes_no_decision(history):
    """Skips sooner than the rest; what deciding needs is not in the log."""
    history.deliver(alert("1"), alert("2", name="Watchdog"))
    history.run_to_its_end()
    until = history.model("1").cooldown_until

    history.clock.pass_(15 * DAY)
    forget(history.store, Ages(), lambda: False)
    assert [row.reason for row in history.log()] == ["triggered"]
    with history.store.view() as view:
        assert view.decisions.raw_body(history.log()[0].seen_in) is None

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


class Cramped:
    """The store, on a disk with room for steps of a few rows only."""

    def __init__(self, store, room):
        self.store, self.room = store, room

    @contextmanager
    def begin(self):
        with self.store.begin() as self.tx:
            yield self

    def forget(self, *, limit, **ages):
        if limit > self.room:
            raise StoreUnavailable("database or disk is full")
        return self.tx.forget(limit=limit, **ages)

    def __getattr__(self, name):
        return getattr(self.tx, name)


def test_a_disk_that_is_nearly_full_is_cleared_in_smaller_steps(history):
    """Deleting takes room before it gives any; without room for one row it is told so."""
    for model in "12345":
        history.deliver(alert(model, name="Watchdog"))
    history.clock.pass_(15 * DAY)
    with pytest.raises(StoreUnavailable):
        forget(Cramped(history.store, 0), Ages(), lambda: False)
    assert len(history.log()) == 5

    forget(Cramped(history.store, 2), Ages(), lambda: False)

    assert history.log() == []


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

    forget(history.store, replace(Ages(), decisions=DAY), lambda: False)

    assert {row.model for row in history.log()} == {"1", "2"}
