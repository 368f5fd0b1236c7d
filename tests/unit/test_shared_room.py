"""Who of those that wait for a budget is let go, and who goes on waiting."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.budgets import Counted, Limit, Scope, Usage
from receiver.core.shared_room import Held, SharedRoom
from tests.examples import DRIFT

DAY = timedelta(days=1)
TOTAL = Limit(Scope.TOTAL, Counted.RUNS, 3, DAY)
PER_POLICY = Limit(Scope.POLICY, Counted.RUNS, 1, DAY)
PER_MODEL = Limit(Scope.MODEL, Counted.RUNS, 1, DAY)
EUROS = Limit(Scope.TOTAL, Counted.COST, 10, DAY, "EUR")
POLICIES = {name: replace(DRIFT, name=name) for name in ("drift", "other")}


def waits(model, policy="drift", *, is_due=False):
    return Held(model, policy, is_due)


def room(usages):
    """What `usages` says of policies and models, and of no model what they share."""

    def shared(policy):
        return [one for one in usages(policy, "") if one.limit.is_wide]

    return SharedRoom(usages, shared, POLICIES.values())


def let_go(usages, *waiting):
    """The models that fit; each asks for what `usages` says of its policy and name."""
    return room(usages).give_out(waiting)


def used(*of):
    """The same usage for everybody."""
    return lambda _policy, _model: of


def test_as_many_are_let_go_as_there_is_room_for_in_their_order():
    """Who waits longest comes first."""
    waiting = [waits(name) for name in "dbca"]

    assert let_go(used(Usage(TOTAL, 1)), *waiting) == ["d", "b"]
    assert let_go(used(Usage(TOTAL, 3)), *waiting) == []


def test_a_model_with_two_alerts_takes_one_runs_room():
    """Both are decided by one check of the model, which starts one run."""
    waiting = [waits("a"), waits("a"), waits("b")]

    assert let_go(used(Usage(TOTAL, 1)), *waiting) == ["a", "b"]


def test_each_limit_must_have_room_and_is_charged_only_if_all_have():
    """A model that one limit holds takes nothing of the others."""

    def usages(_policy, model):
        return [Usage(PER_MODEL, 1 if model == "full" else 0), Usage(TOTAL, 2)]

    assert let_go(usages, waits("full"), waits("a"), waits("b")) == ["a"]


def test_a_limit_per_policy_or_model_is_each_ones_own():
    """The room of one is not taken by another's run; what all share is."""
    waiting = [waits("a"), waits("b"), waits("c", policy="other"), waits("d", policy="other")]

    assert let_go(used(Usage(PER_POLICY, 0)), *waiting) == ["a", "c"]
    assert let_go(used(Usage(PER_MODEL, 0)), *waiting) == ["a", "b", "c", "d"]
    assert let_go(used(Usage(PER_MODEL, 0), Usage(TOTAL, 1)), *waiting) == ["a", "b"]


def test_a_run_takes_what_it_costs():
    """A cheap one fits where a dear one does not."""
    prices = {"dear": 6, "cheap": 3, "cheaper": 1}

    def usages(_policy, model):
        return [Usage(EUROS, 1, needed=prices.get(model, 1))]

    waiting = [waits("dear"), waits("cheap"), waits("cheaper")]
    assert let_go(usages, *waiting) == ["dear", "cheap"]
    assert let_go(usages, waits("cheap"), waits("dear"), waits("cheaper")) == ["cheap", "dear"]
    assert let_go(usages, waits("cheaper"), waits("cheap"), waits("dear")) == ["cheaper", "cheap"]


def test_each_policy_asks_for_its_own_limits():
    """What one of them has used up holds none of the other's models."""

    def usages(policy, _model):
        return [Usage(PER_POLICY, 1 if policy.name == "drift" else 0)]

    assert let_go(usages, waits("a"), waits("b", policy="other")) == ["b"]


def test_a_policy_that_is_gone_lets_nobody_go():
    """And takes no room from those behind."""
    assert let_go(used(Usage(TOTAL, 2)), waits("a", policy="gone"), waits("b")) == ["b"]


def test_a_policy_without_room_is_passed_over():
    """What its models share is spent: of those that wait none is asked about; others go."""
    asked = []

    def usages(policy, model):
        asked.append(model)
        return [Usage(PER_POLICY, 1 if policy.name == "drift" else 0)]

    crowd = (waits(f"m{number}") for number in range(1000))
    assert room(usages).give_out([*crowd, waits("b", policy="other")]) == ["b"]
    assert set(asked) == {"", "b"}


def test_no_more_is_read_once_no_policy_has_room():
    """The rest of what waits may be long."""
    unread = (waits(name) for name in "abc")

    assert room(used(Usage(TOTAL, 2))).give_out(unread) == ["a"]
    assert [one.model for one in unread] == ["c"]


def test_what_is_due_already_takes_room_and_is_not_named():
    """The timer decides it anyway; whoever comes behind it must not take its room."""
    waiting = [waits("a", is_due=True), waits("b"), waits("c")]

    assert let_go(used(Usage(TOTAL, 1)), *waiting) == ["b"]
