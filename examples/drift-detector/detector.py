"""Compares what is asked now with what a model was trained on, and exports how far it has drifted.

    python detector.py --workdir DIR --listen 127.0.0.1:9103
    python detector.py --workdir DIR --once --alertmanager http://127.0.0.1:9093

The first stays and exports. The second looks once, for cron, and tells Alertmanager what is over
the limit of `rules.yaml`: `ModelDataDrift`, which ends by itself unless it is told again.

It needs evidently (an environment of its own: `requirements.txt`) and reads the serving log. It
needs no truth: a drift is seen before anybody knows that the predictions were wrong.

The reference is the first 1000 requests after a model was deployed; a new model gets a new one.
"""

import argparse
import json
import sys
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pandas as pd
from evidently import Report
from evidently.metrics import ValueDrift
from prometheus_client import CollectorRegistry, Gauge, start_http_server

sys.path.insert(0, str(Path(__file__).parents[1] / "model-server"))

from request_log import Follower, log_file, older

FEATURES = ("income", "rooms", "age", "distance", "crime")
ENOUGH = 1000
"""Rows of the reference, and of what is compared with it: at 0.2 chance gives no false alarm."""

LIMIT = 0.2
"""As in rules.yaml; a test compares."""

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


def rows_since(workdir: Path, user_id: str, deployed: float) -> list[list[float]]:
    """What the present model was asked, as far as the log goes back."""
    file, rows = log_file(workdir / "logs", user_id), []
    for part in (older(file), file):
        lines = part.read_bytes().splitlines(keepends=True) if part.exists() else []
        for line in lines:
            entry = json.loads(line) if line.endswith(b"\n") else {}
            if entry.get("status") == "ok" and entry["at"] >= deployed:
                rows += entry["instances"]
    return rows


def look_once(workdir: Path, user_id: str) -> dict[str, float]:
    """How far each feature has drifted, for who does not stay; empty while too little is known.

    The log forgets, so the reference is kept in a file, until there is a new model.
    """
    deployed = (workdir / "models" / user_id / "model.joblib").stat().st_mtime
    rows = rows_since(workdir, user_id, deployed)
    kept = workdir / "references" / f"{user_id}.json"
    reference = json.loads(kept.read_text()) if kept.exists() else {}
    if reference.get("deployed") != deployed:
        if len(rows) < ENOUGH:
            return {}
        reference = {"deployed": deployed, "rows": rows[:ENOUGH]}
        kept.parent.mkdir(exist_ok=True)
        scratch = kept.with_suffix(".writing")
        scratch.write_text(json.dumps(reference))
        scratch.replace(kept)
    known = {tuple(row) for row in reference["rows"]}
    current = [row for row in rows if tuple(row) not in known][-ENOUGH:]
    return scores(reference["rows"], current) if len(current) == ENOUGH else {}


def alert(user_id: str, found: dict[str, float], lasts: timedelta) -> dict[str, object]:
    """As rules.yaml would fire it for the worst feature, but that it ends after a while."""
    column, score = max(found.items(), key=lambda each: each[1])
    labels = {"alertname": "ModelDataDrift", "action": "retrain", "severity": "warning"}
    return {
        "labels": {**labels, "user_id": user_id},
        "annotations": {"summary": f"{column} of {user_id} has drifted", "value": repr(score)},
        "endsAt": (datetime.now(UTC) + lasts).isoformat(),
    }


def check(workdir: Path, alertmanager: str | None, lasts: timedelta) -> None:
    """Look at each model once, say what was seen, and tell Alertmanager what is too far."""
    alerts = []
    for model in sorted((workdir / "models").glob("*/model.joblib")):
        user_id = model.parent.name
        found = look_once(workdir, user_id)
        said = " ".join(f"{column}={score:.3f}" for column, score in found.items())
        print(f"{user_id}: {said or 'too few requests yet'}")
        if any(score > LIMIT for score in found.values()):
            alerts.append(alert(user_id, found, lasts))
    print(f"{len(alerts)} over {LIMIT}")
    if alerts and alertmanager:
        body, headers = json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        urlopen(Request(f"{alertmanager}/api/v2/alerts", body, headers), timeout=30).close()


def main() -> None:
    """Compare until killed, or once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:9103", metavar="HOST:PORT")
    parser.add_argument("--every", type=float, default=30, metavar="SECONDS")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--alertmanager", metavar="URL", help="with --once: who is told")
    parser.add_argument(
        "--lasts", type=float, default=2.5, metavar="HOURS", help="more than two of cron's hours"
    )
    arguments = parser.parse_args()
    if arguments.once:
        check(arguments.workdir, arguments.alertmanager, timedelta(hours=arguments.lasts))
        return
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
