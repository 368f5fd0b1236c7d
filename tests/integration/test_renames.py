"""Names that the configuration does not have any more: what is stored under them is not lost."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.matchers import parse_matchers
from receiver.core.models import PauseScope
from receiver.core.policy_set import PolicySet
from receiver.core.renames import renamed
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act, NotFound
from receiver.flows.operator.left_behind import left_behind
from receiver.flows.operator.reloading import Applied, apply_configuration
from tests.commands import run_here
from tests.examples import DRIFT, PIPELINE, alert
from tests.serving import NO_AUTH, host

ANA = Act("ana", "freeze")
MATCH = ['alertname=~"HighModelMAE|LowModelR2"']
RENAMED = replace(DRIFT, name="quality")
MOVED = replace(PIPELINE, place={**PIPELINE.place, "endpoint": "http://elsewhere"})


def load(history, *policies, targets=(PIPELINE,), match=MATCH, **more):
    """Load a configuration with these policies. What it changed."""
    history.clock.pass_(timedelta(seconds=1))  # the configuration loaded last is in force
    sections = [{"name": policy.name, "match": match, **more} for policy in policies]
    body = json.dumps([sections, [[target.name, *target.place.items()] for target in targets]])
    by_name = {target.name: target for target in targets}
    history.policy_set = PolicySet(policies, by_name, body)
    return apply_configuration(
        history.store, history.policy_set, json.dumps({"policies": sections})
    )


def pause(history, name="drift", length=None):
    scope = PauseScope.POLICY
    controls.pause(history.store, history.policy_set, ANA, scope, name, length=length)


def resume(history, name="drift"):
    controls.resume(history.store, history.policy_set, ANA, PauseScope.POLICY, name)


def test_a_renamed_policy_stays_paused(history):
    """Hold rather than run: what has a paused policy's matchers inherits its pause."""
    load(history, DRIFT)
    pause(history)
    assert history.reasons(alert()) == ["paused"]

    applied = load(history, RENAMED)
    history.tick()

    assert history.dispatches() == []
    said = "carried over from policy drift, whose matchers it has: freeze"
    assert applied == Applied(changed=True, told=(f"policy quality is paused by ana: {said}",))
    (note,) = history.log(policy="quality", reason="operator")
    assert (note.actor, note.comment) == ("configuration", said)
    assert history.log(policy="quality", reason="paused")


def test_a_carried_pause_is_lifted_once_and_for_all(history):
    """What an operator lifts does not come back with the next reload."""
    load(history, DRIFT)
    pause(history)
    history.deliver(alert())
    load(history, RENAMED)

    resume(history, "quality")
    load(history, RENAMED, targets=(MOVED,))
    load(history, RENAMED)
    history.tick()

    assert len(history.dispatches()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"policies": (DRIFT, RENAMED)}, {"policies": (RENAMED,)}),
        ({"policies": (DRIFT,)}, {"policies": (DRIFT, RENAMED)}),
        ({"policies": (DRIFT,)}, {"policies": (RENAMED,), "match": ['alertname="Other"']}),
    ],
)
def test_a_pause_that_need_not_move_stays_where_it_is(history, before, after):
    """A policy that was there before, or whose matchers differ, inherits nothing."""
    load(history, *before["policies"])
    pause(history)

    assert load(history, *after["policies"], match=after.get("match", MATCH)).told == ()


def test_an_heir_that_is_paused_itself_keeps_its_own_pause(history):
    """Its own may last longer, and says why it was made."""
    load(history, RENAMED)
    pause(history, "quality")
    load(history, DRIFT)
    pause(history)

    assert load(history, RENAMED).told == ()


def test_a_pause_that_has_ended_moves_nowhere(history):
    """Nothing is held longer than the operator said."""
    load(history, DRIFT)
    pause(history, length=timedelta(hours=1))
    history.clock.pass_(timedelta(hours=2))

    assert load(history, RENAMED).told == ()


def test_an_orphaned_pause_is_told_and_can_be_lifted(history):
    """It holds nothing now, and would hold a later policy of that name."""
    pause(history)
    load(history, RENAMED)

    (told,) = left_behind(history.store, history.policy_set)
    assert told.startswith("policy drift is paused by ana (freeze), but is not in the config")
    assert "retrain-receiver resume --policy drift" in told
    resume(history)

    assert left_behind(history.store, history.policy_set) == []
    for act in (pause, resume):
        with pytest.raises(NotFound, match="there is no policy drift"):
            act(history)


def test_what_a_rename_forgets_is_told(history):
    """Budgets and releases are counted by name: whoever renames gets them anew."""
    load(history, DRIFT, budget={"runs": ["1 in 30d"]})

    (told,) = load(history, RENAMED).told

    assert told.startswith("policy quality seems to be drift renamed: runs under the old name")


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ((), "target pipeline is not in the configuration, but 2 dispatches are unfinished there"),
        ((MOVED,), "target pipeline moved from kfp http://kfp to kfp http://elsewhere"),
        ((PIPELINE, replace(MOVED, name="new")), None),
        ((MOVED, replace(PIPELINE, name="old")), None),
    ],
)
def test_unfinished_dispatches_of_a_target_that_went_are_told(history, targets, told):
    """At the reload, not when somebody asks why a run is not followed."""
    history.deliver(alert("1"), alert("2"))
    history.send()

    load(history, DRIFT, targets=targets)

    sentences = left_behind(history.store, history.policy_set)
    assert [sentence[: len(told or "")] for sentence in sentences] == [told] * bool(told)
    assert all(row.id in sentence for sentence in sentences for row in history.dispatches())
    assert sorted(history.states()) == [DispatchState.PENDING, DispatchState.RUNNING]


def test_many_dispatches_are_counted_and_not_all_named(history):
    """A log line has an end."""
    history.deliver(*(alert(str(number)) for number in range(5)))
    load(history, DRIFT, targets=())

    (told,) = left_behind(history.store, history.policy_set)

    assert "5 dispatches are unfinished there" in told
    assert sum(row.id in told for row in history.dispatches()) == 3


def test_those_of_one_target_hide_none_of_another(history):
    """More than a page of one: the few of the other are told too, and all are counted."""
    few = replace(DRIFT, name="few", matchers=parse_matchers("alertname=Few"), target="other")
    both = {"pipeline": PIPELINE, "other": replace(PIPELINE, name="other")}
    history.policy_set = PolicySet((DRIFT, few), both, "hash")
    history.deliver(*(alert(f"m{number:03}") for number in range(520)))
    history.deliver(*(alert(f"x{number}", name="Few") for number in range(5)))

    load(history, DRIFT, targets=(PIPELINE,))
    (told,) = left_behind(history.store, history.policy_set)
    assert "target other is not in the configuration, but 5 dispatches" in told
    load(history, DRIFT, targets=())
    told = left_behind(history.store, history.policy_set)
    assert [one.partition(", but ")[2].partition(" are")[0] for one in told] == [
        "5 dispatches",
        "520 dispatches",
    ]


def test_one_rename_among_others_is_seen():
    """Only what went and what came can be one; the order of matchers says nothing."""
    before = [{"name": "a", "match": ["x", "y"]}, {"name": "b", "match": ["z"]}]
    after = [
        {"name": "b", "match": ["x", "y"]},
        {"name": "c", "match": ["y", "x"]},
        {"name": "d", "match": ["z"]},
    ]

    assert renamed(before, after) == [(before[0], after[1])]


def test_an_orphaned_pause_is_shown_everywhere(history, tmp_path, monkeypatch, capsys):
    """In the API, by the command and on the page, each with the way to lift it."""
    history.policy_set = PolicySet((replace(DRIFT, name="old"),))
    pause(history, "old")
    html = {"Accept": "text/html"}
    with host(history, tmp_path, NO_AUTH) as receiver:
        (orphan,) = receiver.get("/policies").json()["orphaned_pauses"]
        page = receiver.get("/ui/policies", headers=html).text
        form = receiver.get("/ui/acts/resume?policy=old", headers=html).text
        said = run_here(monkeypatch, capsys)("policies", url=receiver.url)

        answer = receiver.post("/resume", {"comment": "done", "policy": "old"})

        assert answer.status == 200
        assert receiver.get("/policies").json()["orphaned_pauses"] == []
        assert receiver.get("/ui/acts/resume?policy=old", headers=html).status == 404
    assert (orphan["policy"], orphan["actor"], orphan["comment"]) == ("old", "ana", "freeze")
    assert "but is not in the configuration" in page
    assert "/ui/acts/resume?policy=old" in page
    assert "It ends this pause" in form
    assert "retrain-receiver resume --policy old" in said.out
    with history.store.view() as view:
        assert view.models.pauses() == []
