"""So many runs, so many at once, so much money: and not one more."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.matchers import parse_matchers
from receiver.core.models import ModelState, state_of
from receiver.core.runs import RunState
from receiver.core.times import stamp
from receiver.flows.operator import approvals, controls, dispatches
from receiver.flows.operator.acts import Act
from receiver.flows.worker.retention import Ages, forget
from tests.described import DescribedPeer
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.fakes import NOON, refused
from tests.serving import NO_AUTH, host

BUDGETS = """\
    budget: {runs_per_model: 4 in 7d, runs: 2 in 1d, cost: 100 EUR in 30d, when_spent: ask}
    cost: {amount: 40, unit: EUR, run_time: 2h}
budget: {in_flight: 4}
"""
"""Goes on behind the policy of `NO_AUTH`; the last line is for all policies together."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
ANA = Act("ana", "it is paid for")

FOUR_A_WEEK = Limit(Scope.MODEL, Counted.RUNS, 4, 7 * DAY)
TWO_A_DAY = Limit(Scope.TOTAL, Counted.RUNS, 2, DAY)
ONE_AT_ONCE = Limit(Scope.POLICY, Counted.IN_FLIGHT, 1)
MONEY = Limit(Scope.POLICY, Counted.COST, 100, 30 * DAY, "EUR")
PRICE = Cost(40, "EUR", run_time=2 * HOUR)


def budget(*limits, **more):
    return replace(DRIFT, limits=limits, **more)


def models_of(history):
    """In the order of their orders, and by name if they came at the same moment."""
    return [row.model for row in sorted(history.dispatches(), key=by_time)]


def by_time(row):
    return row.created_at, row.model


def reasons(decisions):
    return [decision.reason.value for decision in decisions]


def live(history, span, step=HOUR):
    """Time passes; alerts are repeated, and every run ends within a step."""
    end = history.now() + span
    while history.now() < end:
        history.clock.pass_(step)
        history.work()
        history.run_to_its_end()


def test_a_model_gets_so_many_runs_in_a_span(history):
    """Four in a week; the fifth when the first is a week old."""
    history.policy_set = policy_set(budget(FOUR_A_WEEK, alert_expiry=30 * DAY))
    history.deliver(alert())
    live(history, 3 * DAY, step=3 * HOUR)

    first = history.dispatches()[0]
    held = history.log()[-1]
    assert len(history.dispatches()) == 4
    assert (held.reason, held.next_check_at) == ("budget", first.created_at + 7 * DAY)
    assert held.detail == (
        "the budget is used up: 4 of 4 runs in 7d per model are ordered; there is room again at "
        "2026-11-29 12:00 UTC; the alert was last heard of 1d3h ago"
    )
    assert state_of(history.model(), history.firing(), [], history.now()) is ModelState.HELD

    history.clock.pass_(first.created_at + 7 * DAY - history.now() - MINUTE)
    history.work()
    assert len(history.dispatches()) == 4
    history.clock.pass_(MINUTE)
    history.work()
    assert len(history.dispatches()) == 5


def test_a_run_that_ends_before_it_was_ordered_counts_all_the_same(history):
    """The clock was set back before a restart; the run costs what was reserved for it."""
    history.policy_set = policy_set(
        budget(TWO_A_DAY, replace(MONEY, most=120), cost=PRICE, alert_expiry=30 * DAY)
    )
    history.deliver(alert("1"))
    history.work()
    history.clock.jump(-2 * HOUR)
    with history.store.begin() as tx:
        tx.release_leases(tx.now())
    history.run_to_its_end()
    history.clock.pass_(2 * HOUR)
    history.deliver(alert("2"))
    history.run_to_its_end()
    history.clock.pass_(DAY - MINUTE)

    (decision,) = history.deliver(alert("3"))

    assert decision.reason.value == "budget"
    saw = decision.gates[-1].saw
    assert saw[str(TWO_A_DAY)] == 2
    assert saw["120 EUR in 30d per policy"] == pytest.approx(40, abs=0.1)


def test_freed_room_in_a_shared_budget_goes_to_the_longest_waiting_model(history):
    """Also within one notification; those that wait leave no more lines in the log."""
    history.policy_set = policy_set(budget(TWO_A_DAY, alert_expiry=30 * DAY))
    history.deliver(alert("4"))
    history.run_to_its_end()
    history.clock.pass_(2 * HOUR)
    names = ("1", "3", "2")
    alerts = [alert(n, starts_at=history.now() - k * MINUTE) for k, n in enumerate(names)]

    assert reasons(history.deliver(*alerts)) == ["triggered", "budget", "budget"]
    history.deliver(resolved("4", ends_at=history.now()))
    history.run_to_its_end()
    history.deliver(resolved("1", starts_at=history.now() - HOUR, ends_at=history.now()))
    history.wait(21 * HOUR, step=3 * HOUR)
    assert len(history.log(reason="budget")) == 2
    assert len(history.dispatches()) == 2
    history.wait(4 * HOUR, step=HOUR)

    assert models_of(history) == ["4", "1", "2", "3"]
    assert len(history.log(reason="budget")) == 2


def test_so_many_at_once_and_the_next_one_when_a_run_ends(history):
    """No moment is known beforehand; a minute later the next one is sent."""
    history.policy_set = policy_set(budget(ONE_AT_ONCE))
    taken = history.deliver(alert("1"), alert("2"))

    assert reasons(taken) == ["triggered", "budget"]
    assert taken[1].next_check_at is None
    assert taken[1].detail.endswith("there is room again when a run ends")
    history.wait(HOUR, step=10 * MINUTE)
    assert len(history.dispatches()) == 1

    history.target.finish()
    history.wait(10 * MINUTE, step=MINUTE)

    assert models_of(history) == ["1", "2"]


def test_a_waiting_expensive_model_does_not_block_a_cheap_one(history):
    """Both count towards one total, and each needs room for what its own run costs."""
    total = Limit(Scope.TOTAL, Counted.COST, 120, 30 * DAY, "EUR")
    only = parse_matchers('user_id=~"dear-.*"')
    dear = budget(total, name="dear", matchers=only, cost=replace(PRICE, amount=100))
    cheap = budget(total, name="cheap", cost=Cost(10, "EUR"))
    history.policy_set = policy_set(dear, cheap)
    waits = alert("dear-2", starts_at=NOON - HOUR)
    decided = history.deliver(alert("dear-1"), waits, alert("a"), alert("b"), alert("c"))
    assert reasons(decided) == ["triggered", "budget", "triggered", "triggered", "budget"]
    while history.send():
        pass
    history.clock.pass_(1.7 * HOUR)

    history.target.finish(RunState.SUCCEEDED)  # dear-1 costs 85 after all, not 100
    while history.follow():
        pass
    history.work()

    assert models_of(history) == ["a", "b", "dear-1", "c"]


@pytest.mark.parametrize("way", ["refused", "superseded", "abandoned"])
def test_what_never_ran_is_given_back(history, way):
    """At once, not when its span is over."""
    history.policy_set = policy_set(budget(replace(TWO_A_DAY, most=1), MONEY, cost=PRICE))
    history.deliver(alert("1"), alert("2", starts_at=history.now() - MINUTE))
    if way == "refused":
        history.target.accidents = [refused]
    elif way == "superseded":
        history.deliver(resolved("1", ends_at=history.now()))
    else:
        dispatches.abandon(history.store, history.policy_set, ANA, history.dispatches()[0].id)
    history.send()
    history.deliver(resolved("1", ends_at=history.now()))
    history.work()

    assert {(row.model, row.state) for row in history.dispatches()} == {
        ("1", way),
        ("2", "running"),
    }


def test_an_operators_order_is_counted_and_never_held(history):
    """It overrides the budget, and is part of it."""
    history.policy_set = policy_set(budget(replace(TWO_A_DAY, most=1)))
    history.deliver(alert("1"))
    history.run_to_its_end()
    controls.retrain(history.store, history.policy_set, ANA, "1")

    (held,) = history.deliver(alert("2"))

    assert len(history.dispatches()) == 2
    assert held.detail.startswith("the budget is used up: 2 of 1 runs in 1d in total")


def test_money_is_reserved_and_corrected_by_the_real_time(history):
    """Two runs of 40 fit into 100, a third does not; one that took a quarter costs a quarter."""
    history.policy_set = policy_set(budget(MONEY, cost=PRICE))
    taken = history.deliver(alert("1"), alert("2"), alert("3"))
    assert reasons(taken) == ["triggered", "triggered", "budget"]
    assert "80 of 100 EUR in 30d per policy are spent" in taken[2].detail

    while history.send():
        pass
    history.clock.pass_(HOUR / 2)
    history.target.finish(RunState.FAILED)
    while history.follow():
        pass
    history.work()
    assert models_of(history) == ["1", "2", "3"]

    (fourth,) = history.deliver(alert("4"))

    # 10 + 10 for half an hour each, 40 are reserved for the third, 40 would still fit.
    assert fourth.reason.value == "triggered"
    (fifth,) = history.deliver(alert("5"))
    assert "100 of 100 EUR" in fifth.detail


def test_a_cost_without_a_run_time_is_what_it_is(history):
    """However long the run took."""
    price = Cost(40, "EUR")
    history.policy_set = policy_set(budget(MONEY, cost=price))
    history.deliver(alert("1"), alert("2"))
    history.run_to_its_end()

    assert reasons(history.deliver(alert("3"))) == ["budget"]


def test_beyond_a_soft_budget_a_human_is_asked(history):
    """And can approve one run more, or wait."""
    soft = replace(TWO_A_DAY, most=1, asks=True)
    history.policy_set = policy_set(budget(soft))
    taken = history.deliver(alert("1"), alert("2"))
    held = taken[1]
    assert held.reason.value == "budget"
    assert held.detail.endswith("or now: a human must look; approve one more run, or reject it")

    approvals.approve(history.store, history.policy_set, ANA, "2")
    history.work()

    assert len(history.dispatches()) == 2
    (third,) = history.deliver(alert("3"))
    approvals.reject(history.store, history.policy_set, ANA, "3")
    history.wait(DAY + HOUR, step=6 * HOUR)
    assert third.reason.value == "budget"
    assert models_of(history)[:2] == ["1", "2"]
    assert "3" not in {row.model for row in history.dispatches()}


def test_a_hard_limit_is_not_approved_away(history):
    """Not even if another one asks."""
    history.policy_set = policy_set(budget(replace(TWO_A_DAY, most=1, asks=True), ONE_AT_ONCE))
    _, held = history.deliver(alert("1"), alert("2"))

    assert "approve" not in held.detail
    assert state_of(history.model("2"), history.firing("2"), [], history.now()) is ModelState.HELD


def used(peer):
    """What `GET /policies` tells of the limits that the models of the first policy share."""
    [policy] = peer.get("/policies").json()["policies"]
    return {one["limit"]: one for one in policy["budget"]}


def test_operators_see_how_much_is_used(history, tmp_path, cli):
    """Before anything is held: in the words of the gate, and from when one more run fits."""
    with host(history, tmp_path, NO_AUTH + BUDGETS) as plain:
        peer = DescribedPeer(plain.url)
        unused = used(peer)
        first, second, third = history.deliver(alert("1"), alert("2"), alert("3"))
        ordered_at = history.now()
        full = used(peer)
        history.clock.pass_(DAY + MINUTE)
        later = used(peer)
        table = cli("policies", url=peer.url).out
        [row] = cli("policies", "-o", "csv").rows

    runs, money = "2 runs in 1d per policy", "100 EUR in 30d per policy"
    flight = "4 in flight in total"
    assert list(unused) == [runs, money, flight]
    assert all(one["used"] == 0 and not one["spent"] for one in unused.values())
    assert reasons([first, second, third]) == ["triggered", "triggered", "budget"]
    assert (full[runs]["spent"], full[runs]["frees_at"]) == (True, stamp(ordered_at + DAY))
    assert full[runs]["detail"] == "2 of 2 runs in 1d per policy are ordered"
    assert full[runs]["detail"] in third.detail
    assert (full[money]["used"], full[money]["unit"], full[money]["spent"]) == (80, "EUR", True)
    assert (full[flight]["used"], full[flight]["spent"]) == (2, False)
    assert [one["scope"] for one in full.values()] == ["policy", "policy", "total"]
    assert [one["asks"] for one in full.values()] == [True, True, False]
    assert (later[runs]["used"], later[runs]["spent"], later[runs]["frees_at"]) == (0, False, None)
    assert table.endswith(f"used up: 80 of {money}\n")
    assert json.loads(row["budget"]) == list(later.values())


def test_retention_changes_no_budget(history):
    """Runs are counted although their decisions and dispatches were forgotten."""
    limit = Limit(Scope.TOTAL, Counted.RUNS, 1, 30 * DAY)
    money = replace(MONEY, most=40)
    history.policy_set = policy_set(budget(limit, money, cost=Cost(40, "EUR")))
    history.deliver(alert("1"))
    history.run_to_its_end()
    history.clock.pass_(10 * DAY)
    forget(history.store, Ages(decisions=DAY, skips=DAY, notifications=DAY), lambda: False)
    assert history.dispatches() == []

    (held,) = history.deliver(alert("2"))

    assert held.detail.count(" of ") == 2
    history.clock.pass_(400 * DAY)
    forget(history.store, Ages(), lambda: False)
    assert reasons(history.deliver(alert("3"))) == ["triggered"]


def test_a_policy_that_is_gone_wakes_nobody(history):
    """The reload decides its models anew; until then they wait."""
    history.policy_set = policy_set(budget(ONE_AT_ONCE))
    history.deliver(alert("1"), alert("2"))
    history.run_to_its_end()
    history.policy_set = policy_set(replace(budget(ONE_AT_ONCE), name="other"))
    history.work()

    assert len(history.dispatches()) == 1


@pytest.mark.parametrize("at", ["locked", "commit"])
def test_two_replicas_never_share_the_last_of_a_budget(replicas, at):
    """The second waits for the first one's commit, and sees what it ordered."""
    one, two = replicas.start(), replicas.start()
    one.policy_set = two.policy_set = policy_set(budget(replace(TWO_A_DAY, most=1)))

    with replicas.held(one.store, one.reasons, alert("1"), at=at) as first:
        if at == "locked":  # it has not asked for the budget yet: the other is first
            assert two.reasons(alert("2")) == ["triggered"]
        else:
            second = replicas.begin(two.reasons, alert("2"))
            replicas.await_waiting()

    expected = ["budget"] if at == "locked" else ["triggered"]
    assert first.result() == expected
    if at == "commit":
        assert second.result() == ["budget"]
    assert len(one.dispatches()) == 1


def test_many_replicas_at_once_keep_to_the_budget(replicas):
    """Whoever comes first; nobody waits in a circle."""
    stores = [replicas.start() for _ in range(3)]
    for history in stores:
        history.policy_set = policy_set(budget(replace(TWO_A_DAY, most=5)))

    posting = [
        replicas.begin(stores[n % 3].reasons, *(alert(f"{n}{k}") for k in range(4)))
        for n in range(6)
    ]
    taken = [reason for done in posting for reason in done.result()]

    assert taken.count("triggered") == 5
    assert taken.count("budget") == 19
    assert len(stores[0].dispatches()) == 5


def test_a_policy_without_shared_limits_waits_for_nobody(replicas):
    """A limit per model needs the model's own lock only."""
    one, two = replicas.start(), replicas.start()
    one.policy_set = two.policy_set = policy_set(budget(FOUR_A_WEEK))

    with replicas.held(one.store, one.reasons, alert("1")):
        assert two.reasons(alert("2")) == ["triggered"]
