"""Receivers that start fast, for tests that need one each."""

import pytest

from tests.warm import Warm


@pytest.fixture(scope="session")
def warm():
    with Warm() as parent:
        yield parent
