"""A step that others wait for is measured in alerts: one model may have very many of them."""

from datetime import timedelta

import pytest

from receiver.core.models import PauseScope
from receiver.flows import portions
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.portions import portion
from receiver.flows.sweeping import sweep_next
from receiver.flows.worker.rechecking import due_models
from tests.examples import alert

ANA = Act("ana", "upgrade")
ALL = (PauseScope.EVERYTHING, "")

MODELS = ("a", "b", "c")
PODS = 4
"""Alerts of each model."""


@pytest.fixture(autouse=True)
def six_alerts(monkeypatch):
    """As many as one model has, but not two."""
    monkeypatch.setattr(portions, "ALERTS_AT_ONCE", 6)


@pytest.fixture
def paused(history):
    """Three models of four alerts each, all of them held by a pause."""
    controls.pause(history.store, history.policy_set, ANA, *ALL, length=None)
    history.deliver(*(one for name in MODELS for one in pods_of(name)))
    settle(history)
    return history


def pods_of(name, count=PODS):
    """So many alerts of one model."""
    return [alert(name, pod=f"p{n}", fingerprint=f"{name}-{n}") for n in range(count)]


def settle(history):
    """Every step of what an operator's act began. How many those were."""
    steps = 0
    while sweep_next(history.store, history.policy_set):
        steps += 1
    return steps


def resume(history):
    controls.resume(history.store, history.policy_set, ANA, *ALL)


def test_the_timer_takes_as_many_models_as_have_few_alerts(paused):
    resume(paused)
    settle(paused)
    seen = []
    while names := due_models(paused.store):
        seen.append(names)
        paused.tick()

    assert seen == [["a"], ["b"], ["c"]]
    assert sorted(row.model for row in paused.dispatches()) == ["a", "b", "c"]


def test_a_sweep_takes_as_many_too(paused):
    resume(paused)  # which does the first step itself

    assert settle(paused) == 2
    assert {paused.model(name).next_check_at for name in MODELS} == {paused.now()}


def test_what_nobody_confirms_does_not_wait_for_those_whose_hold_ended(history):
    """Each of both has its portion: the first of each is always there."""
    history.deliver(alert("old"))
    history.clock.pass_(history.policy_set.policies[0].alert_expiry - timedelta(minutes=1))
    history.deliver(*pods_of("new", 2 * PODS))
    history.run_to_its_end()
    history.clock.pass_(timedelta(minutes=2))
    with history.store.begin() as tx:
        tx.make_due(["new"], history.now())

    assert due_models(history.store) == ["new", "old"]


def test_a_model_is_never_left_out_for_its_size():
    assert portion(["huge", "small"], {"huge": 10_000, "small": 1}) == ["huge"]
    assert portion(["small", "huge"], {"huge": 10_000, "small": 1}) == ["small"]
    assert portion(["none", "six"], {"six": 6}) == ["none", "six"]
    assert portion([], {}) == []
