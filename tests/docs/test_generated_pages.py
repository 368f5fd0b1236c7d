"""The pages that are made from the code are what the code makes."""

import importlib.util

import pytest

from tests.processes import ROOT


@pytest.mark.parametrize("name", ["commands", "http_api"])
def test_a_page_is_made_from_the_code(name):
    """If not: `make docs-pages`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    assert script.page() == script.PAGE.read_text()
