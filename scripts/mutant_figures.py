"""How many mutants of each file the tests killed, from what `mutmut results --all true` says."""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

LINE = re.compile(r"\s*(receiver[\w.]*)\.x[\w\u01c1]*__mutmut_\d+: ([\w ]+)")
KILLED = ("killed", "timeout", "segfault")  # a mutant that never ends is seen as well
NOT_RUN = "not checked"


def by_file(lines: Iterable[str]) -> dict[str, Counter[str]]:
    """What became of each file's mutants."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        if told := LINE.fullmatch(line.rstrip()):
            found[told[1].replace(".", "/") + ".py"][told[2]] += 1
    return dict(sorted(found.items()))


def row(name: str, counted: Counter[str]) -> str:
    """One row of the table in docs/mutants.md."""
    killed = sum(counted[status] for status in KILLED)
    ran = counted.total() - counted[NOT_RUN]
    share = f"{killed / ran:.0%}" if ran else "-"
    return f"| {name} | {counted.total()} | {ran} | {killed} | {ran - killed} | {share} |"


def main() -> None:
    """Print the table: only files of which some mutant ran, and their sum."""
    figures = {
        name: counted
        for name, counted in by_file(sys.stdin).items()
        if counted.total() > counted[NOT_RUN]
    }
    lines = [
        "| file | mutants | ran | killed | survived | killed of those that ran |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row(f"`{name}`", counted) for name, counted in figures.items()),
        row("all of these", sum(figures.values(), Counter())),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
