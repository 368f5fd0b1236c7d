"""Alertmanager's webhook: JSON of version 4 -> Notification."""

from receiver.alertmanager.notification import MAX_ALERTS, parse_notification, raw_alert

__all__ = ["MAX_ALERTS", "parse_notification", "raw_alert"]
