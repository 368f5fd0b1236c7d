"""A model server: predicts on a live stream, and exports how good it is.

    python -m receiver.demo.model_server --workdir DIR --listen 127.0.0.1:9000 42 43

`GET /metrics` is for Prometheus; `POST /drift?user_id=42` changes the live data of that model.
A new `served/USER_ID.json` is picked up within a tick.
"""

import argparse
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)

from receiver.demo.artefact import ServedModel
from receiver.demo.evaluation import Quality, RecentScores
from receiver.demo.live import TARGET, LiveStream, Observation, Recent, read_table

TICK = 0.2
PER_TICK = 10
WINDOW = 200
"""At 50 predictions a second the metrics look back over four seconds, and so do the recent rows:
by the time an alert has fired, all that a new model trains on is of the new kind."""


class Metrics:
    """What the server exports."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.mae = Gauge(
            "model_mae_score",
            "Mean absolute error over the live window, in standard deviations of the target.",
            ["user_id"],
            registry=self.registry,
        )
        self.r2 = Gauge(
            "model_r2_score", "R² over the live window.", ["user_id"], registry=self.registry
        )
        self.predictions = Counter(
            "model_prediction_total",
            "Predictions on the live stream.",
            ["user_id", "status"],
            registry=self.registry,
        )


class Serving:
    """One served model and its live stream."""

    def __init__(
        self, user_id: str, workdir: Path, table: list[Observation], metrics: Metrics
    ) -> None:
        self.stream = LiveStream(table, seed=user_id)
        self._artefact = workdir / "served" / f"{user_id}.json"
        self._seen: tuple[int, int] | None = None
        self._model: ServedModel | None = None
        self._window = RecentScores(WINDOW)
        self._recent = Recent(workdir / "recent" / f"{user_id}.csv", WINDOW)
        self._mae = metrics.mae.labels(user_id)
        self._r2 = metrics.r2.labels(user_id)
        self._success = metrics.predictions.labels(user_id, "success")
        self._error = metrics.predictions.labels(user_id, "error")
        self._export()

    def tick(self) -> None:
        """Predict on the next observations; tell how good it went."""
        self._pick_up()
        for _ in range(PER_TICK):
            observed = self.stream.next()
            self._recent.add(observed)
            if self._model is None:
                self._error.inc()
                continue
            self._window.add(observed[TARGET], self._model.predict(observed))
            self._success.inc()
        self._recent.save()
        self._export()

    def _pick_up(self) -> None:
        """Load the artefact if it was replaced."""
        try:
            stat = self._artefact.stat()
            replaced = (stat.st_ino, stat.st_mtime_ns)
            if replaced != self._seen:
                self._model = ServedModel.load(self._artefact)
                self._seen = replaced
        except FileNotFoundError:
            self._model = None

    def quality(self) -> Quality:
        """How good the model is on the live window."""
        return Quality(self._window.mae(), self._window.r2())

    def _export(self) -> None:
        quality = self.quality()
        self._mae.set(quality.mae)
        self._r2.set(quality.r2)


class ModelServer(ThreadingHTTPServer):
    """The HTTP side. Its models are ticked by `tick_forever` or, in tests, by hand."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], workdir: Path, user_ids: list[str]) -> None:
        super().__init__(address, Requests)
        self.metrics = Metrics()
        table = read_table(workdir / "live.csv")
        self.models = {
            user_id: Serving(user_id, workdir, table, self.metrics) for user_id in user_ids
        }

    def tick_forever(self, ended: threading.Event) -> None:
        """Predict at a steady pace."""
        while not ended.wait(TICK):
            for model in self.models.values():
                model.tick()


class Requests(BaseHTTPRequestHandler):
    """`GET /metrics` and `POST /drift`."""

    server: ModelServer

    def do_GET(self) -> None:
        """Export the metrics."""
        if urlsplit(self.path).path != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"ask /metrics\n")
            return
        exported = generate_latest(self.server.metrics.registry)
        self._answer(HTTPStatus.OK, exported, CONTENT_TYPE_LATEST)

    def do_POST(self) -> None:
        """Let the live data of one model drift."""
        url = urlsplit(self.path)
        user_id = parse_qs(url.query).get("user_id", [""])[0]
        if url.path != "/drift" or user_id not in self.server.models:
            self._answer(HTTPStatus.NOT_FOUND, b"post to /drift?user_id=MODEL\n")
            return
        self.server.models[user_id].stream.has_drifted = True
        self._answer(HTTPStatus.OK, b"the live data drifts from now on\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Stay silent: a scrape each second is no news."""

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("user_ids", nargs="+")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")

    server = ModelServer((host, int(port)), arguments.workdir, arguments.user_ids)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.tick_forever(threading.Event())


if __name__ == "__main__":
    main()
