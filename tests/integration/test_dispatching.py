"""A dispatch becomes one run, wherever an attempt dies."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchError, DispatchState, Failure, Mover
from receiver.core.models import PauseScope
from receiver.core.runs import Run, RunState
from receiver.flows.operator import controls, dispatches
from receiver.flows.operator.acts import Act
from receiver.flows.transitions import LEASE, save_moved
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker import dispatching, reconciling
from receiver.telemetry import registry
from tests.examples import DRIFT, alert, observing, policy_set, resolved
from tests.fakes import (
    Killed,
    accepted_then_cut,
    accepted_without_id,
    cut_before_accepting,
    killed_after,
    killed_before,
    refused,
    unavailable,
)
from tests.histories import TARGET

MINUTE = timedelta(minutes=1)
ANA = Act("ana", "because")
NOTHING_FIRES = "no alert of the model fires any more"
WAITED = "retrain_time_to_dispatch_seconds"


def survive(history):
    """One step of the sender; a death is survived by a new process."""
    try:
        history.send()
    except Killed:
        history.restart()


@pytest.mark.parametrize(
    "accident",
    [
        accepted_then_cut,
        cut_before_accepting,
        accepted_without_id,
        killed_before,
        killed_after,
        unavailable,
    ],
)
def test_every_accident_ends_in_exactly_one_run(history, accident):
    """Wherever the first attempt dies, the dispatch is carried out once."""
    history.target.accidents = [accident]
    history.deliver(alert())

    for _ in range(20):
        survive(history)
        history.clock.pass_(MINUTE)

    assert len(history.target.starts) == 1
    assert history.states() == [DispatchState.RUNNING]


def test_a_lost_answer_is_looked_up_and_found(history):
    """One POST went out; the run is found by the dispatch's id."""
    history.target.accidents = [accepted_then_cut]
    history.deliver(alert())
    history.send()
    assert history.states() == [DispatchState.UNKNOWN]

    history.clock.pass_(timedelta(seconds=1))
    history.send()

    assert history.target.asked == 1
    assert history.dispatches()[0].run_id == f"run-{history.target.starts[0]}"


def test_absence_proves_nothing_before_the_window_has_passed(history):
    """A run that the target lists late is not started again."""
    history.target.accidents = [accepted_then_cut]
    history.target.listed = False
    history.deliver(alert())
    history.wait(history.target.lookup_window - MINUTE, step=timedelta(seconds=1))
    assert history.target.looks > 5

    history.target.listed = True
    history.wait(2 * MINUTE)

    assert history.target.asked == 1
    assert history.states() == [DispatchState.RUNNING]


def test_after_a_5xx_of_kfp_a_shorter_window_proves_nothing(history):
    """KFP makes the workflow before its own row, and sweeps it away minutes later."""

    def stored_nothing(_target, _dispatch):
        raise DispatchError("500", Failure.UNKNOWN, status_code=500)

    history.target.lookup_window = timedelta(minutes=3)
    history.target.accidents = [stored_nothing]
    history.deliver(alert())
    history.wait(4 * MINUTE + timedelta(seconds=50), step=timedelta(seconds=10))
    assert history.target.asked == 1

    history.wait(MINUTE, step=timedelta(seconds=10))

    assert history.target.asked == 2


def test_a_clock_that_jumps_over_the_window_proves_nothing(history):
    """Only time that really went by counts; the wall clock may lie."""
    history.target.accidents = [accepted_then_cut]
    history.target.listed = False
    history.deliver(alert())
    history.send()

    history.clock.jump(timedelta(days=1))
    for _ in range(5):
        history.send()
        history.clock.pass_(timedelta(seconds=30))

    assert history.target.asked == 1


def test_a_listing_that_proves_nothing_is_parked_not_repeated(history):
    """It is broken and shows no run at all: ours may exist, and nobody says that it doesn't."""
    history.target.accidents = [accepted_then_cut]
    history.target.lists_nothing = True
    history.deliver(alert())

    history.wait(timedelta(hours=2))

    assert history.target.asked == 1
    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "it may exist: the listing shows no run at all" in row.detail
    assert "left no run" not in row.detail


def test_an_operator_who_looked_decides_where_the_listing_proves_nothing(history):
    """One look suffices then, as it did: they saw that nothing runs."""
    history.target.accidents = [cut_before_accepting]
    history.target.lists_nothing = True
    history.deliver(alert())
    history.wait(10 * MINUTE)
    (row,) = history.dispatches()
    dispatches.retry(history.store, history.policy_set, ANA, row.id)

    history.send()
    history.send()

    assert len(history.target.starts) == 1


def test_what_a_target_promises_not_to_start_twice_is_asked_again(history):
    """Nobody can look the run up; the second answer names the one that the first started."""
    history.target.accidents = [accepted_then_cut]
    history.target.promises = True
    history.deliver(alert())
    history.wait(history.target.lookup_window - MINUTE, step=timedelta(seconds=10))
    assert history.target.asked == 1

    history.wait(2 * MINUTE)

    assert history.target.asked == 2
    assert len(history.target.starts) == 1
    assert history.states() == [DispatchState.RUNNING]
    (row,) = history.dispatches()
    assert row.run_id == f"run-{history.target.starts[0]}"


def test_a_doubt_stays_open_until_the_promise_is_kept(history):
    """The alert ended before the order was sent again: the first attempt may have started a run.

    Nobody wants another, but what may go on holds its model, and its cooldown is not given back.
    """
    history.target.accidents = [accepted_then_cut]
    history.target.promises = True
    history.deliver(alert())
    history.wait(history.target.lookup_window - MINUTE, step=timedelta(seconds=10))
    history.deliver(resolved(ends_at=history.now()))

    history.wait(10 * MINUTE)

    assert history.target.asked == 1
    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "an earlier attempt may have started the run" in row.detail
    assert history.reasons(alert(starts_at=history.now())) == ["cooldown"]


def test_a_promise_is_not_relied_upon_for_ever(history):
    """Three attempts without a clear answer, and a human looks: the run may be there."""
    history.target.accidents = [accepted_then_cut] * 9
    history.target.promises = True
    history.deliver(alert())

    history.wait(timedelta(hours=2))

    assert history.target.asked == 3
    assert len(history.target.starts) == 1
    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "3 attempts got no clear answer, and a run may exist" in row.detail


def test_absence_where_no_id_was_ever_seen_is_parked(history):
    """A workflow without run-name hides its runs: a human looks, nothing is sent again."""
    history.target.always_shows_id = False
    history.target.accidents = [cut_before_accepting]
    history.deliver(alert())

    history.wait(10 * MINUTE)

    assert history.target.asked == 1
    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "run-name" in row.detail


def test_absence_proves_something_where_an_id_was_seen_before(history):
    """Once the workflow has shown one of our ids, a missing id means a missing run."""
    history.target.always_shows_id = False
    history.deliver(alert("1"))
    history.run_to_its_end()
    history.target.accidents = [cut_before_accepting]
    history.deliver(alert("1", starts_at=history.now()))
    history.clock.pass_(DRIFT.cooldown)
    history.deliver(alert("1", name="LowModelR2"))

    history.wait(10 * MINUTE)

    assert history.target.asked == 3
    assert history.states()[-1] is DispatchState.RUNNING


def test_three_attempts_without_a_clear_answer_are_parked(history):
    """Then a human looks; the cooldown holds the model meanwhile."""
    history.target.accidents = [cut_before_accepting] * 5
    history.deliver(alert())

    history.wait(timedelta(hours=1))

    assert history.target.asked == 3
    assert history.states() == [DispatchState.PARKED]
    assert history.reasons(alert(name="LowModelR2")) == ["cooldown"]


def test_a_listing_that_cant_be_read_is_parked_not_repeated(history):
    """Without the listing nothing is proven."""
    history.target.accidents = [accepted_then_cut]
    history.target.find_fails = DispatchError("502", Failure.UNAVAILABLE)
    history.deliver(alert())

    history.wait(10 * MINUTE)

    assert history.target.asked == 1
    assert history.states() == [DispatchState.PARKED]


def test_a_yes_without_a_run_id_is_never_sent_again(history):
    """A 204 is an acceptance: looked up, and parked if no run shows up."""
    history.target.accidents = [accepted_without_id]
    history.target.listed = False
    history.deliver(alert())

    history.wait(20 * MINUTE)

    assert history.target.asked == 1
    assert history.states() == [DispatchState.PARKED]


def test_an_unavailable_target_is_tried_again_at_a_stored_time(history):
    """5s, 10s, 20s ... up to 5m, or what the target asked for; no worker sleeps."""
    patient = DispatchError("429", Failure.UNAVAILABLE, retry_after=timedelta(minutes=7))

    def limited(_target, _dispatch):
        raise patient

    history.target.accidents = [unavailable, unavailable, limited]
    history.deliver(alert())
    waits = []
    for _ in range(3):
        history.send()
        waits.append(history.dispatches()[0].due_at - history.now())
        assert not history.send()
        history.clock.pass_(waits[-1])
    history.send()

    assert waits == [timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=7)]
    assert history.states() == [DispatchState.RUNNING]


def test_a_refusal_is_final_and_releases_the_model_to_a_back_off(history):
    """Nothing runs, so the cooldown is replaced; the detail says what to mend."""
    history.target.accidents = [refused]
    history.deliver(alert())

    history.send()

    assert history.states() == [DispatchState.REFUSED]
    assert history.model().cooldown_until is None
    assert history.model().backoff_until == history.now() + MINUTE


def test_a_model_that_recovered_while_its_dispatch_waited_is_left_alone(history):
    """Superseded, and the cooldown is given back."""
    history.target.accidents = [unavailable]
    history.deliver(alert())
    history.send()
    history.deliver(resolved(ends_at=history.now()))

    history.clock.pass_(MINUTE)
    history.send()

    (row,) = history.dispatches()
    assert row.state == DispatchState.SUPERSEDED
    assert (row.ended_at, row.detail) == (history.now(), f"not sent: {NOTHING_FIRES}")
    assert history.target.starts == []
    assert history.model().cooldown_until is None


def test_what_was_never_sent_gives_back_the_cooldown_before_it(history):
    """The model is held by its earlier run only, as if nothing had been ordered since."""
    history.deliver(alert())
    history.run_to_its_end()
    before = history.model().cooldown_until
    history.clock.pass_(before - history.now())
    history.target.accidents = [unavailable]
    history.deliver(alert())
    history.send()
    history.deliver(resolved(ends_at=history.now()))

    history.clock.pass_(MINUTE)
    history.send()

    assert history.states() == [DispatchState.SUCCEEDED, DispatchState.SUPERSEDED]
    assert history.model().cooldown_until == before


@pytest.mark.parametrize(
    "changed",
    [
        policy_set(observing()),
        replace(policy_set(), policies=()),
        replace(policy_set(), targets={}),
    ],
)
def test_a_dispatch_whose_policy_went_away_is_not_sent(history, changed):
    """Gone from the file, observing, or without its target: superseded."""
    history.deliver(alert())
    history.policy_set = changed

    history.send()

    assert history.states() == [DispatchState.SUPERSEDED]
    assert history.target.asked == 0


def test_a_paused_dispatch_stays_pending_until_it_is_resumed(history):
    """A pause holds what was ordered but not sent."""
    history.deliver(alert())
    controls.pause(history.store, history.policy_set, ANA, PauseScope.EVERYTHING, "", length=None)
    history.wait(timedelta(hours=2), step=MINUTE)
    assert history.states() == [DispatchState.PENDING]

    controls.resume(history.store, history.policy_set, ANA, PauseScope.EVERYTHING, "")
    history.wait(MINUTE)

    assert history.states() == [DispatchState.RUNNING]


@pytest.mark.parametrize("mover", Mover)
def test_a_move_that_is_not_in_the_table_is_refused(history, mover):
    """A dispatch that waits is sent first: nobody makes it succeed, and nothing is written."""
    history.deliver(alert())
    (row,) = history.dispatches()

    with history.store.begin() as tx:
        unit = UnitOfWork(tx, policy_set(), models=["42"])
        waiting = tx.dispatch(row.id)
        skipped = replace(waiting, state=DispatchState.SUCCEEDED, ended_at=unit.now)
        with pytest.raises(ValueError, match="makes no pending dispatch succeeded"):
            save_moved(unit, waiting, skipped, mover)

    assert history.states() == [DispatchState.PENDING]


def test_looking_again_at_a_paused_dispatch_leaves_no_trace(history):
    """It is still pending, so neither its history nor the metrics hear of it."""
    history.deliver(alert())
    controls.pause(history.store, history.policy_set, ANA, PauseScope.EVERYTHING, "", length=None)
    (before,) = history.dispatches()
    entered = {"target": TARGET, "state": "pending"}
    counted = registry.get_sample_value("retrain_dispatch_transitions_total", entered)

    history.wait(2 * MINUTE)

    (row,) = history.dispatches()
    assert row.due_at > before.due_at
    assert registry.get_sample_value("retrain_dispatch_transitions_total", entered) == counted
    with history.store.view() as view:
        assert [each.state for each in view.dispatches.transitions(row.id)] == ["pending"]


@pytest.mark.parametrize("accidents", [(), (unavailable, unavailable)])
def test_the_time_to_dispatch_is_counted_once(history, accidents):
    """From the order to the first attempt, however many follow."""
    history.target.accidents = list(accidents)
    history.deliver(alert())
    count, total = (registry.get_sample_value(f"{WAITED}_{part}") for part in ("count", "sum"))

    history.clock.pass_(MINUTE)
    history.send()
    history.wait(MINUTE)

    assert history.target.asked == len(accidents) + 1
    assert registry.get_sample_value(f"{WAITED}_count") == count + 1
    assert registry.get_sample_value(f"{WAITED}_sum") == pytest.approx(total + 60)


def test_a_worker_that_comes_back_late_overwrites_nothing(history):
    """Its lease ended and another took over: what it says counts no more."""

    def slow(target, dispatch):
        run = target.begin(dispatch)
        history.clock.pass_(LEASE + timedelta(seconds=1))
        history.send()  # another worker looks it up
        history.target.finish()
        history.clock.pass_(MINUTE)
        history.follow()
        return run

    history.target.accidents = [slow]
    history.deliver(alert())

    history.send()

    assert history.states() == [DispatchState.SUCCEEDED]
    assert history.target.asked == 1


def test_a_call_that_a_clock_jump_made_look_dead_is_waited_for(history):
    """Its lease seemed over. The run that it starts late shows in the listing still later."""

    def slow(target, dispatch):
        history.clock.jump(60 * MINUTE)
        history.send()  # another worker takes it over, and looks from now on
        history.clock.pass_(2 * MINUTE)
        target.listed = False
        run = target.begin(dispatch)
        history.wait(target.lookup_window - MINUTE / 2)
        target.listed = True
        history.wait(MINUTE)
        return run

    history.target.accidents = [slow]
    history.deliver(alert())

    history.send()

    assert (history.states(), history.target.asked) == ([DispatchState.RUNNING], 1)


@pytest.mark.parametrize("accident", [refused, unavailable, accepted_then_cut])
def test_an_operator_comes_before_the_worker_that_was_sending(history, accident):
    """Abandoned while its attempt was being made: what the attempt tells counts no more."""

    def abandoned(target, dispatch):
        dispatches.abandon(history.store, history.policy_set, ANA, dispatch.id)
        return accident(target, dispatch)

    history.target.accidents = [abandoned]
    history.deliver(alert())

    history.send()

    assert history.states() == [DispatchState.ABANDONED]


@pytest.mark.parametrize("state", [DispatchState.PENDING, DispatchState.SENDING])
@pytest.mark.parametrize("resolve", [False, True])
def test_a_claim_that_was_taken_over_does_nothing(history, state, resolve):
    """Between its claim and its first write another may have come."""
    history.target.accidents = [killed_before]
    history.deliver(alert())
    if state is DispatchState.SENDING:
        survive(history)
        history.clock.pass_(LEASE)  # on PostgreSQL the lease of the dead ends by itself
    if resolve:
        history.deliver(resolved(ends_at=history.now()))
    with history.store.begin() as tx:
        claimed = tx.claim_dispatch("pipeline", [state], now=tx.now(), lease=LEASE)
        tx.take_over(claimed)
    asked = history.target.asked

    if state is DispatchState.PENDING:
        dispatching._attempt(
            history.store, history.target, history.policy_set, history.watch, claimed
        )
    else:
        reconciling.look_up(
            history.store,
            history.target,
            history.policy_set,
            history.watch,
            claimed,
            now=history.now(),
        )

    assert history.states() == [state]
    assert history.target.asked == asked


def test_a_look_up_that_was_taken_over_changes_nothing(history):
    """The dispatch was abandoned while its run was being looked for."""
    history.target.accidents = [accepted_then_cut]
    history.deliver(alert())
    history.send()
    history.clock.pass_(timedelta(seconds=1))
    find = history.target.find

    def abandoned(dispatch, known):
        dispatches.abandon(history.store, history.policy_set, ANA, dispatch.id)
        return find(dispatch, known)

    history.target.find = abandoned
    history.send()

    assert history.states() == [DispatchState.ABANDONED]


def test_two_workers_never_hold_the_same_dispatch(history):
    """Neither during the claim nor during its lease does another worker get it."""
    history.deliver(alert())
    states = [DispatchState.PENDING]
    claims = []
    for _ in range(2):
        with history.store.begin() as tx:
            claims.append(tx.claim_dispatch("pipeline", states, now=tx.now(), lease=LEASE))

    assert claims[0] is not None
    assert claims[1] is None


def test_the_order_is_written_down_before_the_target_is_asked(history):
    """A death inside the call leaves `sending` behind, never `pending`."""
    seen = []

    def look(target, dispatch):
        seen.append(history.states())
        return target.begin(dispatch)

    history.target.accidents = [look]
    history.deliver(alert())

    history.send()

    assert seen == [[DispatchState.SENDING]]


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (RunState.SUCCEEDED, DispatchState.SUCCEEDED),
        (RunState.FAILED, DispatchState.FAILED),
        (RunState.CANCELLED, DispatchState.CANCELLED),
        (RunState.GONE, DispatchState.PARKED),
    ],
)
def test_a_run_is_followed_to_its_end(history, end, state):
    """Whatever the end, it settles before the model may be retrained again."""
    history.deliver(alert())

    history.run_to_its_end(end)

    assert history.states() == [state]
    assert history.model().cooldown_until >= history.now() + DRIFT.settle
    assert history.model().next_check_at == history.model().cooldown_until


def test_one_404_is_no_end_of_a_run(history):
    """Targets answer 404 about runs that go on: it is followed on, and its model stays held."""
    history.deliver(alert())
    history.send()
    history.target.finish(RunState.GONE)
    history.wait(9 * MINUTE)
    assert history.states() == [DispatchState.RUNNING]
    (row,) = history.dispatches()
    assert "the target has not known it since 12:0" in row.detail
    assert history.reasons(alert(name="LowModelR2")) == ["in_flight"]

    history.target.finish(RunState.RUNNING)
    history.wait(MINUTE)
    (row,) = history.dispatches()
    assert (row.state, row.detail) == ("running", f"run {row.run_id}: it runs")
    history.target.finish(RunState.GONE)
    history.wait(9 * MINUTE)

    assert history.states() == [DispatchState.RUNNING]
    history.wait(3 * MINUTE)
    assert history.states() == [DispatchState.PARKED]
    assert "and said so" in history.dispatches()[0].detail


def test_a_restart_does_not_begin_the_ten_minutes_anew(history):
    """What was told before is stored; a receiver that restarts often gives up all the same."""
    history.deliver(alert())
    history.send()
    history.target.finish(RunState.GONE)
    for _ in range(4):
        history.wait(3 * MINUTE)
        history.restart()
    history.wait(MINUTE)

    assert history.states() == [DispatchState.PARKED]


def test_a_clock_that_jumps_makes_no_run_gone(history):
    """The ten minutes must really go by."""
    history.deliver(alert())
    history.send()
    history.target.finish(RunState.GONE)
    history.wait(MINUTE)

    history.clock.jump(timedelta(hours=1))
    for _ in range(4):
        history.work()
        history.clock.pass_(MINUTE)

    assert history.states() == [DispatchState.RUNNING]


def test_rare_looks_give_no_run_up_before_the_third(history):
    """Ten minutes without asking prove nothing either."""
    history.deliver(alert())
    history.send()
    history.target.finish(RunState.GONE)
    for times in (1, 2, 3):
        history.clock.pass_(10 * MINUTE)
        history.follow()
        assert history.states() == [DispatchState.PARKED if times == 3 else DispatchState.RUNNING]


def test_a_run_that_is_missing_when_its_time_is_over_is_not_said_to_go_on(history):
    """It is handed to a human with what is known of it."""
    history.deliver(alert())
    history.wait(history.target.run_timeout, step=timedelta(hours=1))
    history.target.finish(RunState.GONE)
    history.clock.pass_(timedelta(hours=2))
    history.follow()

    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "was not said to be over after run_timeout" in row.detail


def test_what_a_run_waits_for_is_told_while_it_waits(history):
    """An approval at GitHub looks like a run that hangs, unless somebody says so."""
    history.deliver(alert())
    history.send()
    history.target.note = "waits for an approval of environment production at GitHub"
    history.wait(MINUTE)
    (row,) = history.dispatches()
    assert row.detail == f"run {row.run_id}: {history.target.note}"

    history.target.note = ""
    history.wait(MINUTE)

    assert history.dispatches()[0].detail == f"run {row.run_id}: it runs"


def test_a_run_that_outlives_its_time_is_handed_to_a_human(history):
    """After run_timeout it is parked, and polled no more."""
    history.deliver(alert())

    history.wait(history.target.run_timeout + timedelta(hours=2), step=timedelta(hours=1))

    assert history.states()[0] is DispatchState.PARKED
    assert "run_timeout" in history.dispatches()[0].detail


def test_a_clock_that_jumps_over_run_timeout_gives_no_run_up(history):
    """The run goes on, so the model stays held: only time that really went by counts."""
    history.deliver(alert())
    history.send()

    history.clock.jump(history.target.run_timeout + timedelta(days=1))
    history.work()

    assert history.states() == [DispatchState.RUNNING]


def test_after_a_restart_the_time_of_a_run_is_counted_anew(history):
    """What the wall clock did before nobody knows; a run that hangs is parked all the same."""
    history.deliver(alert())
    history.wait(history.target.run_timeout / 2, step=timedelta(hours=1))
    history.restart()

    history.wait(history.target.run_timeout, step=timedelta(hours=1))
    assert history.states() == [DispatchState.RUNNING]
    history.wait(timedelta(hours=2), step=timedelta(hours=1))

    assert history.states()[0] is DispatchState.PARKED


def test_a_poll_that_fails_is_tried_again(history):
    """A target that is down for a while changes nothing about the run."""
    history.deliver(alert())
    history.send()
    polls = []

    def down(_dispatch):
        polls.append(1)
        raise DispatchError("502", Failure.UNAVAILABLE)

    healthy, history.target.poll = history.target.poll, down
    history.wait(5 * MINUTE)
    assert len(polls) > 3
    assert history.states() == [DispatchState.RUNNING]

    history.target.poll = healthy
    history.target.finish()
    history.wait(2 * MINUTE)

    assert history.states() == [DispatchState.SUCCEEDED]


def test_a_young_run_is_watched_closely_and_an_old_one_rarely(history):
    """From every 2s to once a minute."""
    history.deliver(alert())
    history.send()
    history.clock.pass_(timedelta(seconds=2))
    history.follow()
    young = history.dispatches()[0].due_at - history.now()
    history.clock.pass_(timedelta(hours=1))
    history.follow()

    assert young == timedelta(seconds=2)
    assert history.dispatches()[0].due_at - history.now() == MINUTE


def test_the_run_is_told_identity_numbers_and_a_wellformed_name_only(history):
    """No other text of an alert ever leaves us."""
    history.deliver(
        alert("1", value=float("nan")), alert("2", value=None), alert("3", value=0.5, evil="$(x)")
    )

    sent = {row.model: row.inputs for row in history.dispatches()}

    assert sent == {
        "1": {"user_id": "1", "reason": "HighModelMAE"},
        "2": {"user_id": "2", "reason": "HighModelMAE"},
        "3": {"user_id": "3", "reason": "HighModelMAE", "drift_score": 0.5},
    }
    assert {row.place["namespace"] for row in history.dispatches()} == {
        "kubeflow-1",
        "kubeflow-2",
        "kubeflow-3",
    }


def test_every_attempt_and_state_is_kept(history):
    """An operator can see what was tried, and what each try told."""
    history.target.accidents = [unavailable, accepted_then_cut]
    history.deliver(alert())
    history.wait(MINUTE, step=timedelta(seconds=1))

    (row,) = history.dispatches()
    with history.store.view() as view:
        attempts = view.dispatches.attempts(row.id)
        states = [each.state for each in view.dispatches.transitions(row.id)]

    assert [(each.number, each.failure) for each in attempts] == [
        (1, "unavailable"),
        (2, "unknown"),
    ]
    assert states == ["pending", "sending", "pending", "sending", "unknown", "running"]


def test_an_answer_that_names_another_run_than_we_stored_is_kept(history):
    """The run's own id is what the target says it is."""
    history.target.accidents = [
        lambda target, dispatch: (target.begin(dispatch), Run("77", "http://x"))[1]
    ]
    history.deliver(alert())

    history.send()

    assert (history.dispatches()[0].run_id, history.dispatches()[0].run_url) == ("77", "http://x")
