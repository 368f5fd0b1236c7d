"""Receivers that start fast, for there are many deaths."""

import pytest

from tests.warm import Warm


@pytest.fixture(scope="session")
def warm():
    with Warm() as parent:
        yield parent
