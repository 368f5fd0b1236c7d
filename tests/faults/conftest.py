"""One laboratory for all faults of a run."""

import pytest

from tests.faults.laboratory import Lab


@pytest.fixture(scope="session")
def lab():
    with Lab() as lab:
        yield lab
