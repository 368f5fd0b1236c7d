"""Everything fires at once: 1,000 models, three Alertmanagers, three replicas."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from tests.faults.alertmanagers import Alertmanagers
from tests.faults.busy import FIRST
from tests.faults.laboratory import Lab, is_calm
from tests.faults.load import seeded
from tests.faults.sites import CONFIG, Site
from tests.posts import entry, post
from tests.processes import Api, now
from tests.waiting import eventually, pause

PEERS = ("am-0", "am-1", "am-2")
"""Alertmanagers; each tells of everything."""

ONCE = CONFIG.replace("cooldown: 2s", "cooldown: 1h")
LARGEST_GROUP = 40
SLOW = 300.0
"""Seconds in which a busy machine carries out all of them."""


def fire_all_at_once(lab: Lab, seeds: range) -> str:
    """A model for each seed, told of by three Alertmanagers: exactly one dispatch for each."""
    models = [f"burst-{seed}" for seed in seeds]
    names = ("HighModelMAE", "LowModelR2")
    alerts = [entry(model, name=name, starts_at=now()) for model in models for name in names]
    peers = []
    with lab.on_postgres(seeds, config=ONCE) as site:
        site.peer.is_well = True
        with ThreadPoolExecutor(len(PEERS)) as senders:
            for peer in PEERS:
                random = seeded(f"burst/{seeds.start}/{peer}")
                shuffled = random.sample(alerts, len(alerts))
                peers.append(senders.submit(deliver, site.api, shuffled, random))
        for sent in peers:
            sent.result()
        eventually(lambda: is_calm(site), within=SLOW, every=0.5)
        check_exactly_once(site, models)
        return f"exactly {len(models)} dispatches"


def fire_at_alertmanagers(lab: Lab, seeds: range) -> str:
    """The same by three real Alertmanagers, which all send, and repeat what goes on firing."""
    models = [f"burst-{seed}" for seed in seeds]
    alerts = [
        {
            "labels": {"alertname": "HighModelMAE", "user_id": model},
            "annotations": {"value": "0.62"},
            "startsAt": now(),
        }
        for model in models
    ]
    with lab.on_postgres(seeds, config=ONCE) as site:
        site.peer.is_well = True
        with Alertmanagers(lab.folder(), f"{site.api.url}/webhook") as peers:
            peers.fire(alerts)
            eventually(lambda: min(peers.sent()) > 0)
            eventually(lambda: has_dispatched(site, models), within=SLOW, every=0.5)
            told = sum(peers.sent())
            eventually(lambda: sum(peers.sent()) > told + len(models), within=SLOW, every=0.5)
            sent = peers.sent()
        eventually(lambda: is_calm(site), within=SLOW, every=0.5)
        check_exactly_once(site, models)
        return f"exactly {len(models)} dispatches of {sum(sent)} notifications {sent}"


def has_dispatched(site: Site, models: Sequence[str]) -> bool:
    """Whether each model has a dispatch, and every dispatch came to an end."""
    dispatched = {dispatch["model"] for dispatch in site.api.dispatches()}
    return dispatched >= set(models) and is_calm(site)


def check_exactly_once(site: Site, models: Sequence[str]) -> None:
    """One dispatch and one run for each model, and no more."""
    dispatched = [dispatch["model"] for dispatch in site.api.dispatches()]
    assert sorted(dispatched) == sorted([FIRST, *models]), f"{len(dispatched)} dispatches"
    ran = [run.inputs["user_id"] for run in site.peer.runs]
    assert sorted(ran) == sorted(dispatched), f"{len(ran)} runs for {len(dispatched)}"
    assert site.peer.overlaps == []
    assert "Traceback" not in site.replicas.said()


def deliver(api: Api, alerts: Sequence[dict[str, Any]], random: Random) -> None:
    """Post groups of these alerts, each until it is taken, as an Alertmanager does."""
    left = list(alerts)
    while left:
        size = random.randint(1, LARGEST_GROUP)
        group, left = left[:size], left[size:]
        while True:
            answer = api.try_ask("POST", "/webhook", post(*group))
            if answer is not None and answer.status == 200:
                break
            assert answer is None or answer.status == 503, answer
            pause(0.2)
