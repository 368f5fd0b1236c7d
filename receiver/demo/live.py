"""The live stream: observations that a model predicts now and whose truth is known at once."""

import csv
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

TARGET = "concave_points"
NOISE = 0.05
"""No outline is measured twice alike (in standard deviations), so that no observation repeats."""

Observation = Mapping[str, float]
"""A row of `live.csv`: the features, the target, and `row_id`, which sample it came from."""


def drifted(observed: Observation) -> Observation:
    """What a new scanner reports of the same sample.

    It draws nuclei larger (the inputs move) and takes the folds of a rough outline for concave
    points (the relation moves). No model trained before can know that; one trained on what the
    scanner reports can learn it.
    """
    return {
        **observed,
        "radius": observed["radius"] + 0.5,
        "area": observed["area"] + 0.5,
        TARGET: observed[TARGET] + 0.8 * observed["fractal_dimension"] + 0.4,
    }


class LiveStream:
    """Endless observations from a finite table: each sample once, then all in a new order."""

    def __init__(self, table: Sequence[Observation], seed: str) -> None:
        self._table = table
        self._random = random.Random(seed)  # noqa: S311 - the same demo each time, no secret
        self._waiting: list[Observation] = []
        self.has_drifted = False

    def next(self) -> Observation:
        """One more observation."""
        if not self._waiting:
            self._waiting = self._random.sample(self._table, len(self._table))
        sample = self._waiting.pop()
        observed = {
            name: value if name in ("row_id", TARGET) else self._random.gauss(value, NOISE)
            for name, value in sample.items()
        }
        return drifted(observed) if self.has_drifted else observed


class Recent:
    """The last observations, kept in a file that the pipeline trains and evaluates on."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._rows: deque[Observation] = deque(maxlen=size)

    def add(self, observed: Observation) -> None:
        """Remember one observation; the oldest is forgotten."""
        self._rows.append(observed)

    def save(self) -> None:
        """Write the file anew. Whoever reads it sees the old rows or the new ones, whole."""
        if not self._rows:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(".writing")
        write_table(scratch, self._rows)
        scratch.replace(self._path)


def read_table(path: Path) -> list[Observation]:
    """Read observations."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]


def write_table(path: Path, rows: Iterable[Observation]) -> None:
    """Write observations, of which there is at least one."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = iter(rows)
        first = next(rows)
        table = csv.DictWriter(file, list(first))
        table.writeheader()
        table.writerow(first)
        table.writerows(rows)
