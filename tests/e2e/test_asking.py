"""A running receiver asks its source, and shows what it believes."""

import pytest

from tests.peers.alertmanager import alertmanager
from tests.processes import Station
from tests.waiting import eventually

CONFIG = """\
sources:
  alertmanagers: [{name: main, url: 'URL', receiver: retrain, poll: 5s}]
targets: {wf: {kfp: {pipeline: retrain.yaml}}}
policies:
  - name: watched
    match: ['alertname="HighModelMAE"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    mode: observe
"""
LABELS = {"alertname": "HighModelMAE", "user_id": "42"}
SOON = 60


@pytest.fixture
def peer():
    with alertmanager() as peer:
        yield peer


@pytest.fixture
def station(tmp_path, peer):
    (tmp_path / "retrain.yaml").write_text("{}")
    with Station(tmp_path, CONFIG.replace("URL", peer.url)) as station:
        yield station


def test_what_a_source_says_is_known_and_shown(station, peer):
    """Without any notification: decided, confirmed, held while it is silenced, told when down."""
    alert = peer.fire(**LABELS, annotations={"value": "0.62"})
    peer.silence(alert, "5e1f", endsAt="2126-11-30T19:00:00.000Z")
    api = station.api

    eventually(lambda: api.fetch("/models")["models"], within=SOON)

    model = api.fetch("/models/42")
    assert model["firing_alerts"][0]["confirmed_by"] == "main"
    assert model["explain"]["holds"] == "silenced"
    assert "silenced in Alertmanager by 'ana'" in model["explain"]["detail"]
    assert [gate["rung"] for gate in model["explain"]["gates"]][2:5] == [
        "cooldown",
        "silenced",
        "unconfirmed",
    ]
    (decision,) = api.fetch("/decisions")["decisions"]
    assert (decision["source"], decision["reason"]) == ("poll", "silenced")
    assert "by main" in api.get("/ui/models/42").text
    metrics = api.get("/metrics").text
    assert 'retrain_source_up{source="main"} 1.0' in metrics
    assert "retrain_entries_unconfirmed 0.0" in metrics
    assert 'retrain_models_held{reason="silenced"} 1.0' in metrics

    peer.answer = (302, {"Location": "https://login.example.com/"}, b"")

    eventually(
        lambda: 'retrain_source_up{source="main"} 0.0' in api.get("/metrics").text, within=SOON
    )
    assert api.fetch("/decisions")["decisions"] == [decision]
