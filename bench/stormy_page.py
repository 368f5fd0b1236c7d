"""The page in a storm: five thousand models known, a thousand of them begin to fire together."""

import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from bench.crowd import fill
from bench.load import MODELS, notification
from bench.scale import TRIES, Line, ask, taken
from bench.servers import Server, receiver

KNOWN = 5_000
HELD = 200
"""Of those that the storm does not touch, so many fire and are in cooldown."""

PAGES = ("/", "/?state=attention", "/models?state=attention&limit=50")
"""What somebody who is woken opens, the list behind it, and what the command line asks."""

IN_A_GROUP = 50
ROUNDS = 3
"""Each alert is repeated so often, so that cards have values to draw and decisions to fold."""

STORM = "mode: auto\n    dedup_window: 1s\n    storm: {models: 20, within: 1h, wait: 1s}"
ASKING = "SELECT count(*) FROM firing_alerts WHERE asks"


def lines(folder: Path, *, known: int = KNOWN, storm: int = MODELS) -> Iterator[Line]:
    """How long each page takes while the storm waits for a human."""
    with stormy(folder / "page", known=known, storm=storm) as server:
        for path in PAGES:
            slow = statistics.quantiles((taken(server, path) for _ in range(TRIES)), n=20)[-1]
            what = f"GET {path}, {known:,} models known, a storm of {storm:,}, p95"
            yield what, f"{1000 * slow:.0f} ms", "≤ 300 ms", slow <= 0.3  # noqa: PLR2004  the aim


@contextmanager
def stormy(folder: Path, *, known: int, storm: int) -> Iterator[Server]:
    """A receiver that holds a storm and asks a human about each of its models."""
    with receiver(folder):
        pass  # it makes the tables
    store = folder / "receiver.db"
    fill(store, known=known - storm, firing=HELD, now=time.time())  # noqa: TID251
    with receiver(folder) as server:
        config = folder / "receiver.yaml"
        config.write_text(config.read_text().replace("mode: observe", STORM))
        ask(server, "/-/reload", None)
        for _ in range(ROUNDS):
            for start in range(0, storm, IN_A_GROUP):
                _post(server, range(start, min(storm, start + IN_A_GROUP)))
            _until_all_ask(store, storm)
        yield server


def _post(server: Server, numbers: range) -> None:
    body = json.dumps(notification(numbers)).encode()
    with urlopen(Request(f"{server.url}/webhook", body), timeout=60) as answer:  # noqa: S310
        answer.read()


def _until_all_ask(store: Path, storm: int) -> None:
    """Wait until the timer has seen to each model of the storm."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        while db.execute(ASKING).fetchone()[0] < storm:
            time.sleep(0.2)  # noqa: TID251  it is asked again until it is so
