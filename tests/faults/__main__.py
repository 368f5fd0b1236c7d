"""`python -m tests.faults`: every fault in its long form, or `--only NAME --count N` of one.

Seeds follow one another, so that a long form can be made in slices:
`--first-seed 300 --count 100`.
"""

import argparse
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from tests.faults.laboratory import Lab
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.reporting import write_report

SKIPPED = (pytest.skip.Exception, pytest.fail.Exception)
"""What the tests' own fixtures raise where a program is missing."""


@dataclass
class Tally:
    """What became of one scenario."""

    scenario: Scenario
    made: int = 0
    failed: list[range] = field(default_factory=list)
    skipped: str = ""
    measured: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        """One word for the table, and what was measured."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        said = "FAILED" if self.failed else "kept"
        return " ".join([said, *self.measured[-1:]])


def main() -> int:
    """Run the command. 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--count", type=int, help="how many of each, in place of the long form")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="keep the table, for a release to quote")
    asked = parser.parse_args()
    wanted = [scenario for scenario in SCENARIOS if scenario.name in (asked.only or names)]
    tallies = [Tally(scenario) for scenario in wanted]
    with Lab() as lab:
        for tally in tallies:
            count = asked.count or tally.scenario.long
            make(tally, lab, range(asked.first_seed, asked.first_seed + count))
    for line in table(tallies):
        say(line)
    told = [f"make faults, from seed {asked.first_seed} on", *table(tallies)]
    write_report(asked.report, told)
    return 1 if any(tally.failed for tally in tallies) else 0


def make(tally: Tally, lab: Lab, seeds: range) -> None:
    """Make the faults of these seeds, telling how far it is."""
    scenario, began = tally.scenario, monotonic()
    for part in scenario.episodes(seeds):
        try:
            measured = scenario.run(lab, part)
        except SKIPPED as reason:
            tally.skipped = str(reason)
            return
        except Exception:  # noqa: BLE001  told, and the others go on
            traceback.print_exc()
            tally.failed.append(part)
            say(f"{scenario.name}: a promise is broken; again: {command(scenario, part)}")
            continue
        tally.made += len(part)
        tally.measured += [measured] if measured else []
        done = part.stop - seeds.start
        spent = monotonic() - began
        left = spent / done * (len(seeds) - done)
        say(
            f"{scenario.name}: {done}/{len(seeds)} {scenario.unit}, seeds {part.start} to "
            f"{part.stop - 1}, {spent:.0f} s, {left:.0f} s left {measured or ''}".rstrip()
        )


def command(scenario: Scenario, seeds: range) -> str:
    """How these faults are made again."""
    wanted = f"--only {scenario.name} --first-seed {seeds.start} --count {len(seeds)}"
    return f'make faults ARGS="{wanted}"'


def table(tallies: Iterable[Tally]) -> Iterable[str]:
    """Tell what was made, and what came of it."""
    yield f"\n{'fault':<24}{'promises':<12}{'made':>6} {'of what':<16}result"
    for tally in tallies:
        scenario = tally.scenario
        yield (
            f"{scenario.name:<24}{scenario.promises:<12}{tally.made:>6} "
            f"{scenario.unit:<16}{tally.result}"
        )
        for part in tally.failed:
            yield f"    {command(scenario, part)}"


def say(line: str) -> None:
    """Write a line that is seen at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
