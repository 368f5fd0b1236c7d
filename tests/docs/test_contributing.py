"""CONTRIBUTING.md leads to files and functions that are there."""

import re

from tests.processes import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FOLDERS = ("receiver/", "tests/", "docs/", "charts/", "examples/", ".github/")


def test_every_path_that_it_names_exists():
    """A step that names a file which has moved leads nowhere."""
    named = re.findall(r"`([\w./-]+)`", TEXT) + re.findall(r"\]\(([^)#]+)", TEXT)
    paths = [name for name in named if name.startswith(FOLDERS)]

    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_walk_of_one_alert_has_ten_files_and_their_functions():
    """Each is defined in the file beside it."""
    walk = re.findall(r"^\| (\d+) \| `([^`]+)` \| ([^|]+) \|", TEXT, re.MULTILINE)

    assert [int(number) for number, _, _ in walk] == list(range(1, 11))
    for _, path, names in walk:
        text = (ROOT / path).read_text()
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^ *(async )?(def|class) {name}\b", text, re.MULTILINE), name


def test_every_folder_of_the_receiver_has_its_row():
    """Whoever opens one knows whose matter it is."""
    rows = " ".join(re.findall(r"^\| (`receiver/[^|]+) \|", TEXT, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "receiver").glob("*/__init__.py")}

    assert [name for name in sorted(folders) if f"`receiver/{name}/`" not in rows] == []
