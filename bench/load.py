"""Load: wrk posts notifications of repeated alerts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from receiver.core.fingerprints import fingerprint_of

MODELS = 1000

SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local next = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  next = next %% #bodies + 1
  return wrk.format(nil, "/webhook", nil, bodies[next])
end
"""


def alert(number: int) -> dict[str, object]:
    """One alert, as large as Alertmanager's usually are."""
    labels = {
        "action": "retrain",
        "alertname": "HighModelMAE",
        "cluster": "lab",
        "instance": "127.0.0.1:19100",
        "job": "model-metrics",
        "severity": "warning",
        "user_id": f"u{number}",
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {
            "description": "model_mae_score is 0.6200, threshold 0.45",
            "runbook_url": "https://runbooks.example.com/HighModelMAE",
            "summary": f"MAE of model for user {number} is 0.62",
            "value": "0.62",
        },
        "startsAt": "2026-11-22T04:31:17.1Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=model_mae_score+%3E+0.45",
        "fingerprint": fingerprint_of(labels),
    }


def notification(numbers: range) -> dict[str, object]:
    """A notification of these models' alerts."""
    return {
        "receiver": "retrain",
        "status": "firing",
        "alerts": [alert(number % MODELS) for number in numbers],
        "groupLabels": {"alertname": "HighModelMAE"},
        "commonLabels": {"alertname": "HighModelMAE"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}/{}:{alertname="HighModelMAE"}',
        "truncatedAlerts": 0,
    }


def write_bodies(folder: Path, alerts: int) -> Path:
    """A wrk script whose notifications hold so many alerts each."""
    lines = [
        json.dumps(notification(range(start, start + alerts)))
        for start in range(0, MODELS, alerts)
    ]
    bodies = folder / f"bodies-{alerts}"
    bodies.write_text("\n".join(lines) + "\n")
    script = folder / f"post-{alerts}.lua"
    script.write_text(SCRIPT % bodies)
    return script


def requests_per_second(url: str, script: Path, *, connections: int, seconds: int) -> float:
    """Post for a while. Raises `RuntimeError` if an answer was no 2xx."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is not installed; on Debian: apt-get install wrk")
    said = subprocess.run(  # noqa: S603
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])
