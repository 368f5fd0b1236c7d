"""Seeded histories on the real flows and the real store: no promise is ever broken."""

import os

import pytest

from receiver.core.dispatches import MOVES, RUN_ENDED, DispatchState, Move, Mover
from tests.simulation.plans import of_moving_targets
from tests.simulation.running import examine, examine_all
from tests.simulation.story import tell

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "200"))
ENOUGH = 200
"""So many histories make every move."""
MOVING = 5
"""So many histories of targets that move make the moves that are rare where all is drawn."""


@pytest.mark.timeout(1800)
def test_no_promise_is_broken(stores):
    """Whatever happens in whatever order, every promise of docs/guarantees.md holds.

    And between them the histories make every move of docs/states.md that no human makes.
    """
    made: set[Move] = set()
    for outcome in examine_all(range(SEEDS), os.cpu_count() or 1):
        if outcome.violations:
            lived, again = examine(outcome.seed, stores)
            pytest.fail("\n".join(tell(lived, again.violations)))
        made |= outcome.moves

    for seed in range(MOVING):
        lived, outcome = examine(of_moving_targets(seed), stores)
        assert not outcome.violations, "\n".join(tell(lived, outcome.violations))
        made |= outcome.moves
    ours = frozenset().union(
        *(moves for mover, moves in MOVES.items() if mover is not Mover.OPERATOR)
    )
    assert made <= ours | MOVES[Mover.OPERATOR]
    if SEEDS >= ENOUGH:
        anew = {(ended, DispatchState.RUNNING) for ended in RUN_ENDED}  # needs a human, too
        assert made >= ours - anew


def test_a_seed_tells_the_same_story_again(stores):
    """A failing seed can be looked at as often as it takes."""
    stories = []
    for _ in range(2):
        lived, outcome = examine(7, stores)
        stories.append(list(tell(lived, outcome.violations)))

    assert stories[0] == stories[1]
