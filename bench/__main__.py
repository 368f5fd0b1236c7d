"""`make bench`: the project's measures as a table of ratios from one run."""

import argparse
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench import dispatching, reading, scale, slow_readers, storm, stormy_page
from bench.load import MODELS, requests_per_second, write_bodies
from bench.servers import beside, postgres, receiver

CONNECTIONS = 64


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    what: str
    figure: str
    aim: str
    reached: bool

    @classmethod
    def at_least(cls, what: str, ratio: float, aim: float) -> "Measure":
        """Name a ratio that should be large."""
        return cls(what, f"{ratio:.2f}", f"≥ {aim}", reached=ratio >= aim)


def webhook(folder: Path, rounds: int, seconds: int) -> Iterator[Measure]:
    """Durable webhook against the floor and the naive way, alternating; also on PostgreSQL."""
    script = write_bodies(folder, 1)
    rates: dict[str, list[float]] = {name: [] for name in ("floor", "ours", "naive", "postgres")}
    with ExitStack() as stack:
        url = stack.enter_context(postgres(folder / "server"))
        servers = {
            "floor": stack.enter_context(beside("floor", folder / "floor")),
            "ours": stack.enter_context(receiver(folder / "ours")),
            "naive": stack.enter_context(beside("naive", folder / "naive")),
            "postgres": stack.enter_context(receiver(folder / "postgres", storage=url)),
        }
        for _ in range(rounds):
            for name, server in servers.items():
                rates[name].append(
                    requests_per_second(
                        server.url, script, connections=CONNECTIONS, seconds=seconds
                    )
                )

    def ratio(one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))

    ours, floor = statistics.median(rates["ours"]), statistics.median(rates["floor"])
    what = f"webhook, 1 alert, {CONNECTIONS} connections ({ours:.0f}/s) ÷ floor ({floor:.0f}/s)"
    yield Measure.at_least(what, ratio("ours", "floor"), 0.25)
    yield Measure.at_least("same ÷ naive", ratio("ours", "naive"), 10)
    shared = ratio("postgres", "floor")
    yield Measure("same on PostgreSQL ÷ floor", f"{shared:.2f}", "none", reached=True)


def batches(folder: Path, rounds: int, seconds: int) -> Iterator[Measure]:
    """Alerts a second in notifications of 100, against bare executemany into the same table."""
    script = write_bodies(folder, 100)
    ratios, rates = [], []
    with receiver(folder / "hundred") as server:
        for _ in range(rounds):
            ours = 100 * requests_per_second(server.url, script, connections=16, seconds=seconds)
            ratios.append(ours / bare_rows_per_second(folder / "hundred/receiver.db", seconds))
            rates.append(ours)
    ratio = statistics.median(ratios)
    what = f"notifications of 100 ({statistics.median(rates):.0f} alerts/s) ÷ bare executemany"
    yield Measure.at_least(what, ratio, 0.35)


def bare_rows_per_second(like: Path, seconds: int) -> float:
    """Rows of `decisions` a second by sqlite3 alone, with the same indexes, 100 a commit."""
    copy = like.with_name("bare.db")
    copy.unlink(missing_ok=True)
    with sqlite3.connect(like) as source:
        schema = [
            sql
            for (sql,) in source.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name IN ('decisions', 'horizon') AND sql "
                "IS NOT NULL ORDER BY type = 'index', type = 'trigger'"
            )
        ]
        row = source.execute("SELECT * FROM decisions LIMIT 1").fetchone()
    db = sqlite3.connect(copy, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    for sql in schema:
        db.execute(sql)
    insert = f"INSERT INTO decisions VALUES ({', '.join('?' * len(row))})"  # noqa: S608
    number, ends = 0, time.perf_counter() + seconds
    began = time.perf_counter()
    while time.perf_counter() < ends:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(insert, [(number + n, *row[1:]) for n in range(100)])
        db.execute("COMMIT")
        number += 100
    rate = number / (time.perf_counter() - began)
    db.close()
    return rate


def idle(folder: Path, rounds: int) -> Iterator[Measure]:
    """Start and memory, with both dispatchers configured and the store migrated."""
    with receiver(folder / "idle"):
        pass
    starts, memory = [], []
    for _ in range(rounds):
        with receiver(folder / "idle") as server:
            starts.append(server.started_in)
            time.sleep(3)  # noqa: TID251  let it come to rest
            memory.append(server.memory())
    start, used = statistics.median(starts), statistics.median(memory)
    yield Measure("start to first 200", f"{start:.2f} s", "≤ 1.5 s", start <= 1.5)  # noqa: PLR2004
    yield Measure("idle memory (RSS)", f"{used:.0f} MiB", "≤ 100 MiB", used <= 100)  # noqa: PLR2004


def main() -> int:
    """Measure, print the table, and keep it as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="medians of so many rounds")
    parser.add_argument("--seconds", type=int, default=4, help="length of one round")
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions for the queries")
    parser.add_argument(
        "--only",
        help="one of webhook, batches, reading, dispatching, idle, storm, readers, scale, page",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    console = Console(stderr=True)
    with TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        folder.chmod(0o755)  # as root, PostgreSQL's server must run as somebody else
        parts: dict[str, Callable[[], Iterator[Measure]]] = {
            "webhook": lambda: webhook(folder, args.rounds, args.seconds),
            "batches": lambda: batches(folder, args.rounds, args.seconds),
            "reading": lambda: (
                Measure(*line) for line in reading.lines(folder, args.rows, args.rounds)
            ),
            "dispatching": lambda: (Measure(*line) for line in dispatching.lines(folder)),
            "idle": lambda: idle(folder, args.rounds),
            "storm": lambda: (Measure(*line) for line in storm.lines(folder)),
            "readers": lambda: (Measure(*line) for line in slow_readers.lines()),
            "scale": lambda: (Measure(*line) for line in scale.lines(folder)),
            "page": lambda: (Measure(*line) for line in stormy_page.lines(folder)),
        }
        measures = []
        for part, measure in parts.items():
            if args.only in {None, part}:
                console.print(f"measuring {part} ...")
                measures.extend(measure())
    table = Table("measure", "figure", "aim", "")
    for each in measures:
        table.add_row(each.what, each.figure, each.aim, "✓" if each.reached else "✗")
    Console(width=110).print(table)
    if args.json:
        args.json.write_text(json.dumps([vars(each) for each in measures], indent=2) + "\n")
    return 0 if all(each.reached for each in measures) else 1


if __name__ == "__main__":
    if MODELS % 100:
        raise AssertionError("the bodies of 100 alerts would not come out even")
    sys.exit(main())
