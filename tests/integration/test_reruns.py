"""A run that a human starts anew at its target is followed again while its model cools down."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchError, DispatchState, Failure
from receiver.core.policy_set import PolicySet
from receiver.core.run_ends import LATEST_RERUN_LOOK, next_rerun_look
from receiver.core.runs import RunState
from receiver.core.targets import Target, TargetKind
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.worker.reruns import PACE, RerunPace
from receiver.flows.worker.retention import Ages, forget
from tests.contract import github_setup
from tests.examples import DRIFT, PIPELINE, alert, resolved
from tests.fakes import NOON, HandClock
from tests.histories import TARGET
from tests.peers.github import GithubPeer

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def failed(history):
    """A model whose run failed; it still fires, and is in its cooldown."""
    history.deliver(alert())
    history.run_to_its_end(RunState.FAILED)
    return history


def end_of(history):
    """What is remembered of the only run's end."""
    (dispatch,) = history.dispatches()
    with history.store.view() as view:
        return view.dispatches.ends([dispatch.id]).get(dispatch.id)


def start_anew(history, state=RunState.RUNNING):
    (dispatch,) = history.dispatches()
    history.target.start_anew(dispatch.id, state)


@pytest.mark.parametrize("ended", [RunState.FAILED, RunState.CANCELLED, RunState.SUCCEEDED])
def test_a_run_that_goes_again_is_in_flight_again(history, ended):
    history.deliver(alert())
    history.run_to_its_end(ended)
    start_anew(history)
    history.wait(2 * MINUTE)

    (dispatch,) = history.dispatches()
    assert (dispatch.state, dispatch.ended_at) == (DispatchState.RUNNING, None)
    assert dispatch.detail == (
        f"run run-{dispatch.id} was started anew at the target: it is followed again"
    )
    assert end_of(history) is None
    assert history.reasons(alert(name="LowModelR2")) == ["in_flight"]


def test_its_model_gets_no_second_run_beside_it(failed):
    """The cooldown ends while the first run goes again: that would have ordered another."""
    start_anew(failed)
    failed.wait(DRIFT.cooldown + HOUR, step=5 * MINUTE)
    assert failed.states() == [DispatchState.RUNNING]

    failed.target.finish()
    failed.wait(2 * MINUTE)
    assert failed.states() == [DispatchState.SUCCEEDED]
    assert end_of(failed).state is DispatchState.SUCCEEDED
    assert failed.model().cooldown_until >= failed.now() + DRIFT.settle - 3 * MINUTE


def test_one_that_ended_otherwise_between_two_looks_is_followed_to_that_end(failed):
    start_anew(failed, RunState.SUCCEEDED)
    failed.wait(3 * MINUTE)

    assert failed.states() == [DispatchState.SUCCEEDED]
    with failed.store.view() as view:
        told = view.dispatches.transitions(failed.dispatches()[0].id)
    assert [each.state for each in told][-3:] == ["failed", "running", "succeeded"]


def test_one_that_ended_alike_between_two_looks_is_told_again(history):
    """Its end is what a model's effect, cooldown and settling count from."""
    history.deliver(alert())
    history.run_to_its_end(RunState.SUCCEEDED)
    first = end_of(history)
    start_anew(history, RunState.SUCCEEDED)
    history.wait(3 * MINUTE)

    assert history.states() == [DispatchState.SUCCEEDED]
    (dispatch,) = history.dispatches()
    with history.store.view() as view:
        told = view.dispatches.transitions(dispatch.id)
    assert [each.state for each in told][-3:] == ["succeeded", "running", "succeeded"]
    again = end_of(history)
    assert (first.run_attempt, again.run_attempt) == (1, 2)
    assert again.ended_at > first.ended_at
    history.wait(20 * MINUTE)
    assert end_of(history) == replace(again, rerun_due_at=end_of(history).rerun_due_at), "once"


def test_so_does_github(history, tmp_path):
    """It counts a run's attempts."""
    place = {"repository": "acme/models", "workflow": "retrain-model.yaml", "ref": "main"}
    token = github_setup.token_file(tmp_path)
    with GithubPeer() as github:
        history.target = github_setup.dispatcher_with(token)
        target = Target(TARGET, TargetKind.GITHUB, {**place, "base_url": github.base_url}, {})
        history.policy_set = replace(history.policy_set, targets={TARGET: target})
        history.deliver(alert())
        history.send()
        github.finish(8001, "failure")
        history.wait(MINUTE)
        first = end_of(history)
        github.rerun(8001, "failure")
        history.wait(3 * MINUTE)

        assert history.states() == [DispatchState.FAILED]
        assert (first.run_attempt, end_of(history).run_attempt) == (1, 2)


def test_where_no_attempts_are_counted_only_another_end_shows(history):
    history.target.counts_attempts = False
    history.deliver(alert())
    history.run_to_its_end(RunState.FAILED)
    first = end_of(history)
    start_anew(history, RunState.FAILED)
    history.wait(3 * MINUTE)
    assert end_of(history).ended_at == first.ended_at

    start_anew(history, RunState.SUCCEEDED)
    history.wait(10 * MINUTE)
    assert history.states() == [DispatchState.SUCCEEDED]


def test_it_may_go_again_more_than_once(failed):
    for state in (RunState.CANCELLED, RunState.FAILED, RunState.SUCCEEDED):
        start_anew(failed)
        failed.wait(3 * MINUTE)
        assert failed.states() == [DispatchState.RUNNING]
        failed.target.finish(state)
        failed.wait(MINUTE)
        assert failed.states() == [DispatchState(state.value)]


def test_nobody_is_asked_when_the_cooldown_is_over(failed):
    failed.deliver(resolved(ends_at=failed.now()))
    failed.wait(DRIFT.cooldown + LATEST_RERUN_LOOK + MINUTE, step=5 * MINUTE)
    polls = failed.target.polls
    start_anew(failed)
    failed.wait(6 * HOUR, step=5 * MINUTE)

    assert failed.target.polls == polls
    assert failed.states() == [DispatchState.FAILED]
    assert end_of(failed).rerun_due_at is None


def test_it_is_asked_ever_less_often(failed):
    """A run that nobody starts anew costs its target 40 requests in six hours, not 360."""
    failed.deliver(resolved(ends_at=failed.now()))
    polls = failed.target.polls
    failed.wait(DRIFT.cooldown, step=MINUTE / 2)
    assert 25 <= failed.target.polls - polls <= 50


def test_an_answer_that_tells_nothing_is_asked_for_again(failed):
    failed.target.poll_fails = DispatchError("GitHub answered 502", Failure.UNKNOWN)
    start_anew(failed)
    failed.wait(3 * MINUTE)
    assert failed.states() == [DispatchState.FAILED]

    failed.target.poll_fails = None
    failed.wait(3 * MINUTE)
    assert failed.states() == [DispatchState.RUNNING]


def test_a_run_that_its_target_knows_no_more_stays_as_it_ended(failed):
    start_anew(failed, RunState.GONE)
    failed.wait(5 * MINUTE)
    assert failed.states() == [DispatchState.FAILED]


def test_what_the_target_said_before_another_order_is_too_late(failed):
    """An operator ordered a run meanwhile: the old one is nobody's any more."""
    poll = failed.target.poll

    def poll_slowly(dispatch):
        status = poll(dispatch)
        failed.target.poll = poll
        controls.retrain(failed.store, failed.policy_set, Act("ana", "now"), "42")
        return status

    start_anew(failed)
    failed.target.poll = poll_slowly
    failed.wait(2 * MINUTE)
    assert failed.states() == [DispatchState.FAILED, DispatchState.RUNNING]


def test_a_target_that_moved_is_not_asked(failed):
    moved = replace(PIPELINE, place={**PIPELINE.place, "endpoint": "http://elsewhere"})
    failed.policy_set = PolicySet((DRIFT,), {"pipeline": moved}, "moved")
    polls = failed.target.polls
    failed.wait(5 * MINUTE)
    assert failed.target.polls == polls


def test_a_dispatch_that_was_forgotten_is_not_asked_about(failed):
    failed.deliver(resolved(ends_at=failed.now()))
    polls = failed.target.polls
    failed.clock.pass_(timedelta(days=2))
    none = timedelta(0)
    forget(failed.store, Ages(decisions=none, skips=none, notifications=none), lambda: False)
    failed.work()
    assert failed.dispatches() == []
    assert failed.target.polls == polls


def test_one_target_is_asked_at_most_every_ten_seconds():
    clock = HandClock()
    pace = RerunPace(clock)
    pace.asks("pipeline")

    assert not pace.allows("pipeline")
    assert pace.allows("another")
    clock.jump(HOUR)
    assert not pace.allows("pipeline")
    clock.pass_(PACE)
    assert pace.allows("pipeline")


@pytest.mark.parametrize(("since", "wait"), [(0, 1), (9, 1), (50, 5), (400, 15)])
def test_the_wait_is_a_tenth_of_the_time_since_the_end(since, wait):
    assert next_rerun_look(NOON, NOON + since * MINUTE) == NOON + (since + wait) * MINUTE
