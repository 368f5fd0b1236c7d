"""Seeded histories of several replicas on PostgreSQL."""

import os

import pytest

from tests.simulation.plans import draw
from tests.simulation.running import examine
from tests.simulation.story import tell

POSTGRES_SEEDS = int(os.environ.get("SIMULATION_POSTGRES_SEEDS", "10"))


@pytest.mark.timeout(1800)
def test_no_promise_is_broken_on_postgresql(postgres_stores):
    """Several replicas on the engine that they need; a sample, for each transaction costs more."""
    for seed in range(POSTGRES_SEEDS):
        lived, outcome = examine(draw(seed, replicas=3), postgres_stores)

        assert not outcome.violations, "\n".join(tell(lived, outcome.violations))
