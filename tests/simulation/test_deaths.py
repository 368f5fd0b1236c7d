"""A death at every single step of a history: no promise is broken."""

from itertools import count

import pytest

from tests.simulation.plans import MINUTE, calm
from tests.simulation.running import examine
from tests.simulation.story import tell


@pytest.mark.timeout(900)
@pytest.mark.parametrize("trouble", [0.0, 1.0])
def test_a_death_at_any_single_step_breaks_no_promise(stores, trouble):
    """It dies at its Nth step, for every N, with a target that works and with one that fails."""
    for step in count(1):
        plan = calm(3, target_trouble=trouble, crash_at=step, downtime=MINUTE)
        lived, outcome = examine(plan, stores)

        assert not outcome.violations, "\n".join(tell(lived, outcome.violations))
        if outcome.counts["down"] == 0:  # it was over before that step
            break
    assert step > 40
