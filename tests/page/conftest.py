"""A receiver whose time the test moves, in every state, and one browser to look at it."""

import os
import shutil
from contextlib import ExitStack

import pytest
from playwright.sync_api import sync_playwright

from tests.page.scene import CONFIG, every_state, staged

FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Make a receiver of a configuration; they live as long as the module's tests."""
    with ExitStack() as stack:

        def make(config=CONFIG, files=()):
            folder = tmp_path_factory.mktemp("stage")
            for name in files:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(f"token-{name}")
            return stack.enter_context(staged(folder, config))

        yield make


@pytest.fixture(scope="module")
def scene(stage):
    """A receiver with a model in every state."""
    made = stage()
    every_state(made)
    return made


@pytest.fixture(scope="module")
def peer(scene):
    """HTTP to it."""
    return scene.peer


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; without it the tests skip on a laptop and fail in CI."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        assert os.environ.get("CI") != "true", "chromium is not installed"
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """Open a tab on a page; whatever goes wrong in it fails the test."""
    wrong = []
    contexts = []

    def opened(url, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.goto(url)
        return page

    opened.wrong = wrong
    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
