"""Makes the pictures of the page for README and docs: python -m tests.page.images docs/images."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.page.scene import every_state, staged

PICTURES = {
    "page-models": ("/", "light", 1010),
    "page-model": ("/ui/models/forecast-eu", "dark", 820),
    "page-policies": ("/ui/policies", "light", 400),
}
"""What each shows, in which theme, and how high it is."""


def main(folder: Path) -> None:
    """Write one file for each picture."""
    with (
        TemporaryDirectory() as home,
        staged(Path(home)) as scene,
        sync_playwright() as playwright,
    ):
        every_state(scene)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=("--no-sandbox",)
        )
        for picture, (path, theme, height) in PICTURES.items():
            page = browser.new_page(color_scheme=theme, viewport={"width": 1360, "height": height})
            page.goto(scene.peer.url + path)
            page.screenshot(path=folder / f"{picture}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
