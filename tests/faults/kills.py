"""kill -9 of real processes under load, at seeded moments."""

from random import Random
from signal import SIGKILL

from tests.faults.laboratory import Lab, living
from tests.faults.load import Load, seeded
from tests.faults.promises import check_some
from tests.faults.sites import Site
from tests.processes import Station
from tests.waiting import pause


def kill_one_on_sqlite(lab: Lab, seeds: range) -> None:
    """One process is killed at one moment for each seed; it starts again on the same file."""
    with lab.on_sqlite(seeds) as site, living(site, seeds) as load:
        _kill(site, load, seeds)


def kill_three_on_postgresql(lab: Lab, seeds: range) -> None:
    """One of three replicas is killed at each moment, now and then all of them."""
    with lab.on_postgres(seeds) as site, living(site, seeds) as load:
        _kill(site, load, seeds)


def _kill(site: Site, load: Load, seeds: range) -> None:
    checked = 0
    for seed in seeds:
        random = seeded(f"kill/{seed}")
        victims = [random.choice(site.stations)]
        if random.random() < 0.1:
            victims = list(site.stations)
        pause(random.uniform(0, 0.4))
        _die(victims, load, random)
        for victim in victims:
            victim.begin()
        if random.random() < 0.2:  # the next death comes while it starts
            continue
        for victim in victims:
            victim.await_ready()
        newest = load.acknowledged[checked:]
        checked = len(load.acknowledged)
        check_some(site.api, random.sample(newest, min(len(newest), 5)))
    for station in site.stations:
        station.await_ready()


def _die(victims: list[Station], load: Load, random: Random) -> None:
    """Let them die while they work, or right when somebody was answered."""
    answers = random.random() < 0.4
    if answers and all(victim.is_ready() for victim in victims):
        load.at_next_answer(lambda: victims[0].send(SIGKILL))
        victims[0].wait()
    for victim in victims:
        victim.kill()
