"""A clock that was ahead and came back: every deadline is within its own rule again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from receiver.core.announcements import AnnouncementState, NotDelivered, Subscriber
from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.dispatches import DispatchError, DispatchState, Failure
from receiver.core.reports import Report
from receiver.core.storms import Storm
from receiver.dispatchers.unconfigured import UnconfiguredTarget
from receiver.flows.operator import approvals, controls, dispatches
from receiver.flows.operator.acts import Act
from receiver.flows.operator.controls import Named
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.worker.announcing import announce_next
from receiver.flows.worker.loops import Lane, LaneKind, LaneName, Setup, Worker
from receiver.flows.worker.mending import LEAST_STEP, StepWatch
from receiver.flows.worker.retention import Ages, JumpWatch, forget
from receiver.store.tables import deliveries, notifications
from tests.clocks import sets_back
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.fakes import NOON, HandClock, Killed, cut_before_accepting, killed_after, refused
from tests.restrained import approving, window

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ANA = Act("ana", "the clock is right again")
SHORT = replace(DRIFT, cooldown=HOUR, settle=10 * MINUTE)


FAR = pytest.mark.parametrize("ahead", [2 * HOUR, 300 * DAY], ids=["2h", "300d"], indirect=True)


@pytest.fixture
def ahead(request, history):
    """A history whose clock is ahead; `back` sets it right."""
    history.policy_set = policy_set(SHORT)
    history.tick()
    history.ahead = getattr(request, "param", 2 * HOUR)
    history.clock.jump(history.ahead)
    return history


def back(history):
    """The timer looks every second."""
    sets_back(history, history.ahead)


def settled(history):
    """The run that was ordered has ended; for so long everything works."""
    history.target.finish()
    history.wait(5 * MINUTE, step=MINUTE)


@FAR
@pytest.mark.parametrize("restarted", [False, True])
def test_a_run_that_ended_is_seen(ahead, restarted):
    """Its next poll was planned by the clock that was ahead."""
    ahead.deliver(alert())
    ahead.work()
    ahead.clock.pass_(MINUTE)
    ahead.work()
    back(ahead)
    if restarted:
        ahead.restart()

    settled(ahead)

    assert ahead.states() == [DispatchState.SUCCEEDED]


@FAR
def test_a_cooldown_ends_by_its_own_rule(ahead):
    """A model whose run ended while the clock was ahead is held for one cooldown at most."""
    ahead.deliver(alert())
    ahead.run_to_its_end()
    back(ahead)

    ahead.wait(SHORT.cooldown - MINUTE, step=10 * MINUTE)
    assert len(ahead.target.starts) == 1
    ahead.wait(2 * MINUTE, step=MINUTE)

    assert len(ahead.target.starts) == 2


def test_a_cooldown_of_a_policy_that_is_gone_is_kept(ahead):
    """What holds is what the dispatch took: no cut makes it shorter."""
    ahead.policy_set = policy_set(replace(DRIFT, cooldown=90 * HOUR))
    ahead.deliver(alert())
    ahead.run_to_its_end()
    back(ahead)
    ahead.policy_set = policy_set(SHORT)

    ahead.tick()

    assert ahead.model().cooldown_until == ahead.now() + 90 * HOUR


def test_a_back_off_ends_by_its_own_rule(ahead):
    """A refusal was written down by the clock that was ahead."""
    ahead.target.accidents = [refused]
    ahead.deliver(alert())
    ahead.work()
    back(ahead)

    ahead.wait(SHORT.cooldown + MINUTE, step=10 * MINUTE)

    assert len(ahead.target.starts) == 1


def test_abandon_cures(ahead):
    """It leaves the model to its settle, and not for as long as the clock was ahead."""
    ahead.deliver(alert())
    ahead.work()
    back(ahead)
    (dispatch,) = ahead.dispatches()

    dispatches.abandon(ahead.store, ahead.policy_set, ANA, dispatch.id)

    assert ahead.model().cooldown_until <= ahead.now() + SHORT.cooldown


@FAR
def test_retrain_cures(ahead):
    """The run that an operator ordered leaves the usual cooldown behind."""
    ahead.deliver(alert())
    ahead.run_to_its_end()
    back(ahead)
    ahead.wait(MINUTE)

    named = Named("drift", {"user_id": "42"})
    controls.retrain(ahead.store, ahead.policy_set, ANA, "42", named)
    ahead.run_to_its_end()

    assert ahead.model().cooldown_until <= ahead.now() + SHORT.cooldown
    assert len(ahead.target.starts) == 2


def test_a_worker_that_died_is_succeeded(ahead):
    """Its lease ends within its own length, and its run is found."""
    ahead.target.accidents = [killed_after]
    ahead.deliver(alert())
    with pytest.raises(Killed):
        ahead.send()
    back(ahead)

    ahead.wait(6 * MINUTE, step=MINUTE / 4)

    assert ahead.states() == [DispatchState.RUNNING]
    assert ahead.target.starts == [ahead.dispatches()[0].id]


def test_a_doubt_ends_with_its_window(ahead):
    """Nothing was started, and after the window it is sent again."""
    ahead.target.accidents = [cut_before_accepting]
    ahead.deliver(alert())
    ahead.work()
    back(ahead)

    ahead.wait(ahead.target.lookup_window + 4 * MINUTE, step=MINUTE)

    assert len(ahead.target.starts) == 1


def test_a_wait_for_a_target_keeps_its_length(ahead):
    """It asked for ten minutes."""

    def busy(_target, _dispatch):
        raise DispatchError("429", Failure.UNAVAILABLE, retry_after=10 * MINUTE)

    ahead.target.accidents = [busy]
    ahead.deliver(alert())
    ahead.work()
    back(ahead)

    ahead.wait(9 * MINUTE, step=3 * MINUTE)
    assert ahead.target.starts == []
    ahead.wait(2 * MINUTE)

    assert len(ahead.target.starts) == 1


def test_a_run_that_never_ends_is_parked(ahead):
    """`run_timeout` counts from when the clock was right again, at the latest."""
    ahead.deliver(alert())
    ahead.work()
    back(ahead)
    ahead.target.run_timeout = 2 * HOUR

    ahead.wait(2 * HOUR + 20 * MINUTE, step=10 * MINUTE)

    assert ahead.states() == [DispatchState.PARKED]


def test_an_alert_that_nobody_confirms_expires(ahead):
    """It was confirmed by a clock that was ahead."""
    ahead.deliver(alert())
    ahead.run_to_its_end()
    back(ahead)

    ahead.wait(SHORT.alert_expiry + 2 * MINUTE, step=2 * HOUR)

    assert ahead.firing() == []


def test_a_late_copy_is_decided_in_time(ahead):
    """What looked stale to a clock that was ahead is decided after its window."""
    ahead.policy_set = policy_set(replace(SHORT, cooldown=MINUTE, settle=MINUTE))
    ahead.deliver(alert())
    with ahead.store.begin() as tx:
        (entry,) = tx.firing_sets(["42"])
        tx.save_firing([replace(entry, stale_until=ahead.now() + SHORT.dedup_window)])
    back(ahead)

    ahead.tick()

    assert ahead.firing()[0].stale_until == ahead.now() + SHORT.dedup_window


@pytest.mark.parametrize(
    "restrained",
    [
        replace(SHORT, window=window("10:00-11:00")),
        replace(SHORT, storm=Storm(5, 10 * MINUTE, 2 * MINUTE, 10 * MINUTE)),
        replace(SHORT, limits=(Limit(Scope.POLICY, Counted.RUNS, 1, 20 * HOUR),)),
    ],
    ids=["window", "storm", "budget"],
)
def test_a_rung_holds_no_longer_than_its_rule(ahead, restrained):
    """Hours that begin, a storm that was none, a run that counts no more."""
    ahead.policy_set = policy_set(replace(restrained, alert_expiry=90 * HOUR))
    ahead.deliver(alert("41"))
    ahead.work()
    ahead.target.finish()
    ahead.clock.pass_(MINUTE)
    ahead.work()
    ahead.deliver(resolved("41", ends_at=ahead.now()), alert("42"))
    ahead.work()
    assert "42" not in {row.model for row in ahead.dispatches()}
    back(ahead)

    ahead.wait(25 * HOUR, step=HOUR)
    ahead.target.finish()
    ahead.wait(MINUTE)

    assert "42" in {row.model for row in ahead.dispatches()}


def test_a_question_can_be_answered_and_is_asked_anew_in_time(ahead):
    """It belongs to the present episode, and expires by its own rule."""
    ahead.policy_set = policy_set(approving(SHORT))
    ahead.deliver(alert())
    back(ahead)
    with ahead.store.view() as view:
        asked = view.models.approvals(["42"])["42"]

    assert asked.expires_at <= ahead.now() + SHORT.approval_expiry
    approvals.approve(ahead.store, ahead.policy_set, ANA, "42")
    ahead.work()

    assert len(ahead.target.starts) == 1


class Deaf:
    """An announcer that fails once, then listens."""

    def __init__(self):
        self.heard = []

    def send(self, announcement, _now):
        self.heard.append(announcement)
        if len(self.heard) == 1:
            raise NotDelivered("503")


def test_an_announcement_is_told_in_time(ahead):
    """Its next try was planned by a clock that was ahead."""
    ahead.policy_set = replace(ahead.policy_set, subscribers=(Subscriber("all"),))
    listener = Deaf()
    ahead.deliver(alert())
    assert announce_next(ahead.store, "all", listener)
    back(ahead)

    for _ in range(10):
        ahead.clock.pass_(MINUTE)
        ahead.tick()
        announce_next(ahead.store, "all", listener)
    with ahead.store.view() as view:
        (told,) = view.announcements.page({}, limit=5).rows

    assert told.state == AnnouncementState.DELIVERED


def test_a_report_is_read_in_time(ahead):
    """Its next try was planned by a clock that was ahead."""
    ahead.deliver(alert())
    ahead.run_to_its_end()
    dispatch_id = ahead.dispatches()[0].id
    with ahead.store.begin() as tx:
        tx.save_report(
            dispatch_id, Report(), detail="404", due_at=ahead.now() + timedelta(seconds=10)
        )
    reads = ahead.target.reads
    back(ahead)

    ahead.wait(HOUR + MINUTE, step=10 * MINUTE)

    assert ahead.target.reads > reads


def test_what_is_remembered_is_forgotten_in_time(ahead):
    """Deliveries, notifications: nothing is kept for as long as the clock was ahead."""
    ahead.deliver(alert())
    back(ahead)
    with ahead.store._reading() as db:
        forget_at = db.scalar(select(func.max(deliveries.c.forget_at)))
        received_at = db.scalar(select(func.max(notifications.c.received_at)))

    assert forget_at <= ahead.now() + SHORT.alert_expiry
    assert received_at <= ahead.now()


def test_the_configuration_that_was_loaded_last_is_in_force(ahead):
    """One that was loaded by a clock that was ahead is older all the same."""
    old, new = (policy_set(SHORT, config_hash=name) for name in ("old", "new"))
    apply_configuration(ahead.store, old, "{}")
    ahead.policy_set = old
    ahead.deliver(alert())
    back(ahead)
    ahead.clock.pass_(MINUTE)

    assert apply_configuration(ahead.store, new, "{}").changed
    assert not apply_configuration(ahead.store, new, "{}").changed
    with ahead.store.view() as view:
        assert view.holds.decided_otherwise("old") == []


@FAR
def test_an_operator_finds_a_note(ahead):
    """Once: how far the clock was ahead, and what it showed."""
    ahead.deliver(alert())
    ahead.work()
    back(ahead)
    ahead.wait(10 * MINUTE, step=MINUTE)
    ahead.restart()
    ahead.wait(2 * MINUTE, step=MINUTE)

    (note,) = ahead.log(reason="operator")
    span = "2h" if ahead.ahead == 2 * HOUR else "300d"
    assert note.detail.startswith(f"the clock was ahead by {span}: it showed ")
    assert (note.source, note.outcome, note.model) == ("timer", "note", None)


def test_a_call_that_was_under_way_is_mended_too(ahead):
    """It writes down, after the clock was set back, what it was told before."""
    ahead.deliver(alert())

    def slow(target, dispatch):
        back(ahead)
        return target.begin(dispatch)

    ahead.target.accidents = [slow]
    ahead.send()
    ahead.wait(3 * MINUTE)

    assert ahead.dispatches()[0].sent_at <= ahead.now()
    assert ahead.dispatches()[0].created_at <= ahead.now()


def test_a_clock_without_a_battery_cuts_nothing(history):
    """It shows 1970 until it is set: to believe it would let every model go."""
    history.deliver(alert())
    history.run_to_its_end()
    before, jump = history.model(), history.now() - NOON.replace(year=1971)
    history.tick()
    history.clock.jump(-jump)

    history.tick()

    assert history.model() == before


def test_a_small_step_back_is_nothing_to_speak_of(history):
    """Clocks are set by seconds every day."""
    history.deliver(alert())
    history.work()
    before = history.dispatches()
    history.clock.jump(-timedelta(seconds=20))

    history.tick()

    assert history.dispatches() == before
    assert history.log(reason="operator") == []


class SlowClock(HandClock):
    """Each time it is asked, so long has gone by."""

    def elapsed(self):
        self.pass_(2 * LEAST_STEP)
        return super().elapsed()


def test_a_slow_answer_is_no_step(history):
    """The process stood still between two looks at its clocks."""
    watch = StepWatch(SlowClock())

    assert watch.step_back(timedelta(0), NOON, NOON) is None


def test_a_step_that_harmed_nothing_leaves_no_note(history):
    """Nothing was stored meanwhile."""
    history.tick()
    history.clock.jump(2 * HOUR)
    history.tick()
    history.clock.jump(-2 * HOUR)

    history.tick()

    assert history.log() == []


class TestRetention:
    """What is deleted by a clock that is ahead does not come back."""

    def test_it_waits_after_a_jump_ahead(self, history):
        """For an hour; then it is the time that has really gone by."""
        watch = JumpWatch(history.clock)
        history.deliver(alert())
        assert not watch.may_be_ahead(history.store, Ages())
        history.clock.pass_(10 * MINUTE)
        assert not watch.may_be_ahead(history.store, Ages())

        history.clock.jump(100 * DAY)
        assert watch.may_be_ahead(history.store, Ages())
        history.clock.pass_(59 * MINUTE)
        assert watch.may_be_ahead(history.store, Ages())
        history.clock.pass_(MINUTE)
        assert not watch.may_be_ahead(history.store, Ages())

    def test_it_waits_at_a_start_after_a_long_break(self, history):
        """Nobody knows whether the time has really gone by."""
        assert not JumpWatch(history.clock).may_be_ahead(history.store, Ages())
        history.deliver(alert())
        history.clock.pass_(100 * DAY)

        assert JumpWatch(history.clock).may_be_ahead(history.store, Ages())

    def test_it_waits_at_a_start_although_the_log_is_ahead_as_well(self, history):
        """What was decided by the clock that is ahead is no measure; retention was not there."""
        history.deliver(alert("1"))
        forget(history.store, Ages(), lambda: False)
        history.clock.jump(100 * DAY)
        history.deliver(alert("2"))

        assert JumpWatch(history.clock).may_be_ahead(history.store, Ages())

    def test_the_worker_deletes_nothing_meanwhile(self, history):
        """Its loop asks first."""
        history.deliver(alert("1", name="Watchdog"))
        history.clock.jump(100 * DAY)
        setup = Setup(history.policy_set, {}, Ages())
        worker = Worker(history.store, history.clock, setup, missing=UnconfiguredTarget)
        worker._lanes[LaneName(LaneKind.RETENTION)] = Lane(
            LaneName(LaneKind.RETENTION), worker._forget
        )

        worker._forget()
        assert len(history.log()) == 1
        history.clock.pass_(HOUR)
        worker._forget()

        assert history.log() == []


class TestTheLog:
    """Ids that ran ahead hide no rows."""

    def between(self, history, since=None, until=None, **filters):
        with history.store.view() as view:
            page = view.decisions.page(filters, since=since, until=until, limit=500)
        return [row.model for row in page.rows if row.model]

    @FAR
    @pytest.mark.parametrize("restarted", [False, True])
    def test_until_and_since_are_right(self, ahead, restarted, url):
        """Of what was decided before, while and after the clock was ahead."""
        ahead.clock.jump(-ahead.ahead)
        ahead.deliver(alert("1"))
        ahead.clock.jump(ahead.ahead)
        ahead.deliver(alert("2"))
        back(ahead)
        ahead.clock.pass_(MINUTE)
        if restarted:
            ahead.store._ids.__init__()
            ahead.store._prepare(type(ahead.store).migrate)
        ahead.deliver(alert("3"))
        third = ahead.now()
        ahead.clock.pass_(MINUTE)
        ahead.deliver(alert("4"))

        soon = ahead.now() + 5 * MINUTE
        assert self.between(ahead, until=soon) == ["4", "3", "1"]
        assert self.between(ahead, until=third + MINUTE / 2) == ["3", "1"]
        assert self.between(ahead, since=NOON, until=soon) == ["4", "3", "1"]
        assert self.between(ahead, since=third, until=soon, model="4") == ["4"]
        assert self.between(ahead, until=NOON) == []
        assert url

    def test_pages_go_on_through_them(self, ahead):
        """The cursor is an id: nothing is left out, nothing comes twice."""
        for number in range(6):
            if number == 3:
                back(ahead)
            ahead.deliver(alert(str(number)))
        seen, before = [], None
        until = ahead.now() + 400 * DAY
        while True:
            with ahead.store.view() as view:
                page = view.decisions.page({}, until=until, before=before, limit=2)
            seen += [row.model for row in page.rows if row.model]
            if page.next_cursor is None:
                break
            before = int(page.next_cursor)

        assert seen == ["5", "4", "3", "2", "1", "0"]

    def test_what_is_old_by_its_own_time_is_forgotten(self, ahead):
        """Although its id says that it is young."""
        ahead.deliver(alert("1", name="Watchdog"))
        back(ahead)
        ahead.deliver(alert("2"))
        ahead.clock.pass_(100 * DAY)

        forget(ahead.store, Ages(), lambda: False)

        assert "2" not in {row.model for row in ahead.log()}
