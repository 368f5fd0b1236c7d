"""A hundred clients that ask for everything that is stored, and take nothing of it."""

import asyncio
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing, suppress
from itertools import cycle, islice
from pathlib import Path

from tests.faults.laboratory import Lab
from tests.faults.storms import CONFIG, MIB, MOST_MEMORY, body, peak_memory
from tests.posts import entry
from tests.processes import Station, now, start_cold

CLIENTS = 100
CROWDED = 10_000
"""Alerts that fire of one model."""

HALF_A_DAY = 12 * 3600 * 1_000_000
"""In microseconds."""

PATIENCE = 400.0  # a hundred large answers on a busy machine

ASKED: Sequence[tuple[str, str]] = (
    ("/decisions?limit=500", "application/json"),
    ("/decisions?limit=500&model=plain", "application/json"),
    ("/decisions?limit=500&model=huge", "application/json"),
    ("/decisions", "text/csv"),
    ("/decisions?model=plain", "application/x-ndjson"),
    ("/ui/decisions", "text/html"),
    ("/ui/models/crowded", "text/html"),
    ("/ui/models/wide", "text/html"),
    ("/models/crowded?limit=500", "application/json"),
    ("/models?limit=500", "application/json"),
    ("/dispatches?limit=500", "application/json"),
    ("/events", "text/event-stream"),
    ("/decisions/{raw}", "application/json"),
    ("/ui/decisions/{raw}", "text/html"),
    ("/", "text/html"),
)


def read(lab: Lab, seeds: range) -> str:
    """For each seed: a hundred clients at once. Beside them notifications are accepted."""
    peak, told = measure(lab, len(seeds))
    assert told.keys() <= {200, 503}, told
    assert told[200] > told[503], told
    assert peak <= MOST_MEMORY, f"{peak // MIB} MiB; {told}"
    return f"{peak // MIB} MiB at most; {told[200]} answered, {told[503]} told to come again"


def measure(lab: Lab, rounds: int) -> tuple[int, Counter[int]]:
    """The most memory that a receiver has meanwhile, and how often each status came."""
    folder = lab.folder()
    (folder / "token").write_text("token")
    with Station(folder, CONFIG, start=start_cold) as station:
        raw = accept_large(station)
        station.stop()
        fill(folder / "receiver.db")
        station.start()
        told = Counter[int]()
        for _ in range(rounds):
            told += asyncio.run(one_round(station, raw))
        assert "Traceback" not in station.said()
        return peak_memory(station.pid), told


def accept_large(station: Station) -> int:
    """Let an alert of 9 MB come, whose labels are usual: the decision about it."""
    one = entry("large", starts_at=now())
    one["annotations"]["padding"] = "x" * 9_000_000
    return int(station.api.notify(one)[0]["id"])


async def one_round(station: Station, raw: int) -> Counter[int]:
    """Ask, and take no more than the status; how often each came."""
    async with AsyncExitStack() as stack:
        asked = islice(cycle(ASKED), CLIENTS)
        told = await asyncio.gather(
            *[ask(station.port, path.format(raw=raw), kind, stack) for path, kind in asked]
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", station.port)
        notification = body(1, 10)
        head = (
            b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(head % len(notification) + notification)
        accepted = await asyncio.wait_for(reader.read(), PATIENCE)
        await hang_up(writer)
        assert accepted.startswith(b"HTTP/1.1 200"), accepted
    return Counter(told)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Take nothing more, and leave nothing open."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def ask(port: int, path: str, kind: str, stack: AsyncExitStack) -> int:
    """Ask for it, and let the connection be as long as the stack is."""
    # So short a buffer that little of an answer is in the hands of the system.
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    stack.push_async_callback(hang_up, writer)  # a writer that nobody holds hangs up by itself
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {kind}\r\n\r\n".encode())
    with suppress(ConnectionError):
        said = await asyncio.wait_for(reader.readline(), PATIENCE)
        found = re.match(rb"HTTP/1.1 (\d+)", said)
        return int(found[1]) if found else 0
    return 0


DECISION = """
    INSERT INTO decisions (id, decided_at, source, policy, model, alertname, fingerprint, status,
        labels, reason, outcome, detail, gates, config_hash)
    VALUES (?, ?, 'timer', 'model-quality', ?, 'HighModelMAE', 'f', 'firing', ?, 'cooldown',
        'hold', 'in cooldown for another 3h12m: run 8123 ended at 09:14 UTC', '[]', 'x')
"""
FIRING = """
    INSERT INTO firing_alerts (fingerprint, model, policy, alertname, labels, value, starts_at,
        confirmed_at, expires_at, observing)
    VALUES (?, ?, 'model-quality', 'HighModelMAE', ?, 0.62, ?, ?, ?, 0)
"""


def fill(path: Path) -> None:
    """Decisions and firing alerts: usual, full, and of releases without a bound."""
    with closing(sqlite3.connect(path)) as db:
        [newest] = db.execute("SELECT max(id) FROM decisions").fetchone()
        for number, (model, padding) in enumerate(rows()):
            labels = json.dumps({"user_id": model, "padding": "x" * padding})
            at = newest + 1 + number
            db.execute(DECISION, (at, at, model, labels))
        for model in ("crowded", "wide", *(f"each-{n}" for n in range(100))):
            named = json.dumps({"user_id": model})
            db.execute(
                "INSERT INTO models (name, labels, refusals) VALUES (?, ?, 0)", (model, named)
            )
        later = newest + HALF_A_DAY  # within `alert_expiry`: else it would be mended meanwhile
        for number, (model, padding) in enumerate(alerts()):
            labels = json.dumps({"user_id": model, "pod": f"p{number}", "padding": "x" * padding})
            db.execute(FIRING, (f"f{number}", model, labels, newest + number, newest, later))
        db.commit()


def rows() -> Iterator[tuple[str, int]]:
    """The model of each decision, and how long its labels are."""
    yield from [("plain", 200)] * 4000
    yield from [("full", 64_000)] * 600
    yield from [("huge", 9_000_000)] * 4


def alerts() -> Iterator[tuple[str, int]]:
    """The model of each firing alert, and how long its labels are."""
    yield from [("crowded", 100)] * CROWDED
    yield from [("wide", 64_000)] * 300
    yield from ((f"each-{n}", 64_000) for n in range(100))
    yield from [("wide", 9_000_000)] * 2
