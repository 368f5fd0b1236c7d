"""Too many clients, too slow ones, and too large bodies: 503, bounded memory, and back soon."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from tests.faults.laboratory import Lab
from tests.posts import entry, post
from tests.processes import Station, now, start_cold

CONFIG = """\
targets:
  workflow:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: http://127.0.0.1:9
      inputs: {user_id: "{user_id}"}
  pipeline:
    kfp:
      endpoint: http://127.0.0.1:9
      pipeline: retrain
      parameters: {user_id: "{user_id}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
"""
MIB = 1024 * 1024
MOST_MEMORY = 220 * MIB
"""What one receiver may ever have resident."""

BACK = 5.0
"""Seconds after a storm in which an ordinary notification is answered 200 again."""

PATIENCE = 240.0
HEAD = b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def storm(lab: Lab, seeds: range) -> str:
    """For each seed: 200 bodies of 1 MiB, 2,000 connections, and twelve bodies of nearly 10 MB."""
    folder = lab.folder()
    (folder / "token").write_text("token")
    with Station(folder, CONFIG, start=start_cold) as station:
        backs = [asyncio.run(one_storm(station)) for _ in seeds]
        peak = peak_memory(station.pid)
        assert peak <= MOST_MEMORY, f"{peak // MIB} MiB"
        assert "Traceback" not in station.said()
        return f"{peak // MIB} MiB at most, back after {max(backs):.1f} s"


async def one_storm(station: Station) -> float:
    """The longest time that it took to be back."""
    million, ten_million = body(100, 10_000), body(20_000, 180)
    assert 9_000_000 < len(ten_million) < 10 * MIB, len(ten_million)
    waves: Sequence[Callable[[], Awaitable[Counter[int]]]] = (
        lambda: together(200, lambda _: ask(station.port, million)),
        lambda: crowd(station.port),
        lambda: together(12, lambda _: ask(station.port, ten_million)),
    )
    backs = []
    for wave in waves:
        told = await wave()
        assert told.keys() <= {200, 503}, told
        began = monotonic()
        while await ask(station.port, body(1, 10)) != 200:
            assert monotonic() < began + PATIENCE, "it does not come back"
        backs.append(monotonic() - began)
    return max(backs)


async def together(count: int, work: Callable[[int], Awaitable[int]]) -> Counter[int]:
    """Do it so many times at once; how often each answer came."""
    return Counter(await asyncio.gather(*[work(number) for number in range(count)]))


async def crowd(port: int) -> Counter[int]:
    """2,000 clients of which most never finish; meanwhile others are served."""
    unfinished = [b"", b"POST /webhook HTTP/1.1\r\n", HEAD % 100 + b"{"]
    writers = []
    try:
        for number in range(2000):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(unfinished[number % len(unfinished)])
            writers.append(writer)
        return await together(20, lambda _: ask(port, body(1, 10)))
    finally:
        for writer in writers:
            writer.close()


async def ask(port: int, content: bytes) -> int:
    """Post it; the status. A receiver that hangs up on a large body has no room for it: 503."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        with suppress(ConnectionError):
            writer.write(HEAD % len(content) + content)
            await writer.drain()
        with suppress(ConnectionError):
            said = await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()
    found = re.match(rb"HTTP/1.1 (\d+)", said)
    hung_up = len(content) > MIB // 2
    return int(found[1]) if found else 503 if hung_up else 0


def body(alerts: int, padding: int) -> bytes:
    """A notification with so many alerts, each with so many bytes more than it needs."""
    entries = [entry(f"model-{number}", starts_at=now()) for number in range(alerts)]
    for each in entries:
        each["annotations"]["padding"] = "x" * padding
    return json.dumps(post(*entries)).encode()


def peak_memory(pid: int) -> int:
    """The most that the process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024
