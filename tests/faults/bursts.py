"""Everything fires at once: 1,000 models, three Alertmanagers, three replicas."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from tests.faults.busy import FIRST
from tests.faults.laboratory import Lab, is_calm
from tests.faults.load import seeded
from tests.faults.sites import CONFIG
from tests.posts import entry, post
from tests.stations import Api, now
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
        dispatched = [dispatch["model"] for dispatch in site.api.dispatches()]
        assert sorted(dispatched) == sorted([FIRST, *models]), f"{len(dispatched)} dispatches"
        ran = [run.inputs["user_id"] for run in site.peer.runs]
        assert sorted(ran) == sorted(dispatched), f"{len(ran)} runs for {len(dispatched)}"
        assert site.peer.overlaps == []
        assert "Traceback" not in site.replicas.said()
        return f"exactly {len(dispatched) - 1} dispatches"


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
