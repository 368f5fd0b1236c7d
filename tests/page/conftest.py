"""A receiver whose time the test moves, in every state, and one browser to look at it."""

from contextlib import ExitStack

import pytest

from receiver.config import load_config
from receiver.flows.reloading import apply_configuration
from receiver.store.store import Store
from tests.fakes import HandClock
from tests.histories import History
from tests.page.scene import CONFIG, Linked, Scene, every_state
from tests.serving import host


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Make a receiver of a configuration; they live as long as the module's tests."""
    with ExitStack() as stack:

        def make(config=CONFIG, files=()):
            folder = tmp_path_factory.mktemp("stage")
            for name in files:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(f"token-{name}")
            store = Store.open(f"sqlite:///{folder}/receiver.db", HandClock())
            stack.callback(store.close)
            history = History(store, store._clock, Linked())
            peer = stack.enter_context(host(history, folder, config))
            config = load_config(folder / "receiver.yaml")
            apply_configuration(store, peer.service.loaded.playbook, config.text)
            return Scene(peer, history)

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
