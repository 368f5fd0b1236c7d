"""Composes webhook bodies as Alertmanager writes them, for `check-drift` and `send-test`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from receiver.core.fingerprints import fingerprint_of
from receiver.core.times import stamp

NEVER = "0001-01-01T00:00:00Z"
"""How Go writes that an alert has no end yet."""


def composed_alert(
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    starts_at: datetime,
    ends_at: datetime | None = None,
) -> dict[str, Any]:
    """One alert that fires, or that ended at `ends_at`."""
    return {
        "status": "firing" if ends_at is None else "resolved",
        "labels": dict(labels),
        "annotations": dict(annotations),
        "startsAt": stamp(starts_at),
        "endsAt": NEVER if ends_at is None else stamp(ends_at),
        "generatorURL": "",
        "fingerprint": fingerprint_of(labels),
    }


def composed_notification(sender: str, alerts: Sequence[Mapping[str, Any]]) -> bytes:
    """The body of one POST, version 4. `sender` stands where Alertmanager names its receiver."""
    firing = any(alert["status"] == "firing" for alert in alerts)
    told: dict[str, Any] = {
        "receiver": sender,
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
        "version": "4",
        "groupKey": sender,
        "truncatedAlerts": 0,
    }
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"
