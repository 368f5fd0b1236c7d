"""The notification that stands in for Alertmanager where there is none.

`notification.json` is what Alertmanager 0.25 once sent; here it gets this demo's model, numbers
and times.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

TEMPLATE = json.loads(Path(__file__).with_name("notification.json").read_text(encoding="utf-8"))

FNV_OFFSET, FNV_PRIME = 14695981039346656037, 1099511628211
"""FNV-1a, 64 bits: how Alertmanager makes a fingerprint of an alert's labels."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired: the number that crossed its threshold, and since when."""

    alertname: str
    value: float
    starts_at: datetime


def notification(user_id: str, fired: list[Fired], ends_at: datetime | None = None) -> bytes:
    """The body of one POST: these alerts fire, or ended at `ends_at`."""
    told: dict[str, Any] = copy.deepcopy(TEMPLATE)
    kinds = {alert["labels"]["alertname"]: alert for alert in told["alerts"]}
    status = "firing" if ends_at is None else "resolved"
    told["status"] = status
    told["alerts"] = [
        {
            **kinds[alert.alertname],
            **_alert(kinds[alert.alertname], user_id, alert),
            "status": status,
            "endsAt": "0001-01-01T00:00:00Z" if ends_at is None else _time(ends_at),
        }
        for alert in fired
    ]
    told["groupLabels"] = {"user_id": user_id}
    told["groupKey"] = f'{{}}/{{}}:{{user_id="{user_id}"}}'
    for name in ("labels", "annotations"):
        told[f"common{name.title()}"] = _common([alert[name] for alert in told["alerts"]])
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's hash of an alert's labels."""
    digest = FNV_OFFSET
    for name, value in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            digest = (digest ^ byte) * FNV_PRIME % 2**64
    return f"{digest:016x}"


def _alert(kind: Mapping[str, Any], user_id: str, alert: Fired) -> dict[str, Any]:
    labels = {**kind["labels"], "user_id": user_id}
    return {
        "labels": labels,
        "annotations": {
            **kind["annotations"],
            "summary": f"{alert.alertname}: the model of {user_id} is at {alert.value:.4f}",
            "description": f"The model of {user_id} crossed the threshold of {alert.alertname}.",
            "value": repr(alert.value),
        },
        "startsAt": _time(alert.starts_at),
        "fingerprint": fingerprint(labels),
    }


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    return {k: v for k, v in each[0].items() if all(other.get(k) == v for other in each)}


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
