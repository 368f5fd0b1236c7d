"""`python -m tests.simulation --seeds 5000`, or `--seed 17` to hear one story again."""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

from tests.reporting import write_report
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
    parser.add_argument("--report", type=Path, help="keep the sum, for a release to quote")
    asked = parser.parse_args()
    if asked.seed is not None:
        return replay(asked.seed)
    return run(range(asked.first, asked.first + asked.seeds), asked.processes, asked.report)


def replay(seed: int) -> int:
    """Tell one story."""
    silence_the_log()
    stores = SqliteStores()
    lived, outcome = examine(seed, stores)
    for line in tell(lived, outcome.violations):
        say(line)
    stores.close()
    return 1 if outcome.violations else 0


def run(seeds: range, processes: int, report: Path | None = None) -> int:
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
    ended = f"{done} histories, no promise broken"
    if failed:
        first = min(outcome.seed for outcome in failed)
        ended = f"{len(failed)} of {done} histories broke a promise; make simulate SEED={first}"
    summed_up = [f"each on average: {means}", ended]
    for line in summed_up:
        say(line)
    write_report(report, [f"make simulate, seeds {seeds.start} to {seeds.stop - 1}", *summed_up])
    return 1 if failed else 0


def say(line: str) -> None:
    """Write a line that is seen at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
