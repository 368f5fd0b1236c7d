"""Deliveries: how long one (fingerprint, startsAt) is remembered."""

from datetime import datetime

from receiver.core.policies import Policy


def remembered_until(policy: Policy, now: datetime) -> datetime:
    """When a delivery is forgotten: no copy of it comes later.

    As long as its alert may be in a firing set, and long enough for both rungs that look at it:
    a repeat is a `duplicate`, and what comes after its resolve is `stale` for a window more.
    """
    return now + max(policy.alert_expiry, 2 * policy.dedup_window)
