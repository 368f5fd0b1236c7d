"""What changes for all models is done in steps, and a death between two of them loses none."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from receiver.core.models import PauseScope
from receiver.flows import sweeping
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.sweeping import sweep_next
from receiver.flows.worker.loops import Setup, Worker
from receiver.flows.worker.retention import Ages
from tests.examples import DRIFT, alert, policy_set
from tests.fakes import Killed

ANA = Act("ana", "upgrade")
NAMES = [f"m{number}" for number in range(7)]
ALL = (PauseScope.EVERYTHING, "")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Two models in a step."""
    monkeypatch.setattr(sweeping, "AT_ONCE", 2)


@pytest.fixture
def paused(history):
    """Seven models that fire and wait for an operator."""
    controls.pause(history.store, history.policy_set, ANA, *ALL, length=None)
    history.deliver(*map(alert, NAMES))
    assert checks(history) == {None}
    while sweep_next(history.store, history.policy_set):
        pass
    return history


def checks(history):
    return {history.model(name).next_check_at for name in NAMES}


def resume(history):
    controls.resume(history.store, history.policy_set, ANA, *ALL)


def test_a_resume_of_everything_is_short_and_the_timer_does_the_rest(paused):
    """The operator and the webhook wait for one step; the others follow, then it ends."""
    resume(paused)
    assert checks(paused) == {None, paused.now()}
    assert paused.reasons(alert("new")) == ["triggered"]

    steps = 0
    while sweep_next(paused.store, paused.policy_set):
        steps += 1

    assert steps == 4  # seven and one more that is on its way, of which two were done at once
    assert checks(paused) == {paused.now()}


def test_the_timer_decides_all_of_them(paused):
    """Its loop takes a step each time, until every model that nothing holds has its run."""
    worker = Worker(
        paused.store, paused.clock, Setup(paused.policy_set, {}, Ages()), lambda _: None
    )
    resume(paused)

    while worker._recheck():
        pass

    assert sorted(row.model for row in paused.dispatches()) == NAMES


def test_a_model_that_cant_be_read_stops_neither_the_sweep_nor_the_timer(paused):
    """The others are decided; it is told and looked at again later."""
    with paused.store.begin() as tx:
        tx._db.execute(text("UPDATE firing_alerts SET labels = '[broken' WHERE model = 'm4'"))
    worker = Worker(
        paused.store, paused.clock, Setup(paused.policy_set, {}, Ages()), lambda _: None
    )
    resume(paused)

    while worker._recheck():
        pass

    assert sorted(row.model for row in paused.dispatches()) == [n for n in NAMES if n != "m4"]


@pytest.mark.parametrize("dies_in", range(5))
def test_a_death_between_or_in_the_steps_loses_no_model(paused, dies_in):
    """Another process goes on after the last model that was seen to."""
    die_at_commit(paused.store, dies_in)
    with pytest.raises(Killed):
        resume_and_die(paused)

    live_on(paused.store)
    if dies_in == 0:  # the operator was told nothing, and asks again
        resume(paused)
    paused.restart()
    paused.tick()

    assert sorted(row.model for row in paused.dispatches()) == NAMES


def resume_and_die(history):
    """At the latest when all is done."""
    resume(history)
    while sweep_next(history.store, history.policy_set):
        pass
    raise Killed


def die_at_commit(store, commits):
    """Before the commit of that many writing transactions more."""
    left = [commits]

    def die(db):
        if db.get_execution_options().get("sqlite_begin") == "IMMEDIATE":
            if not left[0]:
                raise Killed
            left[0] -= 1

    store.dying = die
    event.listen(store._engine, "commit", die)


def live_on(store):
    event.remove(store._engine, "commit", store.dying)


def test_models_in_cooldown_are_not_decided_for_a_pause_that_came_and_went(history):
    """Their checks are put off and back again: nothing about it is in their log."""
    history.deliver(*map(alert, NAMES))
    history.run_to_its_end()
    before = checks(history)
    told = len(history.log())

    controls.pause(history.store, history.policy_set, ANA, *ALL, length=None)
    history.tick()
    assert checks(history) == {None}
    resume(history)
    history.tick()

    assert checks(history) == before
    assert [row.source for row in history.log()[told:]] == ["operator", "operator"]


def test_a_reload_lets_all_be_decided_in_steps(history):
    """And ends the back-offs, also of models that do not fire."""
    history.deliver(*map(alert, NAMES))
    history.run_to_its_end()
    other = policy_set(replace(DRIFT, cooldown=HOUR), config_hash="other")
    apply_configuration(history.store, history.policy_set, "{}")
    history.tick()
    history.clock.pass_(HOUR)

    assert apply_configuration(history.store, other, '{"policies": []}').changed
    history.policy_set = other
    history.tick()

    decided = [row.model for row in history.log(source="timer") if row.config_hash == "other"]
    assert sorted(decided) == NAMES


def test_a_sweep_that_another_replica_has_ended_is_over(history):
    """It was there when this one looked."""
    with history.store.begin() as tx:
        sweeping._step(tx, history.policy_set, sweeping.Sweep.LOOK)

    assert not sweep_next(history.store, history.policy_set)
