"""A hundred clients ask for everything that is stored and take nothing: the memory meanwhile."""

from collections.abc import Iterator

from tests.faults.laboratory import Lab
from tests.faults.readers import CLIENTS, measure
from tests.faults.storms import MIB, MOST_MEMORY


def lines() -> Iterator[tuple[str, str, str, bool]]:
    """The peak of the resident memory."""
    with Lab() as lab:
        peak, told = measure(lab, rounds=1)
    yield (
        f"memory, {CLIENTS} clients that take nothing of what they ask ({told[200]} answered)",
        f"{peak // MIB} MiB",
        f"≤ {MOST_MEMORY // MIB} MiB",
        peak <= MOST_MEMORY,
    )
