"""A release has one version wherever it is named; what differs is told with its cure."""

import re
import shutil

import pytest

from receiver import __version__
from release import Refused, versions
from tests.processes import ROOT

PLACES = [(file, pattern) for file, patterns in versions.PLACES.items() for pattern in patterns]


@pytest.fixture
def tree(tmp_path):
    """The files that name versions, to be changed."""
    for file in {*versions.PLACES, *(each.file for each in versions.named(ROOT))}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    return tmp_path


def test_this_repository_names_one_version():
    """As it stands: forgotten places are found before a tag is made."""
    versions.check(ROOT, __version__)


@pytest.mark.parametrize(("file", "pattern"), PLACES)
def test_a_place_that_was_forgotten_is_refused(tree, file, pattern):
    """With its file and line, what it says, and the command that mends it."""
    path = tree / file
    found = re.search(pattern.replace("{}", versions.VERSION), path.read_text(), re.MULTILINE)
    text = path.read_text()
    path.write_text(f"{text[: found.start('version')]}0.0.9{text[found.end('version') :]}")

    line = text.count("\n", 0, found.start("version")) + 1
    with pytest.raises(Refused, match=rf"{file}:{line} says 0\.0\.9\n") as refused:
        versions.check(tree, __version__)

    assert f"make release-prepare VERSION={__version__}" in str(refused.value)


@pytest.mark.parametrize(
    "file",
    [
        "examples/pipelines/retrain.py",
        "examples/pipelines/Dockerfile",
        "examples/kubernetes/training-job.yaml",
    ],
)
def test_an_image_of_another_version_is_refused(tree, file):
    """Examples would pull what was never released, or the old one."""
    path = tree / file
    path.write_text(path.read_text().replace(f"retrain:{__version__}", "retrain:0.0.9"))

    with pytest.raises(Refused, match=file):
        versions.check(tree, __version__)


def test_a_place_that_names_no_version_any_more_is_told(tree):
    """Else a sentence that was written anew would no longer be checked."""
    (tree / "docs/install.md").write_text("# Install\n")

    with pytest.raises(Refused, match=r"docs/install\.md names no version"):
        versions.check(tree, __version__)


def test_all_places_are_written_at_once(tree):
    """And nothing but them."""
    before = {each.file: (tree / each.file).read_text() for each in versions.named(tree)}
    versions.write(tree, "10.20.30")
    versions.check(tree, "10.20.30")
    versions.write(tree, __version__)

    assert {file: (tree / file).read_text() for file in before} == before
