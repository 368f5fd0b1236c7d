"""Outside its policy's hours a model waits; nothing that waits is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.models import ModelState, state_of
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import Act, Conflict
from receiver.flows.operator.reloading import apply_configuration
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.fakes import unavailable
from tests.restrained import approving, window

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ANA = Act("ana", "cannot wait")
NIGHTS = window("20:00-06:00")


@pytest.fixture
def nightly(history):
    history.policy_set = policy_set(replace(DRIFT, window=NIGHTS))
    return history


def test_a_model_waits_for_its_hours(nightly):
    """It is noon; at 20:00 it is decided without a new notification."""
    (held,) = nightly.deliver(alert())
    opens = nightly.now() + 8 * HOUR
    model = nightly.model()

    assert (held.reason.value, held.next_check_at) == ("window", opens)
    assert held.detail == "runs may start daily 20:00-06:00 in UTC: that begins at 20:00 UTC"
    assert model.next_check_at == opens
    assert state_of(model, nightly.firing(), [], nightly.now()) is ModelState.HELD

    nightly.wait(8 * HOUR - timedelta(seconds=1), step=4 * HOUR)
    assert nightly.dispatches() == []
    nightly.wait(timedelta(seconds=31))
    assert len(nightly.target.starts) == 1


def test_a_cooldown_that_ends_outside_the_window_becomes_the_hold_window(nightly):
    """The timer comes at its end, and again when the window opens."""
    nightly.clock.pass_(14 * HOUR)
    nightly.deliver(alert())
    nightly.run_to_its_end()
    nightly.wait(7 * HOUR, step=HOUR)

    last = nightly.log()[-1]
    assert (last.reason, last.source) == ("window", "timer")
    assert last.next_check_at == nightly.model().next_check_at
    assert last.next_check_at.hour == 20


def test_an_operators_order_does_not_wait(nightly):
    """`retrain` is the override; `approve` has nothing to answer."""
    nightly.deliver(alert())
    with pytest.raises(Conflict):
        approvals.approve(nightly.store, nightly.policy_set, ANA, "42")

    controls.retrain(nightly.store, nightly.policy_set, ANA, "42")
    nightly.work()

    assert len(nightly.target.starts) == 1


@pytest.mark.parametrize("ordered", [False, True])
def test_a_dispatch_that_missed_its_window_waits_for_the_next_one(nightly, ordered):
    """The target was away until the window closed. An operator's order is sent at any hour."""
    nightly.clock.pass_(17 * HOUR + HOUR / 2)
    nightly.deliver(alert())
    if ordered:
        nightly.deliver(resolved(ends_at=nightly.now()))
        nightly.send()
        controls.retrain(nightly.store, nightly.policy_set, ANA, "42")
    nightly.target.accidents = [unavailable] * 12
    nightly.wait(HOUR, step=5 * MINUTE)
    nightly.target.accidents = []
    nightly.wait(HOUR, step=10 * MINUTE)

    if ordered:
        assert len(nightly.target.starts) == 1
        return
    assert nightly.target.starts == []
    nightly.deliver(alert(starts_at=nightly.now()))
    nightly.clock.pass_(12 * HOUR + HOUR / 2)
    nightly.work()
    assert len(nightly.target.starts) == 1


def test_a_pause_that_is_lifted_leaves_the_window(nightly):
    """Each rung holds for itself."""
    scope = (controls.PauseScope.MODEL, "42")
    nightly.deliver(alert())
    controls.pause(nightly.store, nightly.policy_set, ANA, *scope, length=None)
    nightly.deliver(alert(name="LowModelR2"))
    controls.resume(nightly.store, nightly.policy_set, ANA, *scope)
    nightly.work()

    assert nightly.dispatches() == []
    assert nightly.log()[-1].reason == "window"
    nightly.wait(9 * HOUR, step=HOUR)
    assert len(nightly.dispatches()) == 1


def test_it_asks_only_when_the_window_is_open(history):
    """So that an approval can be used at once."""
    history.policy_set = policy_set(approving(window=NIGHTS))
    history.deliver(alert())
    history.wait(9 * HOUR, step=HOUR)

    assert [row.reason for row in history.log()] == ["window", "approval"]


def test_a_clock_that_is_set_back_into_the_hours_opens_them(nightly):
    """The hour that the model was told to wait for is not the next one any more."""
    nightly.deliver(alert())
    nightly.clock.pass_(-8 * HOUR)
    nightly.work()

    assert len(nightly.dispatches()) == 1


def test_a_clock_that_is_set_back_wakes_nobody_else(nightly):
    """Outside of the hours the model waits on; the log has a word about the clock, none of it."""
    nightly.deliver(alert())
    nightly.clock.pass_(-4 * HOUR)
    nightly.work()

    _, note = nightly.log()
    assert [row.reason for row in nightly.log(model="42")] == ["window"]
    assert note.detail.startswith("the clock was ahead by 4h: ")
    assert nightly.dispatches() == []


def test_a_reload_with_other_hours_is_honoured_at_once(nightly):
    """Nothing waits for an hour that the file no longer names."""
    nightly.deliver(alert())
    nightly.policy_set = policy_set(replace(DRIFT, window=window("daily")), config_hash="new")
    apply_configuration(nightly.store, nightly.policy_set, "{}")
    nightly.work()

    assert len(nightly.dispatches()) == 1
