"""Announcements: written with what makes them true, sent at least once, given up in the open."""

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.announcers.making import announcer_of
from receiver.core.announcements import (
    WAITS,
    AnnouncementState,
    Kind,
    NotDelivered,
    Subscriber,
)
from receiver.core.runs import RunState
from receiver.flows.intake.taking_in import arrive, try_out
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.worker.announcing import LEASE, announce_next
from receiver.flows.worker.loops import Setup, Worker
from receiver.flows.worker.retention import Ages, forget
from receiver.telemetry import registry
from tests.examples import DRIFT, alert, notification, resolved
from tests.fakes import Killed, cut_before_accepting, refused
from tests.histories import TARGET
from tests.peers.subscriber import SECRET, Manner, SubscriberPeer
from tests.restrained import approving
from tests.waiting import eventually

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ALL = Subscriber("all")


class Listener:
    """An announcer with a memory, which says no as long as it is told to."""

    def __init__(self, *answers):
        self.heard = []
        self.answers = list(answers)

    def send(self, announcement, _now):
        self.heard.append(announcement)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


@pytest.fixture
def told(history):
    """A history with one subscriber that hears everything."""
    return subscribed(history, ALL)


def subscribed(history, *subscribers):
    history.policy_set = replace(history.policy_set, subscribers=subscribers)
    return history


def made(history, **filters):
    """Announcements, oldest first."""
    with history.store.view() as view:
        return view.announcements.page(filters, limit=500).rows[::-1]


def kinds(history, **filters):
    return [one.kind for one in made(history, **filters)]


def tries(result, subscriber="all"):
    labels = {"subscriber": subscriber, "result": result}
    return registry.get_sample_value("retrain_announcement_tries_total", labels) or 0


class TestMaking:
    """What is announced is stored in the transaction that makes it true."""

    def test_a_trigger_and_a_recovery(self, told):
        """Once each, with what is known of them."""
        told.deliver(alert())
        told.deliver(alert(name="LowModelR2"))
        told.run_to_its_end()
        told.deliver(resolved(ends_at=told.now()))
        assert kinds(told) == [Kind.TRIGGERED]
        told.deliver(resolved(name="LowModelR2", ends_at=told.now()))

        triggered, recovered = made(told)

        (dispatch,) = told.dispatches()
        assert (triggered.kind, triggered.model, triggered.policy) == (
            Kind.TRIGGERED,
            "42",
            "drift",
        )
        assert triggered.data["dispatch_id"] == dispatch.id
        assert triggered.data["decision_id"] == str(dispatch.decision_id)
        assert triggered.data["value"] == 0.62
        assert (recovered.kind, recovered.data["run_id"]) == (Kind.RECOVERED, dispatch.run_id)

    def test_a_trigger_of_the_timer_and_of_an_operator(self, told):
        """Whoever orders a run, it is told."""
        told.deliver(alert())
        told.run_to_its_end()
        told.clock.pass_(DRIFT.cooldown)
        assert told.tick()
        told.run_to_its_end()
        controls.retrain(told.store, told.policy_set, Act("ops", "because"), "42")

        assert [one.data["ordered"] for one in made(told)] == [False, False, True]

    def test_a_number_that_json_cannot_hold_is_left_out(self, told):
        """The announcement is made all the same."""
        told.deliver(alert(value=float("inf")))

        assert made(told)[0].data["value"] is None

    def test_a_refusal_and_a_parked_dispatch(self, told):
        """Both need a human."""
        told.target.accidents = [refused]
        told.deliver(alert("1"))
        told.clock.pass_(MINUTE)
        told.send()
        told.deliver(resolved("1", ends_at=told.now()))
        told.target.accidents = [cut_before_accepting] * 3
        told.deliver(alert("2"))
        told.wait(HOUR)

        assert kinds(told, model="1") == [Kind.TRIGGERED, Kind.REFUSED]
        assert kinds(told, model="2") == [Kind.TRIGGERED, Kind.PARKED]
        assert made(told, kind="parked")[0].data["detail"] == told.dispatches()[-1].detail

    def test_a_run_that_is_gone_is_parked_and_told(self, told):
        """Also of a run that was followed."""
        told.deliver(alert())
        told.run_to_its_end(RunState.GONE)

        assert kinds(told) == [Kind.TRIGGERED, Kind.PARKED]

    def test_a_question_is_told_once(self, told):
        """However many alerts meet it; and anew when nobody answered until it expired."""
        told.policy_set = replace(told.policy_set, policies=(approving(alert_expiry=5 * DAY),))
        told.deliver(alert(), alert(name="LowModelR2"))
        told.wait(2 * HOUR, step=HOUR)
        (one,) = made(told)
        assert (one.kind, one.data["rung"]) == (Kind.APPROVAL, "approval")
        assert one.data["detail"] == told.log()[0].detail
        assert one.data["expires_at"] == "2026-11-23T12:00:00Z"

        told.wait(DAY, step=6 * HOUR)

        assert kinds(told) == [Kind.APPROVAL] * 2

    def test_an_exhausted_model_is_told_once(self, told):
        """A human must look: retraining did not help."""
        exhausting = replace(DRIFT, attempts=1, alert_expiry=5 * DAY)
        told.policy_set = replace(told.policy_set, policies=(exhausting,))
        told.deliver(alert())
        told.run_to_its_end()
        told.wait(DAY, step=HOUR)

        assert kinds(told) == [Kind.TRIGGERED, Kind.EXHAUSTED]

    def test_what_only_observes_or_is_tried_out_is_not_told(self, told):
        """Nothing happened."""
        arrival = arrive(notification(alert()), told.policy_set)
        try_out(told.store, arrival)
        told.deliver(alert(retrain_test="true"))

        assert made(told) == []

    def test_a_resolve_and_a_fire_at_once_are_no_recovery(self, told):
        """The last word of a notification counts."""
        told.deliver(alert())
        told.run_to_its_end()
        told.clock.pass_(HOUR)
        later = told.now()
        told.deliver(resolved(ends_at=later), alert(starts_at=later))

        assert Kind.RECOVERED not in kinds(told)

    def test_each_subscriber_gets_what_it_asked_for(self, history):
        """By kind and by policy, each with an id of its own."""
        subscribed(
            history,
            ALL,
            Subscriber("sick", frozenset({Kind.PARKED, Kind.REFUSED})),
            Subscriber("other", policies=frozenset({"other"})),
        )
        history.target.accidents = [refused]
        history.deliver(alert())
        history.clock.pass_(MINUTE)
        history.send()

        assert kinds(history, subscriber="all") == [Kind.TRIGGERED, Kind.REFUSED]
        assert kinds(history, subscriber="sick") == [Kind.REFUSED]
        assert kinds(history, subscriber="other") == []
        assert len({one.id for one in made(history)}) == 3

    def test_what_is_not_committed_is_not_told(self, told, monkeypatch):
        """An announcement and what it tells of are stored together or not at all."""
        monkeypatch.setattr(told.store, "require_room", killed)
        with pytest.raises(Killed):
            told.deliver(alert())

        assert made(told) == []
        assert told.dispatches() == []


def killed(*_arguments):
    raise Killed


class TestSending:
    """A subscriber is told until it says yes, or for days."""

    def test_a_yes_ends_it(self, told):
        """It is marked as delivered and never sent again."""
        before = tries("delivered")
        listener = Listener()
        told.deliver(alert())
        assert announce_next(told.store, "all", listener)
        assert not announce_next(told.store, "all", listener)
        told.clock.pass_(DAY)
        assert not announce_next(told.store, "all", listener)

        (one,) = made(told)
        assert (one.state, one.tries, one.detail) == (AnnouncementState.DELIVERED, 1, "")
        assert len(listener.heard) == 1
        assert tries("delivered") == before + 1

    def test_a_no_is_tried_again_with_the_same_id(self, told):
        """So the subscriber knows the repeat; others are sent meanwhile."""
        listener = Listener(NotDelivered("busy", status_code=503))
        told.deliver(alert("1"))
        told.deliver(alert("2"))
        while announce_next(told.store, "all", listener):
            pass
        assert [one.state.value for one in made(told)] == ["pending", "delivered"]
        assert (made(told)[0].detail, made(told)[0].status_code) == ("busy", 503)

        told.clock.pass_(WAITS[0])
        assert announce_next(told.store, "all", listener)

        ids = [one.id for one in listener.heard]
        assert ids[0] == ids[2] != ids[1]
        assert [one.state.value for one in made(told)] == ["delivered"] * 2

    def test_after_days_it_is_given_up_in_the_open(self, told):
        """The list, the metric and the log keep it; deciding never noticed."""
        before = tries("given_up")
        listener = Listener(*[NotDelivered(f"away {n}") for n in range(20)])
        told.deliver(alert())
        for _ in range(2 * len(WAITS)):
            announce_next(told.store, "all", listener)
            told.clock.pass_(DAY)

        (one,) = made(told, state="given_up")
        assert one.tries == len(listener.heard) == len(WAITS) + 1
        assert one.detail == f"away {len(WAITS)}"
        assert tries("given_up") == before + 1

    def test_a_subscriber_that_is_gone_is_not_waited_for(self, told):
        """A reload took it out; another replica may not have loaded that yet, or be ahead."""
        told.deliver(alert())
        assert announce_next(told.store, "all", None)
        assert made(told)[0].state is AnnouncementState.PENDING
        told.clock.pass_(11 * MINUTE)

        assert announce_next(told.store, "all", None)

        (one,) = made(told)
        assert one.state is AnnouncementState.GIVEN_UP
        assert "gone from the configuration" in one.detail

    def test_a_death_between_sending_and_commit_sends_again(self, told):
        """After the lease, with the same id: at least once."""
        listener = Listener(Killed())
        told.deliver(alert())
        with pytest.raises(Killed):
            announce_next(told.store, "all", listener)
        assert not announce_next(told.store, "all", listener)

        told.clock.pass_(LEASE)
        assert announce_next(told.store, "all", listener)

        first, second = listener.heard
        assert first.id == second.id
        assert made(told)[0].state is AnnouncementState.DELIVERED

    def test_a_sender_that_hung_does_not_undo_its_successors_work(self, told):
        """Its claim has another number by then."""
        told.deliver(alert())

        class Slow(Listener):
            def send(self, *_):
                told.clock.pass_(LEASE)
                assert announce_next(told.store, "all", Listener())
                raise NotDelivered("too late")

        assert announce_next(told.store, "all", Slow())

        (one,) = made(told)
        assert (one.state, one.detail) == (AnnouncementState.DELIVERED, "")

    def test_retention_forgets_what_is_over(self, told):
        """What is pending stays, however old."""
        told.deliver(alert("1"))
        announce_next(told.store, "all", Listener())
        told.deliver(alert("2"))
        told.clock.pass_(15 * DAY)

        forget(told.store, Ages(), lambda: False)

        assert [one.model for one in made(told)] == ["2"]

    def test_what_waits_is_counted(self, told):
        """By subscriber, with the age of the oldest."""
        told.deliver(alert("1"))
        began = told.now()
        told.clock.pass_(MINUTE)
        told.deliver(alert("2"))

        with told.store.view() as view:
            assert view.announcements.waiting() == {"all": (2, began)}


@contextmanager
def at_work(history, announcers, waiting=()):
    """The real loops, at work on a history's store."""
    setup = Setup(history.policy_set, {TARGET: history.target}, Ages(), announcers)
    worker = Worker(history.store, history.clock, setup, missing=lambda _name: history.target)
    worker.start(set(), waiting)
    try:
        yield worker
    finally:
        worker.stop()


def webhook(folder, url):
    secret = folder / "signing"
    secret.write_text(SECRET)
    return announcer_of(
        url=url, url_file=None, secret_file=secret, ca_file=None, external_url=None
    )


def test_a_subscriber_that_hangs_holds_nobody_up(history, tmp_path):
    """Neither another subscriber, nor the dispatch, nor a decision."""
    subscribed(history, Subscriber("fast"), Subscriber("hung"))
    with SubscriberPeer() as fast, SubscriberPeer() as hung:
        hung.answer_always(Manner(then="hang"))
        loops = {"fast": webhook(tmp_path, fast.url), "hung": webhook(tmp_path, hung.url)}
        with at_work(history, loops) as worker:
            history.deliver(alert())
            worker.hint()
            assert hung.wait_until(lambda: len(hung.told) == 1)
            assert fast.wait_until(lambda: len(fast.told) == 1)
            history.deliver(alert("43"))
            worker.hint()
            assert fast.wait_until(lambda: len(fast.told) == 2)
            hung.released.set()

    assert all(told.verified() for told in fast.told)
    assert [told.content["subject"] for told in fast.told] == ["42", "43"]


def test_a_reload_brings_and_takes_subscribers(history, tmp_path):
    """A new one is told from then on; nobody waits for one that is gone."""
    subscribed(history, Subscriber("old"), Subscriber("new"))
    history.deliver(alert())
    with SubscriberPeer() as new, at_work(history, {}) as worker:
        announcers = {"new": webhook(tmp_path, new.url)}
        worker.change(Setup(history.policy_set, {TARGET: history.target}, Ages(), announcers))
        assert new.wait_until(lambda: len(new.told) == 1)
        eventually(lambda: made(history, subscriber="new")[0].state is AnnouncementState.DELIVERED)
    history.clock.pass_(HOUR)
    with at_work(history, {}, waiting={"old"}):
        eventually(lambda: made(history, subscriber="old")[0].state is AnnouncementState.GIVEN_UP)


def test_replicas_tell_a_subscriber_once(replicas):
    """They share the work; only a death makes one tell what another has told."""
    one, two, three = (subscribed(replicas.start(), ALL) for _ in range(3))
    for name in range(20):
        one.deliver(alert(str(name)))
    listener, start = Listener(), threading.Barrier(3)

    def work(replica):
        start.wait()
        while announce_next(replica.store, "all", listener):
            pass

    threads = [threading.Thread(target=work, args=[each]) for each in (one, two, three)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(listener.heard) == len({heard.id for heard in listener.heard}) == 20
    assert {one.state for one in made(one)} == {AnnouncementState.DELIVERED}


class TestApi:
    """GET /announcements."""

    def test_what_could_not_be_told_is_listed(self, peer, history):
        """With why, and what it was about; filters and pages as everywhere."""
        subscribed(history, ALL)
        history.deliver(alert("1"), alert("2"))
        gone = NotDelivered("hooks.example answered 410", status_code=410, hopeless=True)
        announce_next(history.store, "all", Listener(gone))

        (given_up,) = peer.get("/announcements", {"state": "given_up"}).json()["announcements"]
        page = peer.get("/announcements", {"limit": "1"}).json()
        rest = peer.get("/announcements", {"cursor": page["next_cursor"]}).json()

        assert (given_up["status_code"], given_up["detail"]) == (410, str(gone))
        assert given_up["data"]["detail"] == "ordered by policy drift"
        assert len(page["announcements"]) == len(rest["announcements"]) == 1
        assert rest["next_cursor"] is None

    def test_the_command_line_shows_it(self, peer, history, cli):
        """As a table for people, as CSV for others."""
        subscribed(history, ALL)
        history.deliver(alert("1"), alert("2"))
        gone = NotDelivered("hooks.example answered 410", status_code=410, hopeless=True)
        announce_next(history.store, "all", Listener(gone))

        table = cli("announcements", "--state", "given_up", url=peer.url).out
        rows = cli("announcements", "--subscriber", "all", "--all", "-o", "csv").rows

        assert "hooks.example answered 410" in table
        assert {row["state"] for row in rows} == {"pending", "given_up"}
        assert cli("announcements", "--kind", "parked", "-o", "csv").rows == []

    def test_a_question_that_makes_no_sense_is_refused(self, peer):
        """With the words that can be asked for."""
        assert "given_up" in peer.get("/announcements", {"state": "lost"}).detail
        assert peer.get("/announcements", {"kind": "x"}).status == 400
        assert peer.get("/announcements", {"model": "none"}).json()["announcements"] == []


def test_no_log_line_shows_a_secret(told, tmp_path, capsys, caplog):
    """Neither the signing secret nor Slack's address, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    address = tmp_path / "slack"
    with SubscriberPeer() as peer:
        address.write_text(f"{peer.url}/services/a-secret")
        slack = announcer_of(
            url=None, url_file=address, secret_file=None, ca_file=None, external_url=None
        )
        peer.answer_always(Manner(404, b"/services/a-secret was not found"))
        told.deliver(alert())
        announce_next(told.store, "all", slack)
    told.clock.pass_(DAY)
    announce_next(told.store, "all", slack)
    announce_next(told.store, "all", webhook(tmp_path, peer.url))

    said = capsys.readouterr()
    assert made(told)[0].tries == 2
    for text in (said.out, said.err, caplog.text, made(told)[0].detail):
        assert "a-secret" not in text
        assert SECRET not in text
