"""Samples of a process and its store: memory, descriptors and rows, and how they grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from sqlalchemy import Engine, func, select

from receiver.store.tables import metadata

HOUR = 3600.0


@dataclass(frozen=True)
class Sample:
    """What was there at a moment.

    Attributes:
        at: Seconds since the load began.
        memory: Resident, MiB, of all processes.

    """

    at: float
    memory: float
    descriptors: int
    rows: Mapping[str, int]


def take(at: float, pids: Sequence[int], engine: Engine) -> Sample:
    """Look at the processes and at their store."""
    return Sample(
        at,
        sum(resident(pid) for pid in pids),
        sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        rows_of(engine),
    )


def resident(pid: int) -> float:
    """Resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def rows_of(engine: Engine) -> dict[str, int]:
    """How many rows each table has."""
    with engine.connect() as db:
        return {
            table.name: db.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }


def slope(samples: Sequence[Sample], values: Sequence[float]) -> float:
    """How much a value grows in an hour, by the second half: the first warms up."""
    half = len(samples) // 2
    times = [sample.at / HOUR for sample in samples[half:]]
    if len(times) < 2:
        return 0.0
    return linear_regression(times, values[half:]).slope
