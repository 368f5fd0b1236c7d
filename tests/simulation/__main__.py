"""`python -m tests.simulation --seeds 5000`, or `--seed 17` to hear one story again."""

import argparse
import os
import sys
from collections import Counter
from time import monotonic

from tests.simulation.running import COUNTED, Outcome, examine, examine_all, silence_the_log
from tests.simulation.stores import SqliteStores
from tests.simulation.story import tell, told


def main() -> int:
    """Run the command. 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5000, help="how many histories")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="replay this one and tell its story")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        return replay(asked.seed)
    return run(range(asked.first, asked.first + asked.seeds), asked.processes)


def replay(seed: int) -> int:
    """Tell one story."""
    silence_the_log()
    stores = SqliteStores()
    lived, outcome = examine(seed, stores)
    for line in tell(lived, outcome.violations):
        say(line)
    stores.close()
    return 1 if outcome.violations else 0


def run(seeds: range, processes: int) -> int:
    """Live through many, and sum up."""
    began, done, counts = monotonic(), 0, Counter[str]()
    failed: list[Outcome] = []
    for outcome in examine_all(seeds, processes):
        done += 1
        counts += outcome.counts
        if outcome.violations:
            failed.append(outcome)
            say(f"seed {outcome.seed}: {told(outcome.violations[0]).strip()}")
        if done % 50 == 0 or done == len(seeds):
            each = (monotonic() - began) / done
            left = each * (len(seeds) - done) / 60
            say(f"{done}/{len(seeds)} histories, {1 / each:.2f}/s, {left:.0f} min left")
    means = ", ".join(f"{counts[kind] / max(done, 1):.0f} {kind}" for kind in COUNTED)
    say(f"each on average: {means}")
    if failed:
        first = min(outcome.seed for outcome in failed)
        say(f"{len(failed)} of {done} histories broke a promise; make simulate SEED={first}")
        return 1
    say(f"{done} histories, no promise broken")
    return 0


def say(line: str) -> None:
    """Write a line that is seen at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
