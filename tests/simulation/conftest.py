"""One database in memory, of each engine, for all histories."""

import pytest
import structlog

from tests.postgres import serving
from tests.simulation.running import silence_the_log
from tests.simulation.stores import PostgresStores, SqliteStores


@pytest.fixture(scope="session")
def stores():
    stores = SqliteStores()
    yield stores
    stores.close()


@pytest.fixture(scope="session")
def postgres_stores():
    with serving() as server, server.database() as name:
        stores = PostgresStores(server, name)
        yield stores
        stores.close()


@pytest.fixture(autouse=True)
def silence():
    usual = structlog.get_config()
    silence_the_log()
    yield
    structlog.configure(**usual)
