"""`GET /decisions` on a long log: a deep page behind any single filter, and behind none."""

import json
import sqlite3
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from bench.servers import receiver

SMALL = 10_000
LIMIT = 50

TODAY = int(time.time() * 1e6)  # noqa: TID251  the receiver that reads it does not take ours
DAY = 24 * 3600 * 1_000_000
"""In microseconds, as the store counts. What is older than its retention would be forgotten."""

REASONS = ("duplicate", "cooldown", "triggered", "in_flight", "resolved")

OUTCOMES = {"triggered": "trigger", "cooldown": "hold", "in_flight": "hold"}

INSERT = """
    INSERT INTO decisions (id, decided_at, source, policy, model, alertname, fingerprint, status,
        labels, reason, outcome, detail, gates, dispatch_id, notification_id, config_hash)
    VALUES (?, ?, ?, 'model-quality', ?, ?, ?, 'firing', ?, ?, ?, ?, '[]', ?, ?, 'x')
"""


def lines(folder: Path, rows: int, rounds: int) -> Iterator[tuple[str, str, str, bool]]:
    """p50 of the slowest filter on a long log against the same on a short one, alternating."""
    with ExitStack() as stack:
        urls = [
            stack.enter_context(filled(folder / f"log-{size}", size)) for size in (SMALL, rows)
        ]
        ratios = {
            name: ratio(urls, (SMALL, rows), {name: value} if value else {}, rounds * 10)
            for name, value in FILTERS.items()
        }
    worst = max(ratios, key=lambda name: ratios[name])
    yield (
        f"GET /decisions, deep page, slowest filter ({worst}), {rows:,} ÷ {SMALL:,} rows",
        f"{ratios[worst]:.2f}",
        "≤ 2",
        ratios[worst] <= 2,  # noqa: PLR2004  the aim
    )


@contextmanager
def filled(folder: Path, rows: int) -> Iterator[str]:
    """A receiver whose log has so many rows."""
    with receiver(folder):
        pass
    fill(folder / "receiver.db", rows)
    with receiver(folder) as server:
        yield server.url


def ratio(
    urls: Sequence[str], sizes: Sequence[int], filtered: Mapping[str, str], times: int
) -> float:
    """How much longer the second log takes for a page from its middle."""
    spent: list[list[float]] = [[], []]
    for _ in range(times):
        for url, size, seconds in zip(urls, sizes, spent, strict=True):
            cursor = moment(size // 2, size)
            asked = urlencode({**filtered, "limit": LIMIT, "cursor": cursor})
            began = time.perf_counter()
            with urlopen(f"{url}/decisions?{asked}") as answer:  # noqa: S310  loopback
                if len(json.load(answer)["decisions"]) != LIMIT:
                    raise RuntimeError(f"too few rows for {filtered}")
            seconds.append(time.perf_counter() - began)
    short, long = map(statistics.median, spent)
    return long / short


FILTERS = {
    "none": "",
    "model": "m7",
    "policy": "model-quality",
    "alertname": "HighModelMAE",
    "fingerprint": "f7",
    "status": "firing",
    "reason": "triggered",
    "outcome": "trigger",
    "source": "timer",
    "dispatch_id": "d7",
    "notification_id": "n7",
}


def fill(path: Path, rows: int) -> None:
    """Generated decisions with ids from 1; the indexes are built afterwards, which is faster."""
    with closing(sqlite3.connect(path)) as db:
        indexes = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'decisions' AND type = 'index'"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        db.executemany(INSERT, (generated(number, rows) for number in range(rows)))
        for _, sql in indexes:
            db.execute(sql)
        db.commit()


def moment(number: int, rows: int) -> int:
    """When a decision was made, which is also its id: all within the last day."""
    return TODAY - DAY + DAY * number // rows


def generated(number: int, rows: int) -> tuple[object, ...]:
    """One decision of a log in which every filter finds something everywhere."""
    reason = REASONS[number % len(REASONS)]
    return (
        moment(number, rows),
        moment(number, rows),
        "timer" if number % 50 == 0 else "alertmanager",
        f"m{number % 100}",
        "HighModelMAE" if number % 2 else "LowModelR2",
        f"f{number % 100}",
        json.dumps({"user_id": f"m{number % 100}"}),
        reason,
        OUTCOMES.get(reason, "skip"),
        "in cooldown for another 3h12m: run 8123 ended at 09:14 UTC",
        f"d{number % 100}",
        f"n{number % 100}",
    )
