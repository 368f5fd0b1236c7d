"""The short form of every fault. `make faults` makes the long one.

`FAULT_SEED` sets the first seed; it is printed, so that a failure can be made again.
"""

import os
from random import SystemRandom

import pytest

from tests.faults.__main__ import command
from tests.faults.power import losses, record
from tests.faults.scenarios import SCENARIOS

SHORT = [scenario for scenario in SCENARIOS if scenario.short]


@pytest.fixture(scope="module")
def first():
    return int(os.environ.get("FAULT_SEED") or SystemRandom().randrange(10**6))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: scenario.name)
def test_every_promise_is_kept(lab, scenario, first):
    """Nothing acknowledged is lost, no run is doubled; what the fault's own file says, holds."""
    for seeds in scenario.episodes(range(first, first + scenario.short)):
        print(command(scenario, seeds))  # noqa: T201  needed to make a failure again
        scenario.run(lab, seeds)


def test_power_loss_catches_who_acknowledges_too_early(lab, first):
    """With commits that are not durable at once, acknowledged decisions are lost."""
    recording = record(lab.folder(), first, {"dies": 20}, "tests.faults.hasty")
    broken = [loss for loss in losses(recording, range(first, first + 40)) if loss]

    assert any("acknowledged and lost" in loss for loss in broken)
