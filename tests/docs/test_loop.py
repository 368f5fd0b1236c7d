"""The picture of the loop has links that lead somewhere, and its examples are short to try."""

import re
from xml.etree import ElementTree as ET

from tests.processes import ROOT

PICTURE = ROOT / "docs" / "loop.svg"


def test_its_links_and_the_readmes_lead_to_the_parts():
    """Each box is a link; the README shows the picture, and names the parts beneath it."""
    boxes = ET.fromstring(PICTURE.read_text()).iter("{http://www.w3.org/2000/svg}a")  # noqa: S314  our own
    links = [(PICTURE.parent / box.attrib["href"]).resolve() for box in boxes]
    readme = (ROOT / "README.md").read_text()

    assert len(links) == 8
    assert all(link.exists() for link in links)
    assert "docs/loop.svg" in readme
    for link in re.findall(r"\]\((examples/[^)#]+)\)", readme):
        assert (ROOT / link).exists()


def test_each_example_is_three_commands_long():
    """Whoever tries one has little to type; and examples/README.md names every one."""
    overview = (ROOT / "examples" / "README.md").read_text()
    for readme in sorted((ROOT / "examples").glob("*/README.md")):
        if readme.parent.name == "argocd":
            continue  # a way to install, which takes what it takes
        blocks = re.findall(r"```console\n(.*?)```", readme.read_text(), re.DOTALL)
        commands = [line for block in blocks for line in block.splitlines() if line[:2] == "$ "]

        assert len(commands) == 3, readme
        assert f"({readme.parent.name}/)" in overview
