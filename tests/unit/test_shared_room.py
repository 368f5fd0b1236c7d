"""Who of those that wait for a budget is let go, and who goes on waiting."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.budgets import Counted, Limit, Scope, Usage
from receiver.core.models import FiringAlert
from receiver.core.shared_room import SharedRoom
from tests.examples import DRIFT
from tests.fakes import NOON

DAY = timedelta(days=1)
TOTAL = Limit(Scope.TOTAL, Counted.RUNS, 3, DAY)
PER_POLICY = Limit(Scope.POLICY, Counted.RUNS, 1, DAY)
PER_MODEL = Limit(Scope.MODEL, Counted.RUNS, 1, DAY)
EUROS = Limit(Scope.TOTAL, Counted.COST, 10, DAY, "EUR")
POLICIES = {name: replace(DRIFT, name=name) for name in ("drift", "other")}


def waits(model, policy="drift", alertname="HighModelMAE"):
    return FiringAlert(
        fingerprint=f"{alertname}-{model}",
        model=model,
        policy=policy,
        alertname=alertname,
        labels={},
        value=None,
        starts_at=NOON,
        confirmed_at=NOON,
        expires_at=NOON + DAY,
        held_by="budget",
    )


def let_go(usages, *waiting):
    """The models that fit; each asks for what `usages` says of its policy and name."""
    return SharedRoom(usages).give_out(waiting, POLICIES)


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
    waiting = [waits("a"), waits("a", alertname="LowModelR2"), waits("b")]

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
        return [Usage(EUROS, 1, needed=prices[model])]

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
