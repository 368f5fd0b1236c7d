"""Makes the pictures of the page and of a backtest's report for README and docs.

python -m tests.page.images docs/images
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.page.scene import every_state, staged
from tests.processes import ROOT

PICTURES = {
    "page-models": ("/", "light", 1010),
    "page-model": ("/ui/models/forecast-eu?range=7d", "dark", 1180),
    "page-runs": ("/ui/runs", "light", 640),
    "page-policies": ("/ui/policies", "light", 520),
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
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.goto(f"file://{backtested(Path(home))}")
        page.screenshot(path=folder / "backtest.png", full_page=True)
        browser.close()


def backtested(folder: Path) -> Path:
    """The report of the example in docs/backtest.md, without its sweep."""
    example, report = ROOT / "examples" / "backtest", folder / "report.html"
    command = [sys.executable, "-m", "receiver", "backtest", "--config", example / "receiver.yaml"]
    more = ["--cost", "12USD", "--bad-hour", "3", "--draws", "20", "--html", report]
    subprocess.run([*command, "--alerts", example / "history.json", *more], check=True)
    return report


if __name__ == "__main__":
    main(Path(sys.argv[1]))
