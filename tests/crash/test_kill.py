"""kill -9 of the real process at seeded moments under load.

`KILLS` sets how often in all (100), `KILL_SEED` the seed of an earlier run, which is printed.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random, SystemRandom
from signal import SIGKILL
from typing import Any

import pytest

from tests.crash.busy import Busy
from tests.crash.load import Acknowledged, Load, seeded
from tests.posts import entry
from tests.stations import Api, Station, now
from tests.waiting import eventually, pause

STORES = 2
KILLS = int(os.environ.get("KILLS", "100"))
MODELS = [f"model-{number}" for number in range(12)]
COOLDOWN, SETTLE = timedelta(seconds=2), timedelta(seconds=1)
LEASE_AND_MORE = 240.0
"""A claim of a later attempt that died with its worker is free again after two minutes."""

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      lookup_window: 1s
      inputs: {user_id: "{user_id}", reason: "{alertname}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 2s
    settle: 1s
    dedup_window: 1s
"""

LIVE = {"pending", "sending", "unknown", "running"}
PROVEN_ABSENT = "left no run"
"""What the history of a dispatch says when one of its attempts was."""


@pytest.fixture(scope="module")
def seed():
    return os.environ.get("KILL_SEED") or str(SystemRandom().randrange(10**6))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", range(STORES))
def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path, warm, seed, store):
    """Every 2xx has exactly its decisions, every trigger its one run, however often it dies."""
    print(f"KILL_SEED={seed}")  # noqa: T201  needed to make a failure again
    seed = f"{seed}/{store}"
    (tmp_path / "token").write_text("peer-token")
    with Busy(seeded(f"{seed}/peer")) as peer:
        config = CONFIG.replace("BASE_URL", peer.base_url)
        station = Station(tmp_path, config, start=warm)
        with station:
            show_an_id(station.api)
        with Load(station.api, f"{seed}/load", MODELS) as load:
            kill_again_and_again(station, load, seeded(seed))
        with station:
            station.api.notify(*load.ends_of_all())
            eventually(lambda: is_calm(station.api), within=LEASE_AND_MORE)
            decisions, dispatches = station.api.decisions(), station.api.dispatches()

            check_log(load.acknowledged, decisions)
            check_dispatches(decisions, dispatches)
            check_cooldowns(dispatches)
            check_target(peer, dispatches, station.api)
            assert {answer.status for answer in load.refused} <= {503}
            assert "Traceback" not in station.said()


def show_an_id(api: Api) -> None:
    """Let one run come to its end, so that absence proves something from now on."""
    began = now()
    api.notify(entry("first", starts_at=began))
    eventually(lambda: api.dispatches()[0]["state"] == "succeeded")
    api.notify(entry("first", starts_at=began, status="resolved", ends_at=now()))


def kill_again_and_again(station: Station, load: Load, random: Random) -> None:
    """Kill it while it works, or right when it has answered, or now and then while it starts."""
    checked = 0
    for _ in range(KILLS // STORES):
        station.begin()
        starts, answers = random.random() < 0.2, random.random() < 0.4
        if not starts:
            station.await_ready()
            newest = load.acknowledged[checked:]
            checked = len(load.acknowledged)
            check_some(station.api, random.sample(newest, min(len(newest), 5)))
        pause(random.uniform(0, 0.4))
        if answers and not starts:
            load.at_next_answer(lambda: station.send(SIGKILL))
            station.wait()
        station.kill()


def is_calm(api: Api) -> bool:
    """Tell whether every dispatch has come to an end."""
    return all(dispatch["state"] not in LIVE for dispatch in api.dispatches())


def check_some(api: Api, acknowledged: Iterable[Acknowledged]) -> None:
    """Look at once after a restart, not only when all is over."""
    for one in acknowledged:
        found = api.decisions(notification_id=one.notification_id)
        assert [decision["id"] for decision in found] == [said["id"] for said in one.decisions]


def check_log(acknowledged: Sequence[Acknowledged], decisions: list[dict[str, Any]]) -> None:
    """Nothing acknowledged is lost or changed, and nothing is stored by halves."""
    assert len(acknowledged) > KILLS
    assert len({decision["id"] for decision in decisions}) == len(decisions)
    stored = defaultdict(list)
    for decision in decisions:
        if decision["source"] == "alertmanager":
            stored[decision["notification_id"]].append(decision)
    for one in acknowledged:
        found = stored[one.notification_id]
        assert [{key: each[key] for key in one.decisions[0]} for each in found] == one.decisions
        assert [each["labels"] for each in found] == [alert["labels"] for alert in one.alerts]
    for found in stored.values():
        for batch, count in Counter(each["labels"].get("batch", "") for each in found).items():
            assert not batch or count == int(batch.rpartition("/")[2])


def check_dispatches(decisions: list[dict[str, Any]], dispatches: list[dict[str, Any]]) -> None:
    """Every trigger has its dispatch and every dispatch its trigger; each has come to an end."""
    assert len(dispatches) > len(MODELS)
    triggers = [each["dispatch_id"] for each in decisions if each["reason"] == "triggered"]
    assert sorted(triggers) == [dispatch["id"] for dispatch in dispatches]
    for dispatch in dispatches:
        given_up = dispatch["state"] == "parked" and dispatch["attempt"] == 3
        assert dispatch["state"] in {"succeeded", "superseded"} or given_up, dispatch


def check_cooldowns(dispatches: list[dict[str, Any]]) -> None:
    """No dispatch was ordered in the cooldown that an earlier one of its model took."""
    by_model = defaultdict(list)
    for dispatch in dispatches:
        by_model[dispatch["model"]].append(dispatch)
    for ordered in by_model.values():
        for before, after in pairwise(ordered):
            began = moment(after["created_at"])
            assert moment(before["ended_at"]) <= began
            if before["state"] == "succeeded":
                assert moment(before["sent_at"]) + COOLDOWN <= began
                assert moment(before["ended_at"]) + SETTLE <= began


def check_target(peer: Busy, dispatches: list[dict[str, Any]], api: Api) -> None:
    """One run for each dispatch that was sent; asked for again only after a proven absence."""
    assert peer.overlaps == []
    done = {each["id"]: each["run_id"] for each in dispatches if each["state"] == "succeeded"}
    assert sorted((run.inputs["dispatch_id"], str(run.id)) for run in peer.runs) == sorted(
        done.items()
    )
    asked = Counter(each.body["inputs"]["dispatch_id"] for each in peer.requests("dispatch"))
    assert asked.keys() <= {dispatch["id"] for dispatch in dispatches}
    for dispatch_id, posts in asked.items():
        history = api.dispatch(dispatch_id)["transitions"] if posts > 1 else []
        assert posts <= 1 + sum(PROVEN_ABSENT in change["detail"] for change in history)


def moment(text: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(text)
