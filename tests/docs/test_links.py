"""Every relative link of the pages leads to a file, and to a heading that is there."""

import re
from functools import cache

import pytest

from tests.command_blocks import pages
from tests.processes import ROOT

PAGES = [*pages(), ROOT / "CHANGELOG.md", ROOT / "examples/README.md"]
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")


def prose(page):
    """A page without its blocks of code and code in sentences."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text)


@cache
def anchors(page):
    """What GitHub and the site make of the headings."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """On GitHub; the site's build proves the same of the site."""
    dead = []
    for link in LINK.finditer(prose(page)):
        there = (page.parent / link["path"]).resolve() if link["path"] else page
        anchor = link["anchor"]
        if not there.exists() or (
            anchor and there.suffix == ".md" and anchor not in anchors(there)
        ):
            dead.append(link[0])

    assert dead == []
