"""What operators do over HTTP: once, with a reason, and never more than was asked for."""

from datetime import timedelta

import pytest

from tests.fakes import refused
from tests.posts import entry, post
from tests.serving import refusal

HOUR = timedelta(hours=1)
WHY = {"comment": "the reason why"}
LABELS = {"user_id": "42"}


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


def decided(peer):
    """The audit log."""
    return peer.get("/decisions").json()["decisions"]


class TestActs:
    """What an operator does to models, policies and everything."""

    def test_pause_and_resume(self, peer):
        """A pause holds what fires; each act answers with the decision that it left."""
        paused = peer.post("/models/42/pause", {**WHY, "policy": "drift", "labels": LABELS})
        held = peer.post("/webhook", post(entry("42"))).json()["decisions"]
        resumed = peer.post("/models/42/resume", WHY)

        assert [one["reason"] for one in held] == ["paused"]
        for answer, what in ((paused, "paused until resumed"), (resumed, "resumed")):
            decision = answer.json()
            assert decision["reason"] == "operator"
            assert decision["outcome"] == "note"
            assert decision["source"] == "operator"
            assert decision["model"] == "42"
            assert decision["actor"] == "anonymous"
            assert decision["comment"] == "the reason why"
            assert decision["detail"] == f"model 42 {what} by anonymous: the reason why"
            assert peer.get(f"/decisions/{decision['id']}").json() == decision

    @pytest.mark.parametrize("body", [{**WHY, "policy": "drift"}, WHY])
    def test_pause_many(self, peer, history, body):
        """A policy, or everything, is held until its time is over."""
        peer.post("/pause", {**body, "for": "1h"})

        first = peer.post("/webhook", post(entry("42"))).json()["decisions"]
        history.clock.pass_(HOUR)
        second = peer.post("/webhook", post(entry("43"))).json()["decisions"]

        assert [one["reason"] for one in first + second] == ["paused", "triggered"]

    def test_resume_lifts_its_own_scope_only(self, peer):
        """Resuming everything leaves a model's own pause in force."""
        peer.post("/pause", WHY)
        peer.post("/models/42/pause", {**WHY, "policy": "drift", "labels": LABELS})
        peer.post("/resume", WHY)

        reasons = peer.post("/webhook", post(entry("42"), entry("43"))).json()["decisions"]

        assert [one["reason"] for one in reasons] == ["paused", "triggered"]

    def test_retrain(self, peer, history):
        """It overrides a pause, orders one run, and is held by a run in flight only."""
        peer.post("/webhook", post(entry("42")))
        history.run_to_its_end()
        peer.post("/models/42/pause", WHY)

        first = peer.post("/models/42/retrain", WHY).json()
        second = peer.post("/models/42/retrain", WHY).json()

        assert (first["reason"], first["outcome"]) == ("triggered", "trigger")
        assert first["detail"] == "ordered by anonymous: the reason why"
        assert (second["reason"], second["outcome"]) == ("in_flight", "hold")
        assert second["dispatch_id"] == first["dispatch_id"]
        assert len(history.dispatches()) == 2
        assert peer.get(f"/dispatches/{first['dispatch_id']}").json()["ordered"] is True

    def test_a_model_never_seen(self, peer, history):
        """It needs policy and labels, and the answer says so with an example."""
        alone = refusal(peer.post("/models/42/retrain", WHY), 404)
        named = peer.post("/models/42/retrain", {**WHY, "policy": "drift", "labels": LABELS})

        assert alone.startswith(
            "no model is remembered by the name 42 (test alerts leave none); give policy and "
            "labels, for example"
        )
        assert '{"policy": ' in alone
        assert named.json()["reason"] == "triggered"
        assert [row.inputs for row in history.dispatches()] == [{"user_id": "42"}]

    @pytest.mark.parametrize(
        ("more", "detail"),
        [
            ({"policy": "none", "labels": {"user_id": "42"}}, "there is no policy none"),
            ({"policy": "drift", "labels": {"user_id": "43"}}, "policy drift names the model 43"),
            ({"policy": "drift", "labels": {}}, "policy drift names no model from these labels"),
            ({"policy": "drift", "labels": {"user_id": "a b"}}, "policy drift names no model"),
        ],
    )
    def test_labels_that_name_another_model(self, idle, more, detail):
        """An act never falls on a model that the operator did not name."""
        assert refusal(idle.post("/models/42/pause", WHY | more), 404).startswith(detail)

    def test_an_unknown_policy(self, idle):
        """A misspelt policy pauses nothing."""
        assert refusal(idle.post("/pause", {**WHY, "policy": "drif"}), 404) == (
            "there is no policy drif"
        )

    @pytest.mark.parametrize(
        ("path", "body", "detail"),
        [
            ("/pause", {}, "comment: Field required"),
            ("/pause", {"comment": "  "}, "comment: String should have at least 1 character"),
            ("/pause", {"comment": "x" * 1001}, "comment: String should have at most 1000"),
            ("/pause", {"comment": 1}, "comment: Input should be a valid string"),
            ("/pause", {"comment": "\ud800"}, "comment: Input should be a valid string"),
            ("/pause", {**WHY, "why": ""}, "why: Extra inputs are not permitted"),
            ("/pause", {**WHY, "for": "soon"}, "for: 'soon' is not a duration; write 30m, 6h"),
            ("/pause", {**WHY, "for": "0s"}, "for: a pause lasts longer than nothing"),
            ("/pause", {**WHY, "for": 4}, "for: 4 is not a duration"),
            ("/pause", {**WHY, "labels": {}}, "labels has no meaning here"),
            ("/resume", {**WHY, "for": "1h"}, "for has no meaning here"),
            ("/models/42/retrain", {**WHY, "for": "1h"}, "for has no meaning here"),
            ("/dispatches/1/retry", {**WHY, "policy": "x"}, "policy has no meaning here"),
            ("/pause", [], "the body: Input should be a valid dictionary"),
            ("/pause", b"", 'the body must be JSON such as {"comment": "why"}'),
            ("/pause", b"\xff\xff", 'the body must be JSON such as {"comment": "why"}'),
            ("/pause", b"[" * 60_000, "the body is nested too deeply"),
            ("/pause", b'{"comment": ' + b"1" * 6000 + b"}", "the body must be JSON"),
            ("/pause?for=1h", WHY, "'for' is not a filter here"),
        ],
    )
    def test_a_bad_body(self, idle, path, body, detail):
        """Each fault is named, nothing is done, and nothing is logged as done."""
        assert refusal(idle.post(path, body), 400).startswith(detail)
        assert decided(idle) == []

    def test_bodies_are_bounded(self, idle):
        """An act's body has a bound of its own, and may not be compressed."""
        assert "65536 bytes" in refusal(idle.post("/pause", b" " * 65_537), 413)
        gzip = {"Content-Encoding": "gzip"}
        assert refusal(idle.post("/pause", WHY, headers=gzip), 415)

    def test_the_same_key_is_done_once(self, peer, history):
        """Under one Idempotency-Key the same act is done once and answered alike for 24 hours."""
        key = {"Idempotency-Key": "one"}
        named = {**WHY, "policy": "drift", "labels": LABELS}
        first = peer.post("/models/42/retrain", named, headers=key)
        history.run_to_its_end()
        history.clock.pass_(23 * HOUR)
        again = peer.post("/models/42/retrain", named, headers=key)
        history.clock.pass_(HOUR)
        later = peer.post("/models/42/retrain", named, headers=key)

        assert again.json() == first.json()
        assert later.json()["reason"] == "triggered"
        assert later.json()["id"] != first.json()["id"]
        assert len(history.dispatches()) == 2

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/pause", {"comment": "another"}),
            ("/pause", {**WHY, "for": "1h"}),
            ("/resume", WHY),
        ],
    )
    def test_a_key_is_for_one_request(self, peer, path, body):
        """A key that was used for something else is refused, whatever differs."""
        key = {"Idempotency-Key": "one"}
        peer.post("/pause", WHY, headers=key)

        answer = peer.post(path, body, headers=key)

        assert refusal(answer, 409) == "this Idempotency-Key was used for another request"
        assert len(decided(peer)) == 1

    def test_a_refused_act_leaves_its_key_free(self, peer):
        """What was not done can be done under the same key once the fault is mended."""
        key = {"Idempotency-Key": "one"}
        named = {**WHY, "policy": "drift", "labels": LABELS}

        assert peer.post("/models/42/pause", WHY, headers=key).status == 404
        assert peer.post("/models/42/pause", named, headers=key).status == 200

    @pytest.mark.parametrize("key", ["", "x" * 256])
    def test_a_key_has_a_length(self, idle, key):
        """A key that could not be kept is refused, rather than ignored."""
        answer = idle.post("/pause", WHY, headers={"Idempotency-Key": key})

        assert refusal(answer, 400) == "an Idempotency-Key has 1 to 255 characters"


class TestDispatches:
    """Retry and abandon."""

    def test_retry_and_abandon(self, peer, history):
        """A refused dispatch is retried after a look; one that ended can't be changed again."""
        history.target.accidents = [refused]
        peer.post("/webhook", post(entry("42")))
        history.send()
        (row,) = history.dispatches()

        retried = peer.post(f"/dispatches/{row.id}/retry", WHY).json()
        twice = peer.post(f"/dispatches/{row.id}/retry", WHY)
        history.work()
        abandoned = peer.post(f"/dispatches/{row.id}/abandon", WHY).json()
        again = peer.post(f"/dispatches/{row.id}/abandon", WHY)

        assert retried["detail"] == (f"dispatch {row.id} retried by anonymous: the reason why")
        assert history.target.looks == 1
        assert "only a parked or refused dispatch can be retried" in refusal(twice, 409)
        assert abandoned["dispatch_id"] == row.id
        assert refusal(again, 409) == "the dispatch has ended: it is abandoned"
        transitions = peer.get(f"/dispatches/{row.id}").json()["transitions"]
        assert [one["actor"] for one in transitions if one["actor"]] == ["anonymous"] * 2

    def test_retry_while_another_is_in_flight(self, peer, history):
        """A model never gets a second live dispatch, not even from an operator."""
        history.target.accidents = [refused]
        peer.post("/webhook", post(entry("42")))
        history.send()
        (row,) = history.dispatches()
        other = peer.post("/models/42/retrain", WHY).json()["dispatch_id"]

        answer = peer.post(f"/dispatches/{row.id}/retry", WHY)

        assert refusal(answer, 409) == f"dispatch {other} of 42 is in flight"

    @pytest.mark.parametrize("act", ["retry", "abandon"])
    def test_none_such(self, idle, act):
        """An unknown dispatch is answered 404."""
        assert refusal(idle.post(f"/dispatches/none/{act}", WHY), 404) == (
            "there is no dispatch none"
        )
