"""What a rung asks, and its answer, over HTTP and by the command."""

import pytest

from tests.described import DescribedPeer
from tests.posts import entry, post
from tests.serving import NO_AUTH, host, refusal

WHY = {"comment": "the reason why"}
RUNGS = """\
    mode: approve
    attempts: 3
"""


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


@pytest.fixture
def peer(history, tmp_path):
    with host(history, tmp_path, NO_AUTH + RUNGS) as plain:
        yield DescribedPeer(plain.url)


def test_a_model_shows_what_it_asks_and_what_was_said(peer, history):
    """In the list, in the model, in `explain` and in the decision."""
    (told,) = peer.post("/webhook", post(entry("42"))).json()["decisions"]
    asking = peer.get("/models").json()["models"][0]
    whole = peer.get("/models/42").json()

    assert (told["reason"], told["outcome"]) == ("approval", "hold")
    assert asking["state"] == whole["state"] == "attention"
    assert asking["approval"] == whole["approval"]
    assert asking["approval"] == {
        "rung": "approval",
        "asked_at": "2026-11-22T12:00:00Z",
        "expires_at": "2026-11-23T12:00:00Z",
        "answer": None,
        "answered_at": None,
        "actor": None,
        "comment": None,
    }
    assert whole["next_check_at"] == whole["explain"]["next_check_at"] == "2026-11-23T12:00:00Z"
    assert whole["explain"]["holds"] == "approval"
    assert [gate["rung"] for gate in whole["explain"]["gates"]] == [
        "paused",
        "in_flight",
        "cooldown",
        "exhausted",
        "approval",
        "observed",
    ]

    approved = peer.post("/models/42/approve", WHY).json()
    said = peer.get("/models/42").json()["approval"]
    history.work()

    assert (approved["reason"], approved["outcome"], approved["model"]) == (
        "operator",
        "note",
        "42",
    )
    assert (approved["actor"], approved["comment"]) == ("anonymous", "the reason why")
    assert (said["answer"], said["actor"], said["comment"]) == (
        "approved",
        "anonymous",
        "the reason why",
    )
    after = peer.get("/models/42").json()
    assert (after["state"], after["approval"]) == ("running", None)


def test_an_answer_needs_a_question(peer):
    """404, 409, 400: each says what would help."""
    unknown = refusal(peer.post("/models/42/approve", WHY), 404)
    peer.post("/webhook", post(entry("42")))
    peer.post("/models/42/reject", WHY)
    named = refusal(peer.post("/models/42/reject", {**WHY, "policy": "drift"}), 400)
    peer.post("/webhook", post(entry(status="resolved", ends_at="2026-11-22T11:59:00Z")))
    gone = refusal(peer.post("/models/42/reject", WHY), 409)

    assert unknown == (
        "no model is remembered by the name 42 (test alerts leave none); see GET /models"
    )
    assert named == "policy has no meaning here"
    assert gone == "nothing is asked about the model 42 now; retrain orders a run anyway"


def test_the_same_key_answers_once(peer, history):
    """A retried request is answered alike, also after the run has begun."""
    peer.post("/webhook", post(entry("42")))
    key = {"Idempotency-Key": "k1"}
    first = peer.post("/models/42/approve", WHY, headers=key).json()
    history.work()

    assert peer.post("/models/42/approve", WHY, headers=key).json() == first
    assert refusal(peer.post("/models/42/reject", WHY, headers=key), 409).startswith("this Idem")


@pytest.mark.parametrize("way", ["approve", "reject"])
def test_the_command_answers(cli, peer, way):
    """And shows what it did."""
    peer.post("/webhook", post(entry("42")))

    asked = cli("explain", "42", url=peer.url).out
    done = cli(way, "42", "--comment", "why", url=peer.url)
    again = cli(way, "43", "--comment", "why", url=peer.url)

    answer = {"approve": "approved", "reject": "rejected"}[way]
    assert "✗ approval   policy drift asks before each run" in asked
    assert f"asked about the model 42 is {answer} by anonymous: why" in done.out
    assert peer.get("/models/42").json()["approval"]["answer"] == answer
    assert (done.code, again.code) == (0, 3)
