"""The target kills the receiver in the middle of a conversation."""

import os
import signal
from typing import Any

import pytest

from tests.faults.sites import CONFIG
from tests.peers.github import GithubPeer
from tests.peers.github_wire import Asked
from tests.posts import entry
from tests.processes import Station, now
from tests.waiting import eventually


class Killer(GithubPeer):
    """Kills the receiver in the next request of each phase that is in `kills`.

    Attributes:
        kills: Phase, and whether the request is carried out before the receiver dies.
        station: Who is killed.

    """

    def __init__(self) -> None:
        super().__init__()
        self.kills: dict[str, bool] = {}
        self.station: Station | None = None

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Do what GitHub would do, and let the asker not live to hear of it."""
        carried_out = self.kills.pop(asked.phase, None)
        if carried_out is None:
            return super().answer(asked)
        answer = super().answer(asked) if carried_out else (503, None)
        assert self.station is not None
        os.kill(self.station.pid, signal.SIGKILL)
        return answer


@pytest.fixture
def killer():
    with Killer() as peer:
        yield peer


@pytest.fixture
def station(tmp_path, warm, killer):
    (tmp_path / "token").write_text("peer-token")
    # No run may be over before the test says so, and no cooldown either.
    config = CONFIG.replace("BASE_URL", killer.base_url).replace("cooldown: 2s", "cooldown: 1h")
    with Station(tmp_path, config, start=warm) as station:
        killer.station = station
        yield station


def show_an_id(station: Station, killer: GithubPeer) -> None:
    """Let absence prove something from now on."""
    station.api.notify(entry("first", starts_at=now()))
    eventually(lambda: station.api.dispatches()[0]["run_id"])
    killer.finish(station.api.dispatches()[0]["run_id"], "success")
    eventually(lambda: station.api.dispatches()[0]["state"] == "succeeded")


def dispatch_of(station: Station, model: str) -> dict[str, Any]:
    """The only dispatch that the model has."""
    (dispatch,) = station.api.dispatches(model=model)
    return station.api.dispatch(dispatch["id"])


def posts_of(killer: GithubPeer, model: str) -> int:
    """How often a run of the model was asked for."""
    return sum(asked.body["inputs"]["user_id"] == model for asked in killer.requests("dispatch"))


def runs_of(killer: GithubPeer, model: str) -> list[str]:
    """The runs of the model at the target."""
    return [str(run.id) for run in killer.runs if run.inputs["user_id"] == model]


@pytest.mark.parametrize("also", [(), ("list",), ("list", "poll")])
def test_a_run_that_was_accepted_while_we_died_is_found(station, killer, also):
    """It is asked for once, found by its id, and followed, however often we die of it."""
    killer.kills = {"dispatch": True, **dict.fromkeys(also, True)}
    station.api.notify(entry("42", starts_at=now()))
    for _ in range(1 + len(also)):
        station.wait()
        station.begin()
    station.await_ready()
    eventually(lambda: dispatch_of(station, "42")["state"] == "running")
    (run,) = runs_of(killer, "42")
    killer.finish(run, "success")

    dispatch = eventually(lambda: ended(station, "42"))
    assert (dispatch["state"], dispatch["run_id"]) == ("succeeded", run)
    assert posts_of(killer, "42") == 1
    assert killer.kills == {}


def test_a_run_that_was_not_accepted_when_we_died_is_made_once(station, killer):
    """Its absence is proven first; then a second attempt makes the only run."""
    show_an_id(station, killer)
    killer.kills = {"dispatch": False}
    station.api.notify(entry("42", starts_at=now()))
    station.wait()
    station.start()

    eventually(lambda: dispatch_of(station, "42")["state"] == "running")
    assert posts_of(killer, "42") == 2
    assert len(runs_of(killer, "42")) == 1
    states = [change["state"] for change in dispatch_of(station, "42")["transitions"]]
    assert states == ["pending", "sending", "unknown", "pending", "sending", "running"]


def test_without_a_proof_of_absence_it_is_parked(station, killer):
    """Where no run ever showed an id, a run may exist unseen: a human looks, nothing is sent."""
    killer.kills = {"dispatch": False}
    station.api.notify(entry("42", starts_at=now()))
    station.wait()
    station.start()

    dispatch = eventually(lambda: ended(station, "42"))
    assert dispatch["state"] == "parked"
    assert "run-name" in dispatch["detail"]
    assert posts_of(killer, "42") == 1
    assert station.api.model("42")["state"] == "attention"


def test_a_poll_that_kills_us_loses_no_end(station, killer):
    """A run that ended while we died is still seen to its end, and asked for once."""
    killer.kills = {"poll": True}
    station.api.notify(entry("42", starts_at=now()))
    eventually(lambda: runs_of(killer, "42"))
    killer.finish(runs_of(killer, "42")[0], "failure")
    station.wait()
    station.start()

    dispatch = eventually(lambda: ended(station, "42"))
    assert dispatch["state"] == "failed"
    assert posts_of(killer, "42") == 1


def ended(station: Station, model: str) -> dict[str, Any] | None:
    """The model's only dispatch once it has come to an end."""
    dispatch = dispatch_of(station, model)
    return dispatch if dispatch["ended_at"] else None
