"""SIGTERM under load loses nothing; a reload changes everything or nothing."""

import signal
import socket

import pytest

from tests.e2e.picky import Picky
from tests.faults.load import Load
from tests.peers.github_wire import answering
from tests.posts import entry
from tests.processes import Station, now
from tests.waiting import eventually, pause

MODELS = [f"model-{number}" for number in range(12)]

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      inputs: {user_id: "{user_id}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 6h
    dedup_window: 1s
"""

OBSERVING = CONFIG + "    mode: observe\n"
BROKEN = CONFIG.replace("cooldown: 6h", "cooldwon: 6 hours")


@pytest.fixture
def peer():
    with Picky() as peer:
        yield peer


@pytest.fixture
def config(peer):
    return CONFIG.replace("BASE_URL", peer.base_url)


@pytest.fixture
def station(tmp_path, config, warm):
    (tmp_path / "token").write_text("peer-token")
    with Station(tmp_path, config, start=warm) as station:
        yield station


def test_sigterm_under_load_loses_nothing(station, peer):
    """Every 2xx is in the log; the rest got 503 or a closed connection. Exit code 0, in time."""
    with Load(station.api, "sigterm", MODELS) as load:
        for _ in range(3):
            before = len(load.acknowledged)
            eventually(lambda: len(load.acknowledged) > before + 50)  # noqa: B023  asked at once
            assert station.stop() == 0
            station.start()
    decisions = {decision["id"]: decision for decision in station.api.decisions()}

    assert load.unanswered > 0
    assert {answer.status for answer in load.refused} <= {503}
    for one in load.acknowledged:
        for said in one.decisions:
            assert {key: decisions[said["id"]][key] for key in said} == said
    # The load resolves alerts as well: what was not sent by then is rightly withdrawn.
    eventually(lambda: {d["state"] for d in station.api.dispatches()} <= {"running", "superseded"})
    assert len(peer.runs) == peer.starts == len(station.api.dispatches(state="running")) > 0


@pytest.mark.parametrize("begun", [0, 12], ids=["silent", "half a line"])
def test_a_connection_that_was_open_before_sigterm_is_answered(station, begun):
    """A request that is on its way when the process is asked to end gets a whole answer."""
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", station.port), timeout=60) as connection:
        connection.sendall(request[:begun])
        assert station.is_ready()  # accepted later, so that one was accepted as well
        station.send(signal.SIGTERM)
        eventually(lambda: refuses(station.port), every=0.01)
        connection.sendall(request[begun:])
        said = b"".join(iter(lambda: connection.recv(65536), b""))

    assert said.startswith(b"HTTP/1.1 200")
    assert station.wait() == 0


def refuses(port):
    """Whether nothing listens any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return True
    return False


def test_sigterm_waits_for_what_is_being_sent(station, peer):
    """A POST that is under way is answered and noted before the process ends: no doubt is left."""
    with peer.held() as release:
        station.api.notify(entry("slow", starts_at=now()))
        eventually(lambda: peer.posts_of("slow"))
        station.send(signal.SIGTERM)
        eventually(lambda: station.api.try_ask("GET", "/-/healthy") is None)
        pause(2)  # it would be gone by now if it did not wait
        assert station.process.poll() is None
        release()
    assert station.wait() == 0
    station.start()

    (dispatch,) = station.api.dispatches()
    states = [change["state"] for change in station.api.dispatch(dispatch["id"])["transitions"]]
    assert states == ["pending", "sending", "running"]


@pytest.mark.parametrize("by", ["signal", "route"])
def test_a_broken_file_changes_nothing(station, config, peer, by):
    """All complaints are told at once; what was in force decides on."""
    station.config.write_text(BROKEN.replace("BASE_URL", peer.base_url) + "    target: nowhere\n")
    if by == "signal":
        station.send(signal.SIGHUP)
        eventually(lambda: "config_rejected" in station.said())
    else:
        answer = station.api.post("/-/reload")
        assert answer.status == 422
        assert "cooldwon" in answer.detail
        assert "nothing was changed" in answer.detail
    (decision,) = station.api.notify(entry("42", starts_at=now()))

    assert decision["reason"] == "triggered"
    assert "retrain_config_last_reload_successful 0" in station.api.get("/metrics").text
    station.config.write_text(config)
    assert station.api.post("/-/reload").status == 200
    assert "retrain_config_last_reload_successful 1" in station.api.get("/metrics").text


def test_a_reload_shows_in_the_metrics_of_budgets(station, config):
    """They are those of the configuration in force."""
    assert "retrain_budget_used{" not in station.api.get("/metrics").text
    station.config.write_text(config + "    budget: {runs: 3 in 1d}\n")
    assert station.api.post("/-/reload").status == 200
    station.api.notify(entry("42", starts_at=now()))

    labels = 'limit="3 runs in 1d per policy",policy="model-quality"'
    shown = station.api.get("/metrics").text
    assert f"retrain_budget_used{{{labels}}} 1.0" in shown
    assert f"retrain_budget_limit{{{labels}}} 3.0" in shown


@pytest.mark.parametrize("by", ["signal", "route"])
def test_a_reload_ends_the_back_off_of_what_was_refused(station, config, peer, by):
    """What the target refused may have been mended: the alert that fires is decided at once."""
    peer.treat("42", answering(404))
    station.api.notify(entry("42", starts_at=now()))
    eventually(lambda: station.api.dispatches(state="refused"))
    held = station.api.model("42")
    assert held["explain"]["holds"] == "cooldown"
    station.config.write_text(config.replace("6h", "5h"))
    reload(station, by)

    (running,) = eventually(lambda: station.api.dispatches(state="running"))
    (first, second) = station.api.decisions(model="42", reason="triggered")
    assert second["source"] == "timer"
    assert second["decided_at"] < held["cooldown_until"]
    assert second["dispatch_id"] == running["id"]
    assert first["config_hash"] != second["config_hash"]
    assert peer.posts_of("42") == 2


@pytest.mark.parametrize("by", ["signal", "route"])
def test_a_reload_decides_what_was_observed_anew(station, config, peer, by):
    """A policy that acts from now on starts the run for an alert that fires already, once."""
    station.config.write_text(OBSERVING.replace("BASE_URL", peer.base_url))
    reload(station, by)
    (observed,) = station.api.notify(entry("42", starts_at=now()))
    assert observed["reason"] == "observed"
    station.config.write_text(config)
    reload(station, by)

    eventually(lambda: station.api.dispatches(state="running"))
    assert station.api.reasons("42") == ["observed", "triggered"]
    assert peer.posts_of("42") == 1


def reload(station, by):
    """Load the file again, and wait until it is in force."""
    if by == "route":
        assert station.api.post("/-/reload").status == 200
        return
    loads = station.said().count("config_loaded")
    station.send(signal.SIGHUP)
    eventually(lambda: station.said().count("config_loaded") > loads)
