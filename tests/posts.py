"""Webhook bodies that Alertmanager would post."""

from collections.abc import Mapping
from typing import Any

from receiver.core.fingerprints import fingerprint_of


def entry(
    user_id: str = "42",
    *,
    name: str = "HighModelMAE",
    status: str = "firing",
    starts_at: str = "2026-11-22T11:00:00Z",
    ends_at: str = "0001-01-01T00:00:00Z",
    fingerprint: str | None = None,
    value: str = "0.62",
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One alert, with Alertmanager's fingerprint unless another is said."""
    told = {"alertname": name, "user_id": user_id, **(labels or {})}
    return {
        "status": status,
        "labels": told,
        "annotations": {"value": value},
        "startsAt": starts_at,
        "endsAt": ends_at,
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": fingerprint or fingerprint_of(told),
    }


def post(*entries: Mapping[str, Any]) -> dict[str, Any]:
    """A notification of these alerts."""
    return {
        "receiver": "retrain",
        "status": "firing",
        "alerts": list(entries),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    }
