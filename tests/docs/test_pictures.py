"""The pictures of docs/: drawn from their texts, and true of the code."""

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from xml.etree import ElementTree as ET

import pytest

from receiver.core.dispatches import MOVES, DispatchState, Mover
from tests.processes import ROOT

DOCS = ROOT / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def picture(name):
    return ET.fromstring((DOCS / f"{name}.svg").read_text())  # noqa: S314  our own


def boxes(name):
    return {box.attrib["data-box"] for box in picture(name).iter(f"{SVG}g")}


def arrows(name, *looks):
    """From, to and look of each arrow; one from a group is one from each of its boxes."""
    return [
        (start, path.attrib["data-to"], path.attrib["class"])
        for path in picture(name).iter(f"{SVG}path")
        if "data-from" in path.attrib and (not looks or path.attrib["class"] in looks)
        for start in path.attrib["data-from"].split()
    ]


@pytest.mark.parametrize("name", ["loop", "dispatch-states", "architecture"])
def test_a_picture_is_drawn_from_its_text(tmp_path, name):
    """If not: `python scripts/draw.py`."""
    subprocess.run([sys.executable, ROOT / "scripts" / "draw.py", tmp_path], check=True)

    assert (tmp_path / f"{name}.svg").read_text() == (DOCS / f"{name}.svg").read_text()


def test_the_states_are_those_of_the_code():
    """No state is missing, and none is invented."""
    assert boxes("dispatch-states") == {state.value for state in DispatchState}


def test_an_arrow_is_a_move_that_its_mover_makes():
    """Each mover has a look of its own, named below the picture; no move is left out."""
    lines = (DOCS / "dispatch-states.txt").read_text().splitlines()
    keys = [line.split() for line in lines if line.startswith("key ")]
    movers = {look: Mover(said.rstrip(":")) for _, _, _, look, _, said, *_ in keys}
    drawn = defaultdict(set)
    for start, end, look in arrows("dispatch-states"):
        drawn[movers[look]].add((DispatchState(start), DispatchState(end)))

    assert drawn == MOVES


def layers():
    """Each folder's or module's layer, from above."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (way,) = (one for one in contract["contracts"] if one["type"] == "layers")
    return {
        name.strip().removeprefix("receiver."): depth
        for depth, layer in enumerate(way["layers"])
        for name in layer.split("|")
    }


def room(module):
    """The box of a module: a folder of flows/ or the shared modules there, else the layer."""
    _, *parts = module.split(".")
    if parts[:1] == ["flows"] and len(parts) > 1:
        inner = parts[1]
        return inner if (ROOT / "receiver" / "flows" / inner).is_dir() else "deciding"
    return parts[0] if parts else ""


def imports():
    """Which box imports which."""
    found = set()
    for path in (ROOT / "receiver").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("receiver"):
                found.add((room(module), room(node.module)))
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                found |= {(room(module), room(name)) for name in names}
    return found


def test_the_architecture_shows_every_folder():
    """Each layer of the import contract, what flows/ is made of, and two who are outside."""
    flows = {path.name for path in (ROOT / "receiver" / "flows").iterdir() if path.is_dir()}
    shown = (layers().keys() - {"flows"}) | (flows - {"__pycache__"}) | {"deciding"}

    assert boxes("architecture") == shown | {"amgr", "target"}


def test_an_import_that_is_drawn_is_one_and_goes_down():
    """As the import contract says; a group stands for each folder in it."""
    depth = layers() | dict.fromkeys(
        ("intake", "worker", "operator", "deciding"), layers()["flows"]
    )
    held = {
        head.split()[1]: names.split()
        for head, _, names in (
            line.partition(":") for line in (DOCS / "architecture.txt").read_text().splitlines()
        )
        if head.startswith("holds ")
    }
    real = imports()
    for start, end, _ in arrows("architecture", "thin"):
        into = {name for name in held.get(end, [end]) if (start, name) in real}
        assert into, f"{start} does not import {end}"
        assert all(depth[start] <= depth[name] for name in into), (start, end)


def test_the_way_of_an_alert_leads_from_alertmanager_to_the_target():
    """Each step begins where the one before it ended."""
    way = [(start, end) for start, end, _ in arrows("architecture", "blue")]

    assert way[0][0] == "amgr"
    assert way[-1][1] == "target"
    assert [end for _, end in way[:-1]] == [start for start, _ in way[1:]]
