"""Every check has a page, whose bad file is found and whose good one is not."""

from pathlib import Path

import pytest

from receiver.lint.findings import CheckId
from receiver.lint.pages import Page, pages, whole_text
from tests.lint.worlds import WORLD, linted, told

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "lint.md"


def test_every_check_has_a_page():
    """A finding that can't be looked up is half a finding."""
    assert set(pages()) == set(CheckId)


def test_the_documentation_has_every_page():
    """`--explain` and docs/lint.md say the same: `python scripts/lint_page.py`."""
    assert DOCUMENTATION.read_text().endswith(whole_text())


def test_what_is_right_is_left_alone(tmp_path):
    """The world in which the examples are tried has nothing wrong."""
    assert told(linted(tmp_path, {})) == []


@pytest.mark.parametrize("page", pages().values(), ids=list(pages()))
def test_a_bad_example_is_found(page: Page, tmp_path):
    """Each page's bad files have what it is about."""
    files = {each.file: each.text for each in page.examples if not each.good}
    assert files.keys() <= {*WORLD, "prometheus.yml", "retrain-model.yaml", "pipeline.yaml"}

    found = linted(tmp_path, files)

    assert page.check in [each.check for each in found]


@pytest.mark.parametrize("page", pages().values(), ids=list(pages()))
def test_a_good_example_is_not_found(page: Page, tmp_path):
    """Each page's good files, in place of the bad ones, have it no more."""
    bad = {each.file: each.text for each in page.examples if not each.good}
    good = {each.file: each.text for each in page.examples if each.good}
    assert good

    found = linted(tmp_path, {**bad, **good})

    assert page.check not in [each.check for each in found]
    assert CheckId.UNREADABLE not in [each.check for each in found]
