"""How long a delivery is remembered."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.deliveries import remembered_until
from tests.examples import DRIFT
from tests.fakes import NOON

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("alert_expiry", "dedup_window", "remembered"),
    [(13 * HOUR, HOUR, 13 * HOUR), (HOUR, HOUR, 2 * HOUR), (2 * HOUR, HOUR, 2 * HOUR)],
)
def test_a_delivery_is_remembered_for_as_long_as_a_copy_may_come(
    alert_expiry, dedup_window, remembered
):
    """As long as its alert may fire, and never shorter than two windows."""
    policy = replace(DRIFT, alert_expiry=alert_expiry, dedup_window=dedup_window)

    assert remembered_until(policy, NOON) == NOON + remembered
