"""Parses Alertmanager's webhook body (JSON, version 4) into a `Notification`."""

from receiver.alertmanager.notification import (
    MAX_ALERTS,
    parse_notification,
    raw_alert,
    raw_alerts,
)

__all__ = ["MAX_ALERTS", "parse_notification", "raw_alert", "raw_alerts"]
