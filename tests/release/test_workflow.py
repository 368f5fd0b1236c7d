"""The workflow publishes what `make release` made, and makes nothing of it a second time."""

import re

import yaml

from tests.processes import ROOT

JOBS = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())["jobs"]


def steps(job):
    """All that a job runs."""
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def test_one_job_makes_the_files():
    """With a target and options of the Makefile; the others take them from it."""
    assert re.search(r"make release VERSION=\S+ KEY=\S+ ARGS=--no-image", steps("package"))
    assert "write" not in JOBS["package"]["permissions"].values()
    for job in ("chart", "release"):
        assert "package" in JOBS[job]["needs"]
        assert not re.search(r"helm4 package|hatchling", steps(job))


def test_the_notes_are_those_of_the_release():
    """Not a sentence that says where they are."""
    assert "--notes-file dist/NOTES.md" in steps("release")
