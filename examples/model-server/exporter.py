"""Exports how good each model is, from the serving log. Needs prometheus-client and nothing else.

    python exporter.py --workdir DIR --listen 127.0.0.1:9102

scikit-learn and pandas would take 150 MB for what is two sums over a window.
"""

import argparse
import math
import threading
from collections import OrderedDict, deque
from pathlib import Path
from statistics import fmean
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from request_log import Follower

WINDOW = 1000
"""Predictions whose truth is known; the metrics look back over so many."""

ENOUGH = 30
"""Below it R² jumps about: a window that has just begun says nothing yet."""

MOST_WAITING = 500
"""Requests whose truth may still come; the oldest are given up."""

LOOK_EVERY = 0.5


class Metrics:
    """What is exported, by `user_id`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        label = ["user_id"]
        self.mae = Gauge(
            "model_mae_score",
            "Mean absolute error over the last predictions whose truth is known.",
            label,
            registry=self.registry,
        )
        self.r2 = Gauge(
            "model_r2_score", "R² over the same predictions.", label, registry=self.registry
        )
        self.predictions = Counter(
            "model_prediction",
            "Predictions, and requests that could not be answered.",
            [*label, "status"],
            registry=self.registry,
        )
        self.evaluated = Gauge(
            "model_last_eval_timestamp_seconds",
            "When something about the model came true last.",
            label,
            registry=self.registry,
        )


class Evaluation:
    """Follows the log of one model."""

    def __init__(self, logs: Path, user_id: str, metrics: Metrics, window: int = WINDOW) -> None:
        self._log = Follower(logs, user_id)
        self._pairs: deque[tuple[float, float]] = deque(maxlen=window)
        self._waiting: OrderedDict[str, list[float]] = OrderedDict()
        self._mae = metrics.mae.labels(user_id)
        self._r2 = metrics.r2.labels(user_id)
        self._evaluated = metrics.evaluated.labels(user_id)
        self._count = {
            status: metrics.predictions.labels(user_id, status) for status in ("success", "error")
        }

    def look(self) -> None:
        """Take in what is new in the log."""
        for entry in self._log.news():
            self._take(entry)
        self._mae.set(mean_absolute_error(self._pairs))
        self._r2.set(r2_score(self._pairs))

    def _take(self, entry: dict[str, Any]) -> None:
        if entry.get("status") == "error":
            self._count["error"].inc()
        elif "predictions" in entry:
            self._count["success"].inc(len(entry["predictions"]))
            self._waiting[entry["id"]] = entry["predictions"]
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        elif "actual" in entry and entry["id"] in self._waiting:
            self._pairs.extend(zip(entry["actual"], self._waiting.pop(entry["id"]), strict=False))
            self._evaluated.set(entry["at"])


def mean_absolute_error(pairs: deque[tuple[float, float]]) -> float:
    """How far off the predictions are on average. NaN for too few."""
    if len(pairs) < ENOUGH:
        return math.nan
    return fmean(abs(actual - predicted) for actual, predicted in pairs)


def r2_score(pairs: deque[tuple[float, float]]) -> float:
    """The share of the variance that is explained. NaN for too few, and without variance."""
    if len(pairs) < ENOUGH:
        return math.nan
    mean = fmean(actual for actual, _ in pairs)
    total = sum((actual - mean) ** 2 for actual, _ in pairs)
    missed = sum((actual - predicted) ** 2 for actual, predicted in pairs)
    return 1 - missed / total if total else math.nan


class Exporter:
    """Follows the logs of all models, also of those that come later."""

    def __init__(self, workdir: Path, window: int = WINDOW) -> None:
        self.metrics = Metrics()
        self._logs = workdir / "logs"
        self._window = window
        self._models: dict[str, Evaluation] = {}

    def look(self) -> None:
        """Take in what is new."""
        for log in self._logs.glob("*.jsonl"):
            if log.stem not in self._models:
                self._models[log.stem] = Evaluation(
                    self._logs, log.stem, self.metrics, self._window
                )
        for model in self._models.values():
            model.look()


def main() -> None:
    """Export until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:9102", metavar="HOST:PORT")
    parser.add_argument("--window", type=int, default=WINDOW, metavar="PREDICTIONS")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")

    exporter = Exporter(arguments.workdir, arguments.window)
    start_http_server(int(port), host, exporter.metrics.registry)
    forever = threading.Event()
    while not forever.wait(LOOK_EVERY):
        exporter.look()


if __name__ == "__main__":
    main()
