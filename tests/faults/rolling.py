"""Rolling restarts by SIGTERM under load, as a rollout or a drained node makes them."""

from time import monotonic

from tests.faults.balancing import Cut
from tests.faults.laboratory import Lab, living
from tests.faults.load import Load
from tests.faults.sites import Site
from tests.waiting import eventually

ENOUGH = 20
"""Notifications that must be acknowledged between two restarts."""


def restart_one_on_sqlite(lab: Lab, seeds: range) -> None:
    """One process is asked to end again and again, and another takes up what it left."""
    with lab.on_sqlite(seeds) as site, living(site, seeds) as load:
        _roll(site, load, seeds)


def restart_three_on_postgresql(lab: Lab, seeds: range) -> None:
    """Three replicas are restarted one after the other."""
    with lab.on_postgres(seeds) as site, living(site, seeds) as load:
        _roll(site, load, seeds)


def _roll(site: Site, load: Load, seeds: range) -> None:
    away: list[tuple[int, float, float]] = []
    for seed in seeds:
        station = site.stations[seed % len(site.stations)]
        enough = len(load.acknowledged) + ENOUGH
        eventually(lambda enough=enough: len(load.acknowledged) > enough, every=0.01)
        asked_at = monotonic()
        assert station.stop() == 0, station.said()[-3000:]
        station.start()
        away.append((station.port, asked_at, monotonic()))
    early = [cut for cut in site.replicas.balancer.cuts if not _is_excused(cut, away)]
    assert not early, f"reset although the replica was ready: {early}, restarts {away}"


def _is_excused(cut: Cut, away: list[tuple[int, float, float]]) -> bool:
    """Whether the replica was asked to end before it accepted the connection."""
    return any(
        port == cut.port and asked_at <= cut.connected_at <= back_at
        for port, asked_at, back_at in away
    )
