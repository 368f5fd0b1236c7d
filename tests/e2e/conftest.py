"""Receivers that start fast, for tests that need one each."""

import pytest

from tests.commands import run_here
from tests.warm import Warm


@pytest.fixture(scope="session")
def warm():
    with Warm() as parent:
        yield parent


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run a command here, as the installed one runs it."""
    return run_here(monkeypatch, capsys)
