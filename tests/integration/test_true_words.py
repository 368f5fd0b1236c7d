"""What lists say is true: ended values, paused questions, test alerts, models that are gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.alerts import ValueIs, value_is
from receiver.core.models import ModelState, PauseScope, state_of
from receiver.core.policies import Mode
from receiver.core.runs import RunState
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from tests.examples import DRIFT, alert, policy_set, resolved
from tests.fakes import cut_before_accepting, refused
from tests.histories import History
from tests.posts import entry, post
from tests.restrained import approving
from tests.serving import host, refusal

HOUR = timedelta(hours=1)
WHY = {"comment": "the tenant left"}
ACT = Act("ops", "a test")


def names(peer):
    return [model["model"] for model in peer.get("/models").json()["models"]]


def counted(history):
    snapshot = history.store.snapshot()
    return {group.state: group.count for group in snapshot.states if group.count}


class TestValues:
    """A resolved alert still carries the value that it had when it fired."""

    def test_the_log_says_which_it_is(self, peer):
        """Beside `resolved` it is the last one seen firing."""
        peer.post("/webhook", post(entry("42")))
        ended = entry("42", status="resolved", ends_at="2026-11-22T11:59:00Z", value="0.9")
        peer.post("/webhook", post(ended))

        last, first = peer.get("/decisions").json()["decisions"]

        assert (last["value"], last["value_is"]) == (0.9, "last seen firing")
        assert (first["value"], first["value_is"]) == (0.62, "when decided")
        assert peer.get(f"/decisions/{last['id']}").json()["value_is"] == "last seen firing"

    def test_nothing_is_said_of_no_value(self):
        """There is none to be mistaken."""
        assert value_is("firing", None) is None
        assert value_is(None, 0.5) is ValueIs.DECIDED

    def test_the_page_says_it_too(self, history, tmp_path):
        """Nobody reads it as the recovered value."""
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(entry("42")))
            ended = entry("42", status="resolved", ends_at="2026-11-22T11:59:00Z", value="0.9")
            decision = peer.post("/webhook", post(ended)).json()["decisions"][0]

            assert "last seen firing 0.9" in peer.get("/ui/models/42").text
            assert "last value seen firing" in peer.get(f"/ui/decisions/{decision['id']}").text
            assert "What decides its next alert" not in peer.get("/ui/models/42").text
            history.run_to_its_end()
            history.clock.pass_(7 * HOUR)
            assert "What decides its next alert" in peer.get("/ui/models/42").text


class TestPausedQuestions:
    """Who paused a model has answered for now."""

    @pytest.fixture
    def asking(self, history):
        history.policy_set = policy_set(approving())
        history.deliver(alert("1"), alert("2"))
        return history

    @pytest.mark.parametrize(
        ("scope", "name", "paused"),
        [
            (PauseScope.MODEL, "1", ["1"]),
            (PauseScope.POLICY, "drift", ["1", "2"]),
            (PauseScope.EVERYTHING, "", ["1", "2"]),
        ],
    )
    def test_a_paused_model_needs_nobody(self, asking, scope, name, paused):
        """In the state, in the counts, and among those that ask."""
        controls.pause(asking.store, asking.policy_set, ACT, scope, name, length=HOUR)

        with asking.store.view() as view:
            pauses = view.models.pauses()
            asks = [model.name for model in view.page.asking_models(9)]
        states = {
            each: state_of(asking.model(each), asking.firing(each), pauses, asking.now())
            for each in "12"
        }
        assert [each for each, state in states.items() if state is ModelState.PAUSED] == paused
        others = sorted(set("12") - set(paused))
        assert asks == others
        assert counted(asking).get(ModelState.ATTENTION, 0) == len(others)

    def test_it_asks_again_after_the_pause(self, asking):
        """Its question was not answered."""
        controls.pause(asking.store, asking.policy_set, ACT, PauseScope.MODEL, "1", length=HOUR)
        asking.wait(HOUR + timedelta(minutes=1))

        assert counted(asking)[ModelState.ATTENTION] == 2

    def test_what_is_parked_still_needs_somebody(self, history):
        """Its run may exist, paused or not."""
        history.target.accidents = [refused]
        history.deliver(alert())
        history.send()
        controls.pause(history.store, history.policy_set, ACT, PauseScope.MODEL, "42", length=None)

        assert counted(history) == {ModelState.ATTENTION: 1}


class TestTestAlerts:
    """They try the way through, and leave nothing in lists."""

    def test_no_model_is_left(self, history, peer):
        """Not in the list, not in the counts, not under a pause of everything."""
        tried = peer.post("/webhook", post(entry("try", labels={"retrain_test": "true"})))
        assert [one["reason"] for one in tried.json()["decisions"]] == ["observed"]
        peer.post("/webhook", post(entry("42")))
        assert names(peer) == ["42"]
        assert peer.get("/models/try").status == 404
        assert counted(history) == {ModelState.RUNNING: 1}
        assert [model.name for model in history.store.snapshot().models] == ["42"]

        peer.post("/pause", WHY)

        assert names(peer) == ["42"]
        assert counted(history) == {ModelState.RUNNING: 1}

    def test_a_real_alert_makes_it_a_model(self, peer):
        """What was tried before is known from then on."""
        peer.post("/webhook", post(entry("try", labels={"retrain_test": "true"})))
        peer.post("/webhook", post(entry("try")))

        assert names(peer) == ["try"]

    def test_a_model_that_is_tried_stays(self, history, peer):
        """A test alert changes nothing of it."""
        over(history)
        peer.post("/webhook", post(entry("42", labels={"retrain_test": "true"})))

        assert names(peer) == ["42"]

    def test_an_observing_policy_is_not_held_by_one(self, history):
        """A real alert after it is observed as if nothing had been tried."""
        history.policy_set = policy_set(replace(DRIFT, mode=Mode.OBSERVE))
        history.deliver(alert(name="LowModelR2", retrain_test="true"))

        assert history.reasons(alert()) == ["observed"]
        assert counted(history)[ModelState.HELD] == 1

    def test_the_page_shows_none(self, history, tmp_path):
        """The first page still teaches what comes next."""
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(entry("try", labels={"retrain_test": "true"})))

            assert "No alert has named a model yet" in peer.get("/").text

    def test_nothing_leads_to_a_page_that_there_is_not(self, history, tmp_path):
        """The log names the model; its page, and `explain`, say why there is none."""
        with host(history, tmp_path) as peer:
            tried = peer.post("/webhook", post(entry("try", labels={"retrain_test": "true"})))
            peer.post("/webhook", post(entry("42")))
            (decision,) = tried.json()["decisions"]

            for path in ("/", "/ui/decisions", f"/ui/decisions/{decision['id']}"):
                page = peer.get(path).text
                assert ">try</span>" in page
                assert "/ui/models/try" not in page
            assert 'href="/ui/models/42"' in peer.get("/ui/decisions").text
            why = "no model is remembered by this name (test alerts leave none)"
            assert why in peer.get("/ui/models/try").text
            assert refusal(peer.get("/models/try"), 404) == f"{why}; see GET /models"


def over(history: History, name: str = "42") -> None:
    """A model that fired, was retrained and is quiet."""
    history.deliver(alert(name))
    history.run_to_its_end()
    history.deliver(resolved(name, ends_at=history.now()))


class TestForget:
    """A model that is no more leaves every list."""

    def test_what_is_over_is_forgotten(self, history, peer):
        """The act answers with its decision; the log and the dispatches stay."""
        over(history)
        over(history, "43")
        peer.post("/models/42/pause", WHY)

        done = peer.post("/models/42/forget", WHY)

        assert done.status == 200
        decision = done.json()
        assert (decision["reason"], decision["model"]) == ("operator", "42")
        assert decision["detail"] == "model 42 forgotten by anonymous: the tenant left"
        assert names(peer) == ["43"]
        assert peer.get("/models/42").status == 404
        assert peer.get("/dispatches?model=42").json()["dispatches"]
        assert peer.get("/decisions?model=42").json()["decisions"][0]["id"] == decision["id"]
        with history.store.view() as view:
            assert view.models.pauses() == []

    def test_an_alert_makes_it_known_again(self, history, peer):
        """It starts anew."""
        over(history)
        peer.post("/models/42/forget", WHY)

        assert history.reasons(alert(starts_at=history.now())) == ["triggered"]
        assert names(peer) == ["42"]

    def test_what_an_odd_alert_left_can_be_forgotten(self, peer):
        """An earlier release left such rows of test alerts, too."""
        peer.post("/webhook", post(entry("7", labels={"odd": "\0"}, starts_at="never")))
        assert names(peer) == ["7"]

        assert peer.post("/models/7/forget", WHY).status == 200
        assert names(peer) == []

    def test_not_while_it_fires(self, history, peer):
        """It would come back at once."""
        history.deliver(alert())
        history.run_to_its_end()

        assert "fires" in refusal(peer.post("/models/42/forget", WHY), 409)
        assert names(peer) == ["42"]

    def test_not_while_it_runs(self, history, peer):
        """A second run beside it would be possible."""
        history.deliver(alert())
        history.send()
        history.deliver(resolved(ends_at=history.now()))

        assert "is running" in refusal(peer.post("/models/42/forget", WHY), 409)

    def test_not_while_its_run_may_exist(self, history, peer):
        """A human looks first."""
        history.target.accidents = [cut_before_accepting]
        history.target.lists_nothing = True
        history.deliver(alert())
        history.wait(HOUR, step=timedelta(minutes=5))
        history.deliver(resolved(ends_at=history.now()))

        assert "is parked" in refusal(peer.post("/models/42/forget", WHY), 409)
        peer.post(f"/dispatches/{history.dispatches()[0].id}/abandon", WHY)
        assert peer.post("/models/42/forget", WHY).status == 200

    def test_one_that_nobody_knows(self, peer):
        """404."""
        assert "a model 99" in refusal(peer.post("/models/99/forget", WHY), 404)

    def test_a_failed_run_can_be_forgotten(self, history, peer):
        """It is over."""
        history.deliver(alert())
        history.run_to_its_end(RunState.FAILED)
        history.deliver(resolved(ends_at=history.now()))

        assert peer.post("/models/42/forget", WHY).status == 200

    def test_the_page_leads_back_to_the_models(self, history, tmp_path):
        """The model's own page is gone."""
        over(history)
        with host(history, tmp_path) as peer:
            form = peer.get("/ui/models/42/forget").text
            assert "gone from every list" in form
            sent = peer.ask(
                "POST",
                "/ui/models/42/forget",
                body=b"comment=gone&key=1&back=/ui/models/42",
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Sec-Fetch-Site": "same-origin",
                },
            )

            assert sent.status == 303
            assert sent.headers["location"].startswith("/?done=")
            assert peer.get(sent.headers["location"]).status == 200

    def test_the_page_says_why_not(self, history, tmp_path):
        """Before anybody writes a reason."""
        with host(history, tmp_path) as peer:
            history.deliver(alert())
            assert "an alert of it still fires" in peer.get("/ui/models/42/forget").text
            history.send()
            history.deliver(resolved(ends_at=history.now()))
            assert "is running" in peer.get("/ui/models/42/forget").text


def test_whoever_waits_for_a_forgotten_model_begins_again(replicas):
    """Its alert is decided on a row of its own; no transaction goes on without its model."""
    one, two = replicas.start(), replicas.start()
    over(one)
    forgetting = (controls.forget, one.store, one.policy_set, ACT, "42")
    with replicas.held(one.store, *forgetting):
        second = replicas.begin(two.reasons, alert(starts_at=one.now()))
        replicas.await_waiting()

    assert second.result() == ["triggered"]
    assert two.model().policy == "drift"
