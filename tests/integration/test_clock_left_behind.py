"""What a clock that was ahead left behind besides cooldowns: checks, pauses, tries, words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.announcements import WAITS, NotDelivered, Subscriber
from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.deadlines import LEASE, SLACK
from receiver.core.dispatches import DispatchState
from receiver.core.models import PauseScope
from receiver.core.runs import RunState
from receiver.core.sightings import HUMAN_AFTER
from receiver.core.sources import Asking
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.worker.announcing import announce_next
from receiver.flows.worker.mending import AGAIN
from receiver.flows.worker.rechecking import postpone
from receiver.flows.worker.releasing import release_shared
from tests.asking import AskingHistory, told, told_over
from tests.clocks import sets_ahead, sets_back
from tests.examples import DRIFT, alert, notification, policy_set, resolved
from tests.fakes import NOON, refused

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANA = Act("ana", "while the clock was ahead")
SHORT = replace(DRIFT, cooldown=HOUR, settle=10 * MINUTE)
ALL = (PauseScope.EVERYTHING, "")

FAR = pytest.mark.parametrize("ahead", [2 * HOUR, 300 * DAY], ids=["2h", "300d"])


@pytest.fixture
def watched(history):
    """The timer has looked once: it notices when the clock is set back."""
    history.policy_set = policy_set(SHORT)
    history.tick()
    return history


def paused(history, *whom, length=None):
    controls.pause(history.store, history.policy_set, ANA, *(whom or ALL), length=length)


def resumed(history, *whom):
    controls.resume(history.store, history.policy_set, ANA, *(whom or ALL))


def resumed_again(history):
    """What was paused is let go."""
    paused(history)
    history.deliver(alert("1"), alert("2"))
    yield
    resumed(history)


def reloaded(history):
    """Another configuration lets go what the one before held."""
    history.policy_set = policy_set(replace(SHORT, limits=(limit(),)), config_hash="old")
    apply_configuration(history.store, history.policy_set, "{}")
    history.deliver(alert("1"), alert("2"))
    history.work()
    yield
    history.policy_set = policy_set(SHORT, config_hash="new")
    apply_configuration(history.store, history.policy_set, "{}")


def given_room(history):
    """A budget has room again."""
    history.policy_set = policy_set(replace(SHORT, limits=(limit(),)))
    history.deliver(alert("1"), alert("2"))
    history.work()
    yield
    history.target.finish()
    history.clock.pass_(MINUTE)
    while history.follow():
        pass
    release_shared(history.store, history.policy_set)


def put_off(history):
    """A model could not be decided."""
    paused(history)
    history.deliver(alert("1"), alert("2"))
    resumed(history)
    yield
    for name in ("1", "2"):
        postpone(history.store, name, MINUTE)


def limit():
    return Limit(Scope.POLICY, Counted.IN_FLIGHT, 1)


@FAR
@pytest.mark.parametrize("let_go", [resumed_again, reloaded, given_room, put_off])
def test_who_was_let_go_by_a_clock_that_was_ahead_is_decided_at_once(watched, let_go, ahead):
    """Nothing holds them, so they are due; the timer came to none of them before."""
    going = let_go(watched)
    next(going)
    sets_ahead(watched, ahead)
    next(going, None)
    sets_back(watched, ahead)

    watched.wait(MINUTE)

    assert {row.model for row in watched.dispatches()} == {"1", "2"}


@pytest.mark.parametrize("back", [10 * SECOND, 5 * MINUTE])
def test_who_is_held_is_not_decided_again(watched, back):
    """A step back of a clock that was right makes nobody due whom something holds."""
    watched.deliver(alert("1"))
    watched.run_to_its_end()
    paused(watched, PauseScope.POLICY, "drift", length=3 * HOUR)
    watched.deliver(alert("1"), alert("2"))
    watched.clock.pass_(10 * MINUTE)
    watched.deliver(alert("1"))
    watched.tick()
    before = [watched.model(name).next_check_at for name in ("1", "2")]
    assert None not in before
    decided = len(watched.log())

    sets_back(watched, back)

    assert before == [watched.model(name).next_check_at for name in ("1", "2")]
    assert len(watched.log(source="timer", reason="cooldown")) == 0
    assert len(watched.log()) - decided == len(watched.log(source="timer", reason="operator"))


@FAR
def test_a_run_that_is_gone_is_parked_in_time(watched, ahead):
    """Its target first did not know it by the clock that was ahead."""
    watched.deliver(alert())
    watched.work()
    watched.clock.pass_(MINUTE)
    sets_ahead(watched, ahead)
    watched.target.finish(RunState.GONE)
    while watched.follow():
        pass
    (missing,) = watched.dispatches()
    assert missing.missing_since == watched.now()
    sets_back(watched, ahead)

    watched.wait(15 * MINUTE, step=MINUTE)

    assert watched.states() == [DispatchState.PARKED]


@pytest.mark.parametrize("ahead", [5 * MINUTE, 5 * HOUR])
def test_an_alert_that_nobody_confirms_asks_for_a_human_in_time(watched, ahead):
    """It was first doubted by the clock that was ahead."""
    watched.policy_set = replace(policy_set(SHORT), asking=Asking(frozenset({"main"})))
    paused(watched)
    watched.deliver(alert())
    watched.clock.pass_(10 * MINUTE)
    resumed(watched)
    sets_ahead(watched, ahead)
    watched.tick()
    assert watched.firing()[0].held_since == watched.now()
    sets_back(watched, ahead)

    watched.wait(HUMAN_AFTER + MINUTE, step=MINUTE)

    assert watched.firing()[0].asks


@FAR
@pytest.mark.parametrize("whom", [ALL, (PauseScope.POLICY, "drift"), (PauseScope.MODEL, "42")])
def test_a_pause_ends_after_its_own_length(watched, whom, ahead):
    """Counted from when the clock was right again, and what it held is decided then."""
    sets_ahead(watched, ahead)
    watched.deliver(alert("other", name="Watchdog"))
    paused(watched, *(whom if whom[0] is not PauseScope.MODEL else ALL), length=2 * HOUR)
    watched.deliver(alert())
    sets_back(watched, ahead)
    began = watched.now()
    with watched.store.view() as view:
        (pause,) = view.models.pauses()

    assert (pause.since, pause.until) == (began, began + 2 * HOUR)
    watched.wait(2 * HOUR - MINUTE, step=10 * MINUTE)
    assert watched.dispatches() == []
    watched.wait(3 * MINUTE, step=MINUTE)

    assert len(watched.dispatches()) == 1
    assert len(watched.log(reason="paused")) == 1


def test_a_pause_without_an_end_stays(watched):
    """It waits for `resume`; and one that a right clock began keeps its end."""
    paused(watched, PauseScope.POLICY, "drift", length=5 * HOUR)
    sets_ahead(watched, DAY)
    paused(watched)
    sets_back(watched, DAY)
    with watched.store.view() as view:
        ends = {one.scope: one.until for one in view.models.pauses()}

    assert ends == {PauseScope.EVERYTHING: None, PauseScope.POLICY: NOON + 5 * HOUR}


def test_a_cooldown_that_is_given_back_is_within_its_rule(watched):
    """What the model had before the dispatch, by the clock that was ahead."""
    sets_ahead(watched, 300 * DAY)
    watched.deliver(alert())
    watched.run_to_its_end()
    controls.retrain(watched.store, watched.policy_set, ANA, "42")
    sets_back(watched, 300 * DAY)
    watched.target.accidents = [refused]

    watched.clock.pass_(LEASE)
    assert watched.send()

    assert watched.states()[-1] == DispatchState.REFUSED
    assert watched.model().held_until <= watched.now() + SHORT.cooldown


class Deaf:
    """An announcer that nobody hears so often."""

    def __init__(self, fails):
        self.fails = fails
        self.heard = 0

    def send(self, _announcement, _now):
        self.fails -= 1
        if self.fails >= 0:
            raise NotDelivered("503")
        self.heard += 1


def tries(history, listener, most):
    """Try as often as that; the last time by a clock that is ahead."""
    for wait in (timedelta(0), *WAITS)[: most - 1]:
        history.clock.pass_(wait)
        assert announce_next(history.store, "all", listener)
    history.clock.pass_(WAITS[most - 2] if most > 1 else timedelta(0))
    sets_ahead(history, 20 * HOUR)
    assert announce_next(history.store, "all", listener)


@pytest.mark.parametrize("fails", range(1, len(WAITS) + 1))
def test_a_subscriber_is_told_within_its_own_back_off(watched, fails):
    """The next try after so many was planned by a clock that was ahead."""
    watched.policy_set = replace(watched.policy_set, subscribers=(Subscriber("all"),))
    listener = Deaf(fails)
    watched.deliver(alert())
    tries(watched, listener, fails)
    sets_back(watched, 20 * HOUR)

    watched.clock.pass_(max(WAITS[fails - 1], LEASE))
    announce_next(watched.store, "all", listener)

    assert listener.heard == 1


def test_a_try_that_a_right_clock_planned_is_left_alone(watched):
    """Also at a start, where nobody knows whether the clock was set."""
    watched.policy_set = replace(watched.policy_set, subscribers=(Subscriber("all"),))
    listener = Deaf(9)
    watched.deliver(alert())
    for wait in (timedelta(0), *WAITS[:2]):
        watched.clock.pass_(wait)
        assert announce_next(watched.store, "all", listener)
    watched.restart()
    watched.tick()

    watched.clock.pass_(WAITS[2] - SECOND)
    assert not announce_next(watched.store, "all", listener)
    watched.clock.pass_(SECOND)
    assert announce_next(watched.store, "all", listener)


def test_what_is_left_of_two_clusters_words_expires_in_time(watched):
    """One of them said so last to a clock that was ahead, the other has confirmed it since."""

    def posts(url, one):
        arrival = arrive(replace(notification(one), external_url=url), watched.policy_set)
        take_in(watched.store, [arrival])

    prod, dev = "http://am.prod:9093", "http://am.dev:9093"
    sets_ahead(watched, 300 * DAY)
    posts(dev, alert(starts_at=NOON))
    posts(prod, alert(starts_at=NOON + MINUTE))
    watched.clock.jump(-300 * DAY)
    watched.clock.pass_(SECOND)
    posts(prod, alert(starts_at=NOON + MINUTE))
    watched.tick()

    posts(prod, resolved(starts_at=NOON + MINUTE, ends_at=watched.now()))

    (left,) = watched.firing()
    assert left.starts_at == NOON
    assert left.confirmed_at <= watched.now()
    assert left.expires_at <= watched.now() + SHORT.alert_expiry


class TestSources:
    """What they said to a clock that was ahead."""

    @pytest.fixture
    def asking(self, history):
        asking = AskingHistory(history)
        history.policy_set = replace(history.policy_set, policies=(SHORT,))
        history.tick()
        return asking

    def test_what_was_delivered_since_is_believed(self, asking):
        """A source missed it then; it was delivered afterwards."""
        fires, history = told(), asking.history
        asking.main.fire(fires)
        history.deliver(fires)
        history.run_to_its_end()
        asking.poll()
        sets_ahead(history, 10 * HOUR)
        asking.main.end(fires)
        asking.poll()
        sets_back(history, 10 * HOUR)
        asking.main.down = "it does not answer"

        for _ in range(15):
            history.deliver(fires)
            asking.wait(4 * MINUTE, step=MINUTE)
        asking.wait(MINUTE / 2)

        assert history.log()[-1].source == "timer"
        assert len(history.dispatches()) == 2

    def test_what_it_lists_is_decided(self, asking):
        """It was resolved, by the clock that was ahead, after the source is asked."""
        fires, history = told(), asking.history
        sets_ahead(history, DAY)
        history.deliver(fires)
        history.deliver(told_over(ends_at=history.now()))
        sets_back(history, DAY)
        asking.main.fire(fires)

        asking.wait(DRIFT.dedup_window + 5 * MINUTE, step=MINUTE)

        assert history.firing() != []

    def test_a_question_that_was_under_way_is_mended_too(self, asking):
        """Its answer is written down with the time at which it was asked."""
        fires, history = told(), asking.history
        asking.main.fire(fires)
        history.deliver(fires)
        history.clock.pass_(10 * MINUTE)
        sets_ahead(history, DAY)
        real = asking.main.ask

        def slow():
            sets_back(history, DAY)
            return real()

        asking.main.ask = slow
        asking.poll()
        asking.main.ask = real
        assert history.firing()[0].confirmed_at > history.now() + SLACK

        history.clock.pass_(AGAIN)
        history.tick()

        assert history.firing()[0].confirmed_at <= history.now()
        assert history.firing()[0].expires_at <= history.now() + SHORT.alert_expiry
