"""Checks a history against the promises of docs/guarantees.md; it knows nothing else."""

import traceback

from receiver.store.store import Store
from tests.simulation.doors_check import check_doors
from tests.simulation.endings_check import check_endings
from tests.simulation.history import Lived
from tests.simulation.ladder_check import check_ladder
from tests.simulation.log_check import check_log
from tests.simulation.runs_check import check_runs
from tests.simulation.violations import UNFORESEEN, Violation, Violations


def check(lived: Lived, store: Store) -> list[Violation]:
    """Every promise that the history broke, in the order of time."""
    found = Violations()
    if lived.broken is not None:
        said = "".join(traceback.format_exception(lived.broken)[-3:])
        found.found.append(Violation(UNFORESEEN, lived.ended, said))
    check_log(lived, store, found)
    check_ladder(lived.notes, found, lived.plan)
    check_runs(lived, found)
    check_doors(lived, found)
    if lived.broken is None:
        check_endings(lived, store, found)
    return sorted(found.found, key=lambda one: one.at)
