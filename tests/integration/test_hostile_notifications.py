"""Bad input at every place of a notification, through HTTP: the neighbours are always decided."""

import csv
import io
import json
from datetime import timedelta

import pytest

from receiver.flows.worker.retention import Ages, forget
from tests.described import DescribedPeer
from tests.hostile import ALERTS, CORPUS, HOLE, NAMES, body_with
from tests.posts import entry, post
from tests.serving import host

CONFIG = """\
storage: {min_free: 0}
targets:
  pipeline:
    kfp:
      endpoint: http://127.0.0.1:9
      pipeline: retrain
      namespace: "team-{user_id}"
      parameters: {user_id: "{user_id}", why: "{alertname}", value: "{value}"}
policies:
  - name: everything
    match: ['nowhere!="yes"']
    model: {name: "{user_id}", labels: {user_id: "(?s).*"}}
    target: pipeline
"""
"""Whatever a model's own rules let through reaches the store and the target."""

NAMED = {
    "label's name": {**entry(), "labels": {"alertname": "A", "user_id": "7", HOLE: "x"}},
    "annotation's name": {**entry(), "annotations": {HOLE: "x"}},
    "member's name": {**entry(), HOLE: "x"},
}

BESIDE = (
    "receiver",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "truncatedAlerts",
    "notification_reason",
    "routeLabels",
    "unknown",
)
"""Members of a notification without which its alerts can be understood."""

NEEDED = ("status", "groupKey", "version", "alerts")

FORMULA = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture
def peer(history, tmp_path):
    with host(history, tmp_path, CONFIG) as plain:
        yield DescribedPeer(plain.url)


def work_and_look(history, peer):
    """Every loop does what is due, and everything that is stored is shown."""
    history.wait(timedelta(hours=16), step=timedelta(hours=8))
    for path in (
        "/decisions?limit=500",
        "/models?limit=500",
        "/dispatches?limit=500",
        "/policies",
    ):
        assert peer.get(path).status == 200
    assert peer.get("/rejections").status == 200
    lines = peer.get("/decisions", headers={"Accept": "application/x-ndjson"})
    table = peer.get("/decisions", headers={"Accept": "text/csv"})
    rows = list(csv.reader(io.StringIO(table.text, newline="")))
    assert len(lines.text.splitlines()) == len(rows) - 1 == len(history.log())
    assert not any(cell.startswith(FORMULA) for row in rows for cell in row)
    forget(history.store, Ages(*[timedelta(0)] * 3), lambda: False)


@pytest.mark.parametrize("place", ALERTS | NAMED)
def test_a_hostile_alert_leaves_its_neighbours_alone(history, peer, place):
    """Whatever stands there: 200, a decision for each alert, a run for each neighbour."""
    corpus = NAMES if place in NAMED else CORPUS
    alerts = alerts_with((ALERTS | NAMED)[place], corpus)
    body = body_with({**post(), "alerts": HOLE}, b"[" + b",".join(alerts) + b"]")

    answer = peer.post("/webhook", body)

    assert answer.status == 200, answer.text[:500]
    decisions = answer.json()["decisions"]
    good, odd = decisions[EACH::SPACING], [*decisions[0::SPACING], *decisions[1::SPACING]]
    assert [one["model"] for one in good] == [f"good-{n}" for n in range(len(good))]
    assert {one["reason"] for one in good} == {"triggered"}
    assert len(decisions) == len(alerts)
    for one in odd:
        assert peer.get(f"/decisions/{one['id']}").status == 200
    history.run_to_its_end()
    ran = {row.model for row in history.dispatches(state="succeeded")}
    assert {one["model"] for one in good} <= ran
    work_and_look(history, peer)


EACH = 4
SPACING = EACH + 1


def alerts_with(alert, corpus):
    """The alert once with each of the corpus; after each fourth, a good one."""
    texts = []
    for number, hostile in enumerate(corpus.values(), 1):
        texts.append(body_with(alert, hostile))
        if number % EACH == 0:
            texts.append(json.dumps(entry(f"good-{number // EACH - 1}")).encode())
    return texts


@pytest.mark.parametrize("name", BESIDE)
def test_a_hostile_field_beside_the_alerts_does_no_harm(history, peer, name):
    """What is only kept never rejects an alert."""
    notification = {**post(entry(status="resolved", ends_at="2026-11-22T11:30:00Z")), name: HOLE}
    for said, hostile in CORPUS.items():
        answer = peer.post("/webhook", body_with(notification, hostile))
        assert answer.status == 200, f"{said}: {answer.text[:500]}"
        assert [one["reason"] for one in answer.json()["decisions"]] == ["resolved"]
    work_and_look(history, peer)


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_needed_is_taken_or_refused_with_a_reason(history, peer, name):
    """Never a 5xx; the body that was refused is kept."""
    refused = 0
    for said, hostile in CORPUS.items():
        answer = peer.post("/webhook", body_with({**post(entry()), name: HOLE}, hostile))
        assert answer.status in {200, 400}, f"{said}: {answer.text[:500]}"
        refused += answer.status == 400
    kept = peer.get("/rejections").json()["rejections"]
    assert 0 < refused == len(kept)
    work_and_look(history, peer)
