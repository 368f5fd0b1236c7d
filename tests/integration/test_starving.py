"""No model starves: rows that stay in a selection never hide the others, however many they are."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.matchers import parse_matchers
from receiver.core.policies import Mode
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.worker.loops import PUT_OFF, Setup, Worker
from receiver.flows.worker.rechecking import MODELS_AT_ONCE
from receiver.flows.worker.retention import Ages
from receiver.store.views.paging import MOST_ROWS
from tests.examples import DRIFT, alert, notification, policy_set, resolved
from tests.restrained import STORM

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

MANY = 10_000
"""Twenty times the longest page, and more than fit into one statement."""

ONE_A_MONTH = Limit(Scope.POLICY, Counted.RUNS, 1, 30 * DAY)
ONE_A_MODEL = Limit(Scope.MODEL, Counted.RUNS, 1, 30 * DAY)
ONE_AT_ONCE = Limit(Scope.POLICY, Counted.IN_FLIGHT, 1)
FOUR_IN_ALL = Limit(Scope.TOTAL, Counted.IN_FLIGHT, 4)

CROWD = replace(
    DRIFT, name="crowd", matchers=parse_matchers("alertname=Crowd"), model_name="c-{user_id}"
)
FEW = replace(
    DRIFT, name="few", matchers=parse_matchers("alertname=Few"), model_name="f-{user_id}"
)


def fill(history, count, *, name="Crowd"):
    """So many models of a policy begin to fire; in notifications of a thousand."""
    for first in range(0, count, 1000):
        names = [f"{number:05}" for number in range(first, min(first + 1000, count))]
        arrival = arrive(
            notification(*(alert(one, name=name) for one in names)), history.policy_set
        )
        take_in(history.store, [arrival])


def orders(history, policy):
    """Models that this policy ordered a run for, in order."""
    return [row.model for row in history.dispatches() if row.policy == policy]


def waits_behind(history, crowd, count=MANY):
    """Two models of `few`, of which the second waited for the first one's run, which ends now."""
    history.policy_set = policy_set(crowd, replace(FEW, limits=(ONE_AT_ONCE,)))
    fill(history, count)
    history.clock.pass_(HOUR)
    history.deliver(alert("one", name="Few"), alert("two", name="Few"))
    assert orders(history, "few") == ["f-one"]
    history.run_to_its_end()


@pytest.mark.timeout(900)
def test_a_spent_budget_of_one_policy_holds_no_other_policy_back(history):
    """10,000 alerts of a policy that has no room for a month; another's run ends: it goes on."""
    waits_behind(history, replace(CROWD, limits=(ONE_A_MONTH,)))

    history.tick()

    assert sorted(orders(history, "few")) == ["f-one", "f-two"]
    assert len(orders(history, "crowd")) == 1


@pytest.mark.timeout(900)
def test_a_storm_of_one_policy_hides_no_calm_of_another(history):
    """One policy's storm holds more models than a page; another's is over: its models go on."""
    stormy = replace(FEW, storm=replace(STORM, models=2))
    history.policy_set = policy_set(replace(CROWD, storm=STORM), stormy)
    crowd = MOST_ROWS + 50
    fill(history, crowd)
    history.clock.pass_(5 * MINUTE)
    history.deliver(*(alert(one, name="Few") for one in ("one", "two", "three")))
    history.clock.pass_(STORM.wait)
    look_at_all(history, crowd)
    assert {history.firing(f"f-{one}")[0].held_until for one in ("one", "two")} == {None}
    history.deliver(resolved("three", ends_at=history.now(), name="Few"))
    history.clock.pass_(STORM.calm)

    look_at_all(history, crowd)

    assert sorted(orders(history, "few")) == ["f-one", "f-two"]
    assert orders(history, "crowd") == []


def look_at_all(history, count):
    """So many steps of the timer that each of so many models could be decided once."""
    for _ in range(count // MODELS_AT_ONCE + 2):
        history.tick()


def test_what_a_models_own_limit_holds_ends_by_time(history):
    """Its hold has an end of its own, whatever room its policy has; so it hides nobody."""
    history.policy_set = policy_set(replace(CROWD, limits=(ONE_A_MODEL, FOUR_IN_ALL)))
    history.deliver(alert("one", name="Crowd"))
    ordered_at = history.now()
    history.run_to_its_end()
    history.clock.pass_(7 * HOUR)

    history.tick()

    [entry] = history.firing("c-one")
    assert (entry.held_by, entry.held_until) == ("budget", ordered_at + 30 * DAY)
    assert history.model("c-one").next_check_at == ordered_at + 30 * DAY


@pytest.mark.timeout(900)
def test_models_that_cant_be_decided_hide_none_that_can(history):
    """However many they are: alerts that nobody confirms are due whatever was put off."""
    broken = 3 * MODELS_AT_ONCE
    # They only observe, so that no run is to be waited for.
    history.policy_set = policy_set(
        replace(CROWD, mode=Mode.OBSERVE), replace(FEW, mode=Mode.OBSERVE)
    )
    fill(history, broken)
    history.clock.pass_(HOUR)
    history.deliver(alert("one", name="Few"))
    history.clock.pass_(14 * HOUR)
    with history.store.begin() as tx:
        tx._db.execute(text("UPDATE models SET labels = '[broken' WHERE name LIKE 'c-%'"))
    setup = Setup(history.policy_set, {}, Ages())
    worker = Worker(history.store, history.clock, setup, lambda _: history.target)

    for _ in range(broken // MODELS_AT_ONCE + 1):
        worker._recheck()

    assert [row.model for row in history.log(reason="expired")] == ["f-one"]
    assert not worker._recheck()
    history.clock.pass_(PUT_OFF)
    assert worker._recheck()
