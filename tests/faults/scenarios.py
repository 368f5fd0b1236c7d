"""The table of faults: which promise each one tests, how often it is made, and by whom."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults import bursts, databases, filling, kills, power, readers, rolling, storms
from tests.faults.laboratory import Lab


@dataclass(frozen=True)
class Scenario:
    """A kind of fault that is made again and again, each time by another seed.

    Attributes:
        promises: Those of docs/guarantees.md that it tests.
        unit: What is counted; each has a seed of its own.
        long: How many `make faults` makes.
        short: How many `make test` makes; none of what takes all of a machine.
        episode: So many share a store, with load all the time; then the promises are checked.
        run: Makes the faults of these seeds. It fails if a promise was broken; it may tell what
            it measured.

    """

    name: str
    promises: str
    unit: str
    long: int
    short: int
    episode: int
    run: Callable[[Lab, range], str | None]

    def episodes(self, seeds: range) -> Iterator[range]:
        """Cut seeds into the parts that share a store."""
        for first in range(seeds.start, seeds.stop, self.episode):
            yield range(first, min(first + self.episode, seeds.stop))


SCENARIOS = (
    Scenario("kills-sqlite", "G1 G2 G3", "kills", 500, 12, 25, kills.kill_one_on_sqlite),
    Scenario("kills-postgresql", "G1 G2 G3", "kills", 200, 5, 25, kills.kill_three_on_postgresql),
    Scenario("rolling-sqlite", "G2 G7", "restarts", 50, 2, 25, rolling.restart_one_on_sqlite),
    Scenario(
        "rolling-postgresql", "G2 G7", "restarts", 50, 3, 25, rolling.restart_three_on_postgresql
    ),
    Scenario("database-crashes", "G1 G2 G8", "crashes", 50, 2, 25, databases.crash),
    Scenario("commits-cut", "G1 G2 G3", "cuts", 200, 6, 50, databases.cut_commits),
    Scenario("database-away", "G1 G8", "seconds", 60, 3, 60, databases.stay_away),
    Scenario("burst", "G2", "models", 1000, 60, 1000, bursts.fire_all_at_once),
    Scenario("burst-alertmanagers", "G2", "models", 1000, 20, 1000, bursts.fire_at_alertmanagers),
    Scenario("disk-full", "G1 G8", "fillings", 20, 1, 20, filling.fill),
    Scenario("disk-forgets", "G8", "fillings", 20, 1, 10, filling.forget),
    Scenario("sync-fails", "G1 G8", "refusals", 200, 5, 200, filling.fail_syncs),
    Scenario("storms", "G8", "storms", 5, 0, 1, storms.storm),
    Scenario("readers", "G8", "rounds", 5, 1, 5, readers.read),
    Scenario("power-loss", "G1", "disk states", 5000, 200, 500, power.lose_power),
)
