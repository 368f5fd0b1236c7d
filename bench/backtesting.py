"""Speed of a backtest: 90 days of 200 models, asked of a Prometheus every 15 seconds.

A process beside it answers as Prometheus does, from firing intervals, so that what is measured is
ours: asking, reading and replaying. `python -m bench.backtesting [--days 90] [--models 200]`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from rich.console import Console

from bench.servers import free_port

BEGINS = datetime(2026, 8, 1, tzinfo=UTC)
HOUR = 3600.0

CONFIG = Path(__file__).parent.parent / "examples" / "backtest" / "receiver.yaml"


def firings(models: int, days: int) -> dict[str, list[tuple[float, float]]]:
    """What fires when, in seconds after the beginning: a sixth of the time, 20 hours at once."""
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(models):
        chance = Random(f"speed/{number}")  # noqa: S311  the same each time
        own, at = [], chance.expovariate(1 / 100) * HOUR
        while at < days * 24 * HOUR:
            length = chance.expovariate(1 / 20) * HOUR
            own.append((at, at + length))
            at += length + chance.expovariate(1 / 100) * HOUR
        found[f"m{number}"] = own
    return found


def matrix(
    found: dict[str, list[tuple[float, float]]], query: str, start: float, end: float
) -> bytes:
    """An answer of `/api/v1/query_range` with a step of 15 seconds."""
    begins = BEGINS.timestamp()
    result = []
    for model, own in found.items():
        values: list[list[object]] = []
        for began, ended in own:
            first, last = max(begins + began, start), min(begins + ended, end)
            if first > last:
                continue
            value = "1" if query.startswith("ALERTS{") else f"{begins + began:.0f}"
            at = start + -(-(first - start) // 15) * 15
            values += [[moment, value] for moment in range(int(at), int(last) + 1, 15)]
        if values:
            labels = {"alertname": "HighModelMAE", "user_id": model}
            result.append({"metric": labels, "values": values})
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


def answer(port: int, models: int, days: int) -> None:
    """Answer like Prometheus until killed."""
    found = firings(models, days)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            body = matrix(found, query["query"], float(query["start"]), float(query["end"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def used_by(pid: int) -> float:
    """MiB of a process and its children, pages that they share counted once."""
    pids = [pid]
    for one in pids:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                pids += map(int, task.read_text().split())
    kib = 0
    for one in pids:
        with suppress(OSError):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            kib += next(int(line.split()[1]) for line in text.splitlines() if "Pss:" in line)
    return kib / 1024


def measure(models: int, days: int, extra: list[str]) -> None:
    """Run the command once, and print what it took."""
    port = free_port()
    size = ["--models", str(models), "--days", str(days)]
    server = subprocess.Popen(  # noqa: S603  ourselves
        [sys.executable, "-m", "bench.backtesting", "--serve", str(port), *size]
    )
    until = BEGINS + timedelta(days=days)
    command = [
        *[sys.executable, "-m", "receiver", "backtest", "--config", str(CONFIG)],
        *["--prometheus", f"http://127.0.0.1:{port}", "--step", "15s", "-o", "json"],
        *["--since", BEGINS.isoformat(), "--until", until.isoformat(), *extra],
    ]
    try:
        time.sleep(3)  # noqa: TID251  a measure, no test: until the server listens
        began = time.perf_counter()
        with TemporaryDirectory() as folder, (Path(folder) / "out").open("w+") as out:
            asking = subprocess.Popen(command, stdout=out)  # noqa: S603  ourselves
            most = 0.0
            while asking.poll() is None:
                most = max(most, used_by(asking.pid))
                time.sleep(0.25)  # noqa: TID251  a sample of memory four times a second
            took = time.perf_counter() - began
            used = resource.getrusage(resource.RUSAGE_CHILDREN)  # the server is not waited for yet
            out.seek(0)
            told = json.load(out)
    finally:
        server.kill()
        server.wait()
    say = Console(highlight=False).print
    say(f"{days} days, {models} models, {told['spells']} spells: {took:.0f} s")
    say(f"{used.ru_utime + used.ru_stime:.0f} s of processor time, of all its processes")
    say(f"{told['results'][0]['draws']} draws, {most:.0f} MiB at most in all its processes")


def main() -> None:
    """Measure, or answer."""
    options = argparse.ArgumentParser(prog="python -m bench.backtesting")
    options.add_argument("--models", type=int, default=200)
    options.add_argument("--days", type=int, default=90)
    options.add_argument("--serve", type=int)
    known, extra = options.parse_known_args()
    if known.serve is not None:
        answer(known.serve, known.models, known.days)
    else:
        measure(known.models, known.days, extra)


if __name__ == "__main__":
    main()
