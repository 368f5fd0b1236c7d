"""The database crashes, hangs up in the middle of a commit, or is away for a while."""

from contextlib import ExitStack
from functools import partial
from time import monotonic

from tests.cutting import CuttingProxy
from tests.faults.laboratory import Lab, living
from tests.faults.load import Load, seeded
from tests.posts import entry, post
from tests.processes import Station, now
from tests.waiting import eventually, pause

SOON = 20.0
"""Seconds in which a receiver answers 200 again once its database is back."""


def crash(lab: Lab, seeds: range) -> None:
    """PostgreSQL is stopped at once and started again, under three replicas at work."""
    with lab.on_postgres(seeds) as site, living(site, seeds) as load:
        for seed in seeds:
            pause(seeded(f"crash/{seed}").uniform(0, 0.5))
            lab.postgres.restart()
            await_acknowledged(load)


def cut_commits(lab: Lab, seeds: range) -> None:
    """The connection is cut at a COMMIT: before the server hears it, or after."""
    with ExitStack() as opened:
        proxies = [
            opened.enter_context(CuttingProxy(lab.postgres.socket, b"COMMIT\0", after=after))
            for after in (False, True)
        ]
        routes = [partial(lab.postgres.url, through=proxy.folder) for proxy in proxies]
        site = opened.enter_context(lab.on_postgres(seeds, [*routes, lab.postgres.url]))
        load = opened.enter_context(living(site, seeds))
        for seed in seeds:
            pause(seeded(f"cut/{seed}").uniform(0, 0.2))
            proxy = proxies[seed % len(proxies)]
            cuts, proxy.armed = proxy.cuts, True
            eventually(lambda proxy=proxy, cuts=cuts: proxy.cuts > cuts, every=0.005)
            await_acknowledged(load, enough=5)


def stay_away(lab: Lab, seeds: range) -> str:
    """The database is gone for as many seconds as there are seeds: 503, and nothing else."""
    with lab.on_postgres(seeds) as site, living(site, seeds) as load:
        await_acknowledged(load)
        lab.postgres.stop()
        try:
            gone = monotonic()
            eventually(lambda: not any(station.is_ready() for station in site.stations))
            while monotonic() < gone + len(seeds):
                for station in site.stations:
                    told = _ask(station)
                    assert set(told.values()) == {503}, told
                    assert station.api.get("/-/healthy").status == 200
                pause(0.5)
        finally:
            lab.postgres.start()
        back = monotonic()
        await_acknowledged(load, within=SOON)
        eventually(lambda: all(station.is_ready() for station in site.stations))
        return f"back after {monotonic() - back:.1f} s"


def _ask(station: Station) -> dict[str, int]:
    """What one replica answers to everything that needs the database."""
    reads = ("/-/ready", "/decisions", "/models", "/models/model-1", "/dispatches")
    told = {path: station.api.get(path).status for path in reads}
    told["/webhook"] = station.api.post("/webhook", post(entry("late", starts_at=now()))).status
    told["/pause"] = station.api.act("/models/model-1/pause").status
    return told


def await_acknowledged(load: Load, *, enough: int = 10, within: float = 60) -> None:
    """Wait until there is life again."""
    more = len(load.acknowledged) + enough
    eventually(lambda: len(load.acknowledged) > more, within=within, every=0.01)
