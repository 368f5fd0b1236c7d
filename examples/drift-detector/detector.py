"""Compares what is asked now with what a model was trained on, and exports how far it has drifted.

    python detector.py --workdir DIR --listen 127.0.0.1:9103

It needs evidently (an environment of its own: `requirements.txt`) and reads the serving log. It
needs no truth: a drift is seen before anybody knows that the predictions were wrong.

The reference is the first 1000 requests after a model was deployed; a new model gets a new one.
"""

import argparse
import sys
import threading
from collections import deque
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.metrics import ValueDrift
from prometheus_client import CollectorRegistry, Gauge, start_http_server

sys.path.insert(0, str(Path(__file__).parents[1] / "model-server"))

from request_log import Follower

FEATURES = ("income", "rooms", "age", "distance", "crime")
ENOUGH = 1000
"""Rows of the reference, and of what is compared with it: at 0.2 chance gives no false alarm."""

METHOD = "wasserstein"
"""Evidently divides it by the reference's standard deviation: 0.2 is a fifth of one."""


class Metrics:
    """What is exported."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.score = Gauge(
            "model_data_drift_score",
            "Wasserstein distance from the reference, in its standard deviations.",
            ["user_id", "column"],
            registry=self.registry,
        )


class Watched:
    """The live data of one model."""

    def __init__(self, workdir: Path, user_id: str) -> None:
        self._log = Follower(workdir / "logs", user_id)
        self._model = workdir / "models" / user_id / "model.joblib"
        self._seen: tuple[int, int] | None = None
        self._reference: list[list[float]] = []
        self._current: deque[list[float]] = deque(maxlen=ENOUGH)

    def drift(self) -> dict[str, float]:
        """How far each feature has drifted; empty while too little is known."""
        self._start_anew_with_a_new_model()
        for entry in self._log.news():
            if entry.get("status") == "ok":
                self._take(entry["instances"])
        if len(self._current) < ENOUGH:
            return {}
        return scores(self._reference, list(self._current))

    def _take(self, rows: list[list[float]]) -> None:
        missing = ENOUGH - len(self._reference)
        self._reference += rows[:missing]
        self._current.extend(rows[missing:] if missing > 0 else rows)

    def _start_anew_with_a_new_model(self) -> None:
        stat = self._model.stat()
        replaced = (stat.st_ino, stat.st_mtime_ns)
        if self._seen not in {None, replaced}:
            self._reference = []
            self._current.clear()
        self._seen = replaced


def scores(reference: list[list[float]], current: list[list[float]]) -> dict[str, float]:
    """What evidently says of each column."""
    before, now = (pd.DataFrame(rows, columns=list(FEATURES)) for rows in (reference, current))
    report = Report([ValueDrift(column=name, method=METHOD) for name in FEATURES])
    told = report.run(now, before).dict()["metrics"]
    return {name: float(each["value"]) for name, each in zip(FEATURES, told, strict=True)}


def main() -> None:
    """Compare until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:9103", metavar="HOST:PORT")
    parser.add_argument("--every", type=float, default=30, metavar="SECONDS")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    metrics, watched = Metrics(), {}
    start_http_server(int(port), host, metrics.registry)
    forever = threading.Event()
    while True:
        for model in (arguments.workdir / "models").glob("*/model.joblib"):
            name = model.parent.name
            watched.setdefault(name, Watched(arguments.workdir, name))
        for name, each in watched.items():
            for column, score in each.drift().items():
                metrics.score.labels(name, column).set(score)
        if forever.wait(arguments.every):
            return


if __name__ == "__main__":
    main()
