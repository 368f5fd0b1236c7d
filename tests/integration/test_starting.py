"""The start: what it may not wait for, and what need not be loaded at all."""

import subprocess
import sys
from datetime import timedelta

from receiver.core.runs import RunState
from receiver.dispatchers.lazy import LateDispatcher
from tests.contract.github_setup import dispatch_to_url
from tests.fakes import FakeTarget

BUILD = """
import sys
from pathlib import Path
from receiver.config import load_config
from receiver.wiring import Receiver

receiver = Receiver(load_config(Path(sys.argv[1])))
slow = {"receiver.dispatchers.github", "kfp_server_api", "alembic"}
print(sorted(slow & sys.modules.keys()))
receiver.load_clients()
print(sorted(slow & sys.modules.keys()))
"""

CONFIG = """
targets:
  actions:
    github: {repository: acme/models, workflow: retrain.yaml, token_file: token}
  cluster:
    kfp: {endpoint: "http://127.0.0.1:9", pipeline: retrain}
"""


def late(build):
    return LateDispatcher(build, lookup_window=timedelta(0), run_timeout=timedelta(0))


def test_client_libraries_are_loaded_when_it_listens_already(tmp_path):
    """They take a third of a second; and what is never used is never loaded."""
    (tmp_path / "token").write_text("a-token-for-tests\n")
    file = tmp_path / "receiver.yaml"
    file.write_text(CONFIG)

    said = subprocess.check_output([sys.executable, "-c", BUILD, file], text=True)

    assert said.splitlines() == ["[]", "['kfp_server_api', 'receiver.dispatchers.github']"]


def test_a_dispatcher_is_built_once_and_does_what_the_real_one_does():
    """It remembers things, such as tokens, from call to call."""
    built = []

    def build():
        built.append(FakeTarget())
        return built[-1]

    dispatcher, dispatch = late(build), dispatch_to_url("http://127.0.0.1:9")
    assert built == []
    dispatcher.load()

    assert dispatcher.start(dispatch) == dispatcher.find(dispatch)
    assert dispatcher.poll(dispatch).state is RunState.RUNNING
    assert dispatcher.read_report(dispatch) is None
    assert built[0].reads == 1
    assert dispatcher.always_shows_id is True
    assert len(built) == 1
