"""From a notification's answer to the beginning of the POST at an idle target."""

import json
import statistics
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

from bench.load import notification
from bench.servers import receiver

DISPATCHES = 200


class Target(BaseHTTPRequestHandler):
    """A GitHub that notes when each POST begins, and never finishes a run."""

    began: dict[str, float] = {}  # noqa: RUF012  one target per process
    arrived = threading.Event()

    def do_POST(self) -> None:
        """Accept a dispatch."""
        moment = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.began[body["inputs"]["user_id"]] = moment
        self._answer({"workflow_run_id": 1, "run_url": "http://x/1", "html_url": "http://x/1"})
        self.arrived.set()

    def do_GET(self) -> None:
        """Show the run as queued."""
        run = {"id": 1, "status": "queued", "conclusion": None, "html_url": "http://x/1"}
        self._answer({**run, "display_title": "retrain", "name": "retrain"})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def lines(folder: Path) -> Iterator[tuple[str, str, str, bool]]:
    """One model after the other, so that the target is idle each time."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Target) as target:
        threading.Thread(target=target.serve_forever, daemon=True).start()
        github = f"http://127.0.0.1:{target.server_address[1]}"
        with receiver(folder / "dispatching", mode="auto", github=github) as server:
            waits = [wait(server.url, number) for number in range(DISPATCHES)]
        target.shutdown()
    waits = sorted(waits[10:])
    p50, p99 = statistics.median(waits), waits[int(len(waits) * 0.99)]
    yield ("accepted → POST begins, p50", f"{p50:.0f} ms", "≤ 50 ms", p50 <= 50)  # noqa: PLR2004
    yield ("accepted → POST begins, p99", f"{p99:.0f} ms", "≤ 250 ms", p99 <= 250)  # noqa: PLR2004


def wait(url: str, number: int) -> float:
    """Milliseconds from the answer to the beginning of the POST at the target."""
    Target.arrived.clear()
    body = json.dumps(notification(range(number, number + 1))).encode()
    urlopen(Request(f"{url}/webhook", body)).close()  # noqa: S310  loopback
    accepted = time.perf_counter()
    if not Target.arrived.wait(60):
        raise RuntimeError("the target was never asked")
    return max((Target.began[f"u{number}"] - accepted) * 1000, 0.0)
