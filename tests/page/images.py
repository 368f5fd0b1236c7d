"""Makes the pictures of the page for README and docs: python -m tests.page.images docs/images."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from receiver.config import load_config
from receiver.flows.reloading import apply_configuration
from receiver.store.store import Store
from tests.fakes import HandClock
from tests.histories import History
from tests.page.scene import CONFIG, Linked, Scene, every_state
from tests.serving import host

PICTURES = {
    "page-models": ("/", "light", 1010),
    "page-model": ("/ui/models/forecast-eu", "dark", 820),
    "page-policies": ("/ui/policies", "light", 400),
}
"""What each shows, in which theme, and how high it is."""


def main(folder: Path) -> None:
    """Write one file for each picture."""
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        home = Path(name)
        store = Store.open(f"sqlite:///{home}/receiver.db", HandClock())
        history = History(store, store._clock, Linked())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=("--no-sandbox",)
        )
        with host(history, home, CONFIG) as peer:
            text = load_config(home / "receiver.yaml").text
            apply_configuration(store, peer.service.loaded.playbook, text)
            every_state(Scene(peer, history))
            for picture, (path, theme, height) in PICTURES.items():
                size = {"width": 1360, "height": height}
                page = browser.new_page(color_scheme=theme, viewport=size)
                page.goto(peer.url + path)
                page.screenshot(path=folder / f"{picture}.png")
        browser.close()
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
