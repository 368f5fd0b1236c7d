import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from receiver.demo.captured import TEMPLATE, Fired, fingerprint, notification

CAPTURES = Path(__file__).parents[1] / "payloads"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAE = Fired("HighModelMAE", 0.6200000000000001, NOON)
R2 = Fired("LowModelR2", 0.61, NOON + timedelta(seconds=1))


def test_the_captured_notification_is_a_capture():
    """The stand-in began as what a real Alertmanager sent."""
    capture = CAPTURES / "07_group_by_user_id_two_alertnames.json"

    assert json.loads(capture.read_text()) == TEMPLATE


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("0*[!s].json")), ids=lambda p: p.stem)
def test_fingerprints_are_alertmanagers(capture):
    """The hash of the labels is the one that Alertmanager computes."""
    alerts = json.loads(capture.read_text()).get("alerts", [])

    assert [fingerprint(a["labels"]) for a in alerts] == [a["fingerprint"] for a in alerts]


def test_a_firing_notification_has_the_shape_of_a_capture():
    """Model, numbers and times are the demo's; every field is Alertmanager's."""
    told = json.loads(notification("42", [MAE, R2]))

    assert list(told) == list(TEMPLATE)
    assert [list(alert) for alert in told["alerts"]] == [list(a) for a in TEMPLATE["alerts"]]
    assert [alert["labels"]["user_id"] for alert in told["alerts"]] == ["42", "42"]
    assert [alert["annotations"]["value"] for alert in told["alerts"]] == [
        "0.6200000000000001",
        "0.61",
    ]
    assert told["alerts"][0]["startsAt"] == "2026-11-22T12:00:00Z"
    assert told["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert "43" not in json.dumps({**told, "alerts": [a["labels"] for a in told["alerts"]]})


def test_a_resolved_notification_ends_the_same_alerts():
    """Firing and resolved belong together by fingerprint and start."""
    firing = json.loads(notification("42", [MAE]))
    resolved = json.loads(notification("42", [MAE], ends_at=NOON + timedelta(minutes=1)))

    assert resolved["status"] == resolved["alerts"][0]["status"] == "resolved"
    assert resolved["alerts"][0]["endsAt"] == "2026-11-22T12:01:00Z"
    for field in ("fingerprint", "startsAt", "labels"):
        assert resolved["alerts"][0][field] == firing["alerts"][0][field]
