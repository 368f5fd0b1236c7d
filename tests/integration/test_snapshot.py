"""What the metrics show of the store, held against what the flows did."""

import shutil
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import timedelta
from random import Random
from time import thread_time

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.dispatches import DispatchState, Failure
from receiver.core.models import ModelState, PauseScope, state_of
from receiver.core.runs import RunState
from receiver.core.snapshot import ModelsInState, Snapshot
from receiver.flows.intake.taking_in import arrive, try_out
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.gauges import StoreGauges
from receiver.store.store import Store
from receiver.store.tables import models
from receiver.store.views.snapshot import MOST_MODELS
from receiver.telemetry import know_targets, registry
from tests.examples import DRIFT, alert, notification, policy_set, resolved
from tests.fakes import FakeTarget, HandClock, accepted_without_id, cut_before_accepting, refused
from tests.histories import TARGET, History
from tests.restrained import approving, window

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ACT = Act("ops", "a test")


def stand(history) -> Snapshot:
    snapshot = history.store.snapshot()
    assert snapshot is not None
    return snapshot


def open_dispatches(history):
    return {(some.target, some.state): some for some in stand(history).dispatches}


def gauges(read, free_bytes=lambda: None):
    """The gauges of a store by name and labels, as a scrape shows them."""
    shown = CollectorRegistry()
    shown.register(StoreGauges(read, free_bytes, 64))

    def value(name, **labels):
        return shown.get_sample_value(name, labels)

    return value


def recoveries() -> float:
    return registry.get_sample_value("retrain_recoveries_total") or 0


def pause(history, scope, name, length=None):
    controls.pause(history.store, history.policy_set, ACT, scope, name, length=length)


@pytest.mark.parametrize("seed", range(8))
def test_states_are_those_that_the_api_tells(history, seed):
    """SQL and `state_of` agree about every model, whatever happened."""
    random = Random(seed)  # noqa: S311  a history that can be told again
    names = [f"m{number}" for number in range(12)]
    if seed > 5:
        history.policy_set = policy_set(approving())
    for name in names:
        history.target.accidents = random.choice(([], [], [refused], [cut_before_accepting]))
        history.deliver(alert(name))
        if random.random() < 0.7:
            history.send()
        if random.random() < 0.5:
            history.run_to_its_end(random.choice((RunState.SUCCEEDED, RunState.FAILED)))
        if random.random() < 0.4:
            history.deliver(resolved(name, ends_at=history.now()))
        if random.random() < 0.2:
            pause(history, PauseScope.MODEL, name, random.choice((None, HOUR)))
        history.clock.pass_(random.choice((MINUTE, HOUR, 3 * HOUR)))
    if random.random() < 0.3:
        every = (PauseScope.EVERYTHING, "")
        pause(history, *random.choice(((PauseScope.POLICY, DRIFT.name), every)))
    history.tick()

    snapshot = stand(history)

    with history.store.view() as view:
        found = view.models.page(limit=100).rows
        sets = view.models.firing([model.name for model in found])
        pauses = view.models.pauses()
    told = {m.name: state_of(m, sets[m.name], pauses, history.now()) for m in found}
    assert {model.name: model.state for model in snapshot.models} == told
    firing = {model.name: model.firing_alerts for model in snapshot.models}
    assert firing == {name: len(alerts) for name, alerts in sets.items()}
    for group in snapshot.states:
        fire = [m for m in found if told[m.name] is group.state and sets[m.name]]
        since = min((m.episode_started_at for m in fire), default=None)
        count = list(told.values()).count(group.state)
        assert group == ModelsInState(group.state, count, since)


def test_a_run_that_succeeds_and_settles_without_effect_counts(history):
    """While the alert still fires after `settle`, and as often as the episode saw it."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(DRIFT.settle - 3 * MINUTE)
    assert stand(history).ineffective == {}

    history.clock.pass_(3 * MINUTE)
    assert stand(history).ineffective == {"42": 1}

    history.clock.pass_(DRIFT.cooldown)
    history.tick()
    history.run_to_its_end()
    history.clock.pass_(DRIFT.settle)
    assert stand(history).ineffective == {"42": 2}

    history.deliver(resolved(ends_at=history.now()))
    assert stand(history).ineffective == {}


def test_runs_of_an_earlier_episode_or_without_success_do_not_count(history):
    """A new episode begins at zero, and a failed run promised nothing."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(2 * HOUR)
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(DRIFT.cooldown + HOUR)
    history.deliver(alert(starts_at=history.now()))
    history.run_to_its_end(RunState.FAILED)
    history.clock.pass_(2 * HOUR)

    assert stand(history).ineffective == {}


def test_what_rungs_hold_and_ask_is_counted_by_model(history):
    """Two alerts of one model are one model; a rung that holds nobody shows a zero."""
    history.policy_set = policy_set(approving(window=window("13:00-20:00")))
    history.deliver(alert(), alert(name="LowModelR2"))
    held = stand(history)
    history.wait(HOUR, step=HOUR)
    asking = stand(history)

    nobody = dict.fromkeys(("window", "storm", "exhausted", "budget", "approval"), 0)
    assert (held.held, held.asking) == ({**nobody, "window": 1}, nobody)
    assert (asking.held, asking.asking) == ({**nobody, "approval": 1}, {**nobody, "approval": 1})
    value = gauges(lambda: asking)
    assert value("retrain_models_held", reason="approval") == 1
    assert value("retrain_models_asking", reason="storm") == 0


def test_a_model_that_is_resolved_after_its_run_has_recovered(history):
    """Once per run: the last of its alerts counts, a flap after that does not."""
    before = recoveries()
    history.deliver(alert(), alert(name="LowModelR2"))
    history.run_to_its_end()
    history.clock.pass_(HOUR)
    history.deliver(resolved(ends_at=history.now()))
    assert recoveries() == before
    history.deliver(resolved(name="LowModelR2", ends_at=history.now()))
    assert recoveries() == before + 1

    history.clock.pass_(HOUR)
    history.deliver(alert(starts_at=history.now()))
    history.clock.pass_(HOUR)
    history.deliver(resolved(starts_at=history.now() - HOUR, ends_at=history.now()))

    assert recoveries() == before + 1


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.RUNNING])
def test_without_a_successful_run_nothing_has_recovered(history, state):
    """An alert that ends by itself is no success of ours."""
    before = recoveries()
    history.deliver(alert())
    history.run_to_its_end(state)
    history.deliver(resolved(ends_at=history.now()))

    assert recoveries() == before


def test_a_dry_run_recovers_nothing(history):
    """What is not stored is not counted."""
    history.deliver(alert())
    history.run_to_its_end()
    before = recoveries()
    ends = notification(resolved(ends_at=history.now()))

    assert try_out(history.store, arrive(ends, history.policy_set)).recovered == ("42",)
    assert recoveries() == before


def test_dispatches_are_shown_while_they_are_not_over(history):
    """Each with the moment since which it is in its state."""
    ordered_at = history.now()
    history.deliver(alert())
    history.clock.pass_(MINUTE)
    history.deliver(alert("43"))
    waiting = open_dispatches(history)[TARGET, DispatchState.PENDING]
    assert (waiting.count, waiting.since) == (2, ordered_at)

    history.send()
    running = open_dispatches(history)[TARGET, DispatchState.RUNNING]
    assert (running.count, running.since) == (1, history.now())

    history.run_to_its_end()
    assert open_dispatches(history) == {}


def test_a_dispatch_in_doubt_is_as_old_as_its_doubt(history):
    """Not as old as its order, nor as its sending, which took a while to fail."""

    def slow(target, dispatch):
        history.clock.pass_(MINUTE)
        return accepted_without_id(target, dispatch)

    history.target.accidents = [slow]
    history.deliver(alert())
    history.send()
    doubted_at = history.now()
    history.clock.pass_(MINUTE)

    assert open_dispatches(history)[TARGET, DispatchState.UNKNOWN].since == doubted_at


def test_a_refused_dispatch_waits_for_a_human_only_while_it_is_the_latest(history):
    """What came after it took its place; its history stays in the log."""
    history.target.accidents = [refused]
    history.deliver(alert())
    history.send()
    refused_at = history.now()
    assert open_dispatches(history)[TARGET, DispatchState.REFUSED].since == refused_at

    history.clock.pass_(2 * MINUTE)
    history.work()

    assert history.states() == [DispatchState.REFUSED, DispatchState.RUNNING]
    assert [state for _, state in open_dispatches(history)] == [DispatchState.RUNNING]


def test_a_firing_model_that_nobody_decides_is_noticed(history):
    """Since the moment at which its hold ended; not while it is held."""
    history.deliver(alert())
    history.run_to_its_end(RunState.FAILED)
    held_until = history.model().held_until
    history.clock.pass_(DRIFT.cooldown - MINUTE)
    assert stand(history).unheld_since is None

    history.clock.pass_(HOUR)
    assert stand(history).unheld_since == held_until

    history.tick()
    assert stand(history).unheld_since is None


def test_what_alertmanager_told_last_outlives_the_process(history):
    """A restart does not make us look as if nobody had ever told us anything."""
    assert stand(history).last_received_at is None
    told_at = history.now()
    history.deliver(alert())
    history.clock.pass_(HOUR)
    history.restart()

    assert stand(history).last_received_at == told_at


@pytest.fixture
def store_with(folder, migrated):
    """Builds stores that know so many models, one of which in twenty fires."""
    with ExitStack() as stores:

        def build(count):
            path, clock = folder / f"{count}.db", HandClock()
            shutil.copy(migrated, path)
            store = stores.enter_context(closing(Store.open(f"sqlite:///{path}", clock)))
            names = [f"m{number:05}" for number in range(count)]
            rows = [{"name": name, "labels": {}, "refusals": 0} for name in names]
            with store._engine.begin() as db:
                db.execute(insert(models), rows)
            history = History(store, clock, FakeTarget())
            history.deliver(*(alert(name) for name in names[::20]))
            return store

        yield build


def test_only_the_first_models_have_series_of_their_own(store_with):
    """The sums count all of them."""
    store = store_with(MOST_MODELS + 100)

    snapshot = store.snapshot()

    assert snapshot is not None
    assert [m.name for m in snapshot.models] == [f"m{n:05}" for n in range(MOST_MODELS)]
    counts = {group.state: group.count for group in snapshot.states}
    assert counts == {
        **dict.fromkeys(ModelState, 0),
        ModelState.RUNNING: 30,
        ModelState.QUIET: MOST_MODELS + 70,
    }


def test_a_scrape_costs_little_more_when_there_are_many_models(store_with):
    """20 times the models take at most 4 times as long: nothing is read for each of them."""
    few, many = store_with(MOST_MODELS), store_with(20 * MOST_MODELS)

    def cost(store):
        def once():
            began = thread_time()
            store.snapshot()
            return thread_time() - began

        once()
        return min(once() for _ in range(5))

    assert cost(many) < 4 * cost(few)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_scrape_survives_a_store_that_is_gone(history):
    """It says so, and the other metrics are still there."""
    value = gauges(lambda: None, free_bytes=lambda: 7)

    assert value("retrain_store_available") == 0
    assert value("retrain_store_free_bytes") == 7
    assert value("retrain_store_min_free_bytes") == 64
    history.store._engine.dispose()
    history.store._path.unlink()
    history.store._path.mkdir()
    assert history.store.snapshot() is None


def test_a_scrape_shows_the_model_as_it_stands(history):
    """Every series of a model, and none of a disk that is not ours."""
    history.deliver(alert())
    history.run_to_its_end(RunState.FAILED)
    run = history.dispatches()[0]
    until = history.model().held_until.timestamp()

    value = gauges(history.store.snapshot)

    assert value("retrain_store_available") == 1
    assert value("retrain_model_state", model="42", state="held") == 1
    assert value("retrain_model_firing_alerts", model="42") == 1
    assert value("retrain_model_cooldown_until_timestamp_seconds", model="42") == until
    sent_at = value("retrain_model_last_run_sent_timestamp_seconds", model="42")
    assert sent_at == run.sent_at.timestamp()
    ended = {"model": "42", "state": "failed"}
    ended_at = value("retrain_model_last_run_ended_timestamp_seconds", **ended)
    assert ended_at == run.ended_at.timestamp()
    assert value("retrain_store_free_bytes") is None


def test_a_scrape_shows_how_much_is_used_of_budgets(history):
    """A limit of all policies once; those of single models have no series."""
    total = Limit(Scope.TOTAL, Counted.IN_FLIGHT, 4)
    own = Limit(Scope.POLICY, Counted.COST, 100, 30 * DAY, "EUR")
    each = Limit(Scope.MODEL, Counted.RUNS, 4, 7 * DAY)
    drift = replace(DRIFT, limits=(each, own, total), cost=Cost(12.5, "EUR"))
    other = replace(DRIFT, name="other", limits=(total,))
    history.policy_set = policy_set(drift)
    history.deliver(alert("1"), alert("2"))

    shown = CollectorRegistry()
    shown.register(StoreGauges(lambda: history.store.snapshot((drift, other)), lambda: None, 0))
    samples = [
        (sample.name, *sample.labels.values(), sample.value)
        for family in shown.collect()
        for sample in family.samples
        if sample.name.startswith("retrain_budget_")
    ]

    assert sorted(samples) == [
        ("retrain_budget_limit", "", "4 in flight in total", 4),
        ("retrain_budget_limit", "drift", "100 EUR in 30d per policy", 100),
        ("retrain_budget_used", "", "4 in flight in total", 2),
        ("retrain_budget_used", "drift", "100 EUR in 30d per policy", 25),
    ]


def test_counters_of_a_target_begin_at_zero():
    """An increase from nothing to one would be seen by no rate."""
    know_targets({"somewhere": 2 * HOUR})

    def value(name, **labels):
        return registry.get_sample_value(name, {"target": "somewhere", **labels})

    assert value("retrain_target_run_timeout_seconds") == 7200
    for result in ("accepted", *Failure):
        assert value("retrain_dispatch_attempts_total", result=str(result)) == 0
    for state in DispatchState:
        assert value("retrain_dispatch_transitions_total", state=state.value) == 0


def test_only_the_models_own_series_name_a_model():
    """Everything else would grow with the number of models, or with strangers' text."""
    families = list(StoreGauges(lambda: None, lambda: None, 0).describe())

    for family in families:
        assert ("model" in family._labelnames) == family.name.startswith("retrain_model_")
