"""One database in memory for all histories."""

import pytest
import structlog

from tests.simulation.running import silence_the_log
from tests.simulation.stores import SqliteStores


@pytest.fixture(scope="session")
def stores():
    stores = SqliteStores()
    yield stores
    stores.close()


@pytest.fixture(autouse=True)
def silence():
    silence_the_log()
    yield
    structlog.reset_defaults()
