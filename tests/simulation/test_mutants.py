"""The checker is worth something: known bugs, put back on purpose, are caught."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.running import examine
from tests.simulation.violations import UNFORESEEN

ENOUGH = 100
"""A bug that was put back must be caught by one of so many seeds, from `Mutant.first` on."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
@pytest.mark.timeout(900)
def test_a_bug_that_is_put_back_is_caught(stores, mutant):
    """The checker would see it: within 100 seeds a promise is broken."""
    for seed in range(mutant.first, mutant.first + ENOUGH):
        with pytest.MonkeyPatch.context() as patch:
            _, outcome = examine(mutant.plan(seed), stores, mutant.make(patch))
        broken = {one.promise for one in outcome.violations} - {UNFORESEEN}
        if broken:
            break

    assert broken, f"{mutant.name} lived through {ENOUGH} seeds"
