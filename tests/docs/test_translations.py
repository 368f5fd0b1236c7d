"""The Korean pages keep step with the English ones: headings, anchors, code, what is not run."""

import re

import pytest

from tests.command_blocks import NOT_RUN
from tests.processes import ROOT

PAIRS = [
    (ROOT / "README.md", ROOT / "README.ko.md"),
    (ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial.ko.md"),
]
BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
KOREAN = re.compile("[가-힣]")

pairs = pytest.mark.parametrize(("english", "korean"), PAIRS, ids=lambda page: page.name)


def prose(page):
    return BLOCK.sub("", page.read_text())


def anchor(heading):
    """What GitHub makes of an English heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pairs
def test_the_same_code_in_the_same_order(english, korean):
    """What is pasted is never another: commands, configurations and what they show."""
    assert BLOCK.findall(korean.read_text()) == BLOCK.findall(english.read_text())


@pairs
def test_the_same_headings_under_the_same_anchors(english, korean):
    """As many, as deep, in Korean; a link to an English heading leads to the Korean one too."""
    there = HEADING.findall(prose(english))
    here = HEADING.findall(prose(korean))
    ids = re.findall(r'^<a id="(.+)"></a>\n\n#', prose(korean), re.MULTILINE)

    assert [level for level, _ in here] == [level for level, _ in there]
    assert ids == [anchor(text) for level, text in there if level != "#"]
    assert [text for _, text in here[1:] if not KOREAN.search(text)] == []


@pairs
def test_the_same_reasons_links_and_rows(english, korean):
    """What is not run says why in the same words, and nothing that is linked is lost."""
    marks = [NOT_RUN.findall(line) for line in english.read_text().splitlines()]
    kept = [NOT_RUN.findall(line) for line in korean.read_text().splitlines()]

    assert [*filter(None, kept)] == [*filter(None, marks)]
    assert links(korean) == links(english)
    assert len(rows(korean)) == len(rows(english))
    assert [line for line in rows(korean)[2:] if not KOREAN.search(line)] == []


def links(page):
    """Where it leads; a page and its translation are one."""
    found = re.findall(r"\]\(([^)]+)\)", prose(page))
    return {link.replace(".ko.md", ".md") for link in found}


def rows(page):
    return [line for line in prose(page).splitlines() if line.startswith("|")]
