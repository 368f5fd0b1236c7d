"""What is told of a release: its changelog's section, and the faults it was put through."""

import pytest

from release import Refused, notes
from tests.processes import ROOT
from tests.reporting import commit, write_report

CHANGELOG = """\
# Changelog

## Unreleased

## 1.2.3 - 2027-01-31

### Added

- A thing.

## 1.2.2 - 2027-01-30

- An older thing.
"""


def test_the_section_is_the_versions_own():
    """Neither heading nor older ones."""
    assert notes.section(CHANGELOG, "1.2.3") == "### Added\n\n- A thing."


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        (CHANGELOG.replace("1.2.3 -", "1.2.4 -"), 'must be "## 1.2.3 - YYYY-MM-DD"'),
        (CHANGELOG.replace(" - 2027-01-31", ""), "make release-prepare VERSION=1.2.3"),
        (CHANGELOG.replace("Unreleased\n", "Unreleased\n\n- A late thing.\n"), "move them into"),
        (CHANGELOG.replace("### Added\n\n- A thing.\n", ""), "says nothing under 1.2.3"),
        ("# Changelog\n", 'begins with ""'),
    ],
)
def test_a_changelog_that_does_not_tell_of_it_is_refused(changelog, said):
    """Another version, no date, lines that came later, nothing at all."""
    with pytest.raises(Refused, match=said):
        notes.section(changelog, "1.2.3")


def test_between_releases_a_dry_run_takes_unreleased_lines():
    """CI makes one on every commit, and each adds such a line."""
    late = CHANGELOG.replace("Unreleased\n", "Unreleased\n\n- A late thing.\n")

    assert notes.section(late, "1.2.3", going_on=True) == "### Added\n\n- A thing."


def test_what_is_unreleased_gets_the_heading():
    """Later changes go above it."""
    before = CHANGELOG.replace("## 1.2.3 - 2027-01-31\n\n", "")

    assert notes.with_heading(before, "1.2.3", "2027-01-31") == CHANGELOG


def test_the_fault_report_has_the_last_known_figures_and_how_to_see_them_again():
    """A row of each fault, as docs/guarantees.md tells it."""
    guarantees = (ROOT / notes.GUARANTEES).read_text()
    told = notes.fault_report(guarantees, "1.2.3", "abc", [])

    assert "No report was handed in" in told
    assert "make simulate SEED=17" in told
    for fault in ("kills-sqlite", "power-loss", "readers"):
        assert f"\n| `{fault}` |" in told
    with pytest.raises(Refused, match="no table of faults"):
        notes.fault_report("# Guarantees\n", "1.2.3", "abc", [])


def test_a_report_of_its_own_runs_is_quoted(tmp_path):
    """With the commit and the seeds that it is of."""
    write_report(tmp_path / "report", ["make simulate, seeds 0 to 4999", "5000 histories, fine"])
    told = notes.fault_report(
        "| `--only` |\n| `a` |", "1", "abc", [(tmp_path / "report").read_text()]
    )

    assert f"at commit {commit()}\nmake simulate, seeds 0 to 4999\n5000 histories, fine" in told
    assert "No report was handed in" not in told


@pytest.mark.parametrize(
    "line", ["kills-sqlite G1 500 kills FAILED", "1 of 2 histories broke a promise"]
)
def test_a_broken_promise_is_not_released(line):
    """Whoever hands in such a report hears it."""
    with pytest.raises(Refused, match="a promise was broken"):
        notes.fault_report("| `--only` |\n| `a` |", "1", "abc", [f"at commit abc\n{line}\n"])
