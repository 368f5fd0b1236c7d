"""A client generated from /openapi.json works: whoever writes against the API can have one."""

import os
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.posts import entry, post
from tests.processes import ROOT
from tests.serving import NO_AUTH, host

TOKEN = "of-ops"
CONFIG = f"""\
auth:
  webhook: [{{name: ops, token_file: operator}}]
  operator: [{{name: ops, token_file: operator}}]
  reader: []
{NO_AUTH}"""

CALLS = Path(__file__).with_name("typed_calls.py")


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


@pytest.fixture(scope="module")
def programs():
    """The generator's environment; the client runs there too, for it needs httpx and attrs."""
    found = ROOT / ".tools" / "openapi-client" / "bin"
    if not (found / "openapi-python-client").exists():
        reason = "not run: make .tools/openapi-client/.installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def test_a_generated_client_reads_and_acts(programs, history, tmp_path):
    """Lists, one model, an act and a problem come back as the types that the document names."""
    (tmp_path / "operator").write_text(TOKEN)
    (tmp_path / "generator.yaml").write_text("post_hooks: []\n")
    with host(history, tmp_path, CONFIG) as peer:
        peer.post("/webhook", post(entry("42")), token=TOKEN)
        with urlopen(f"{peer.url}/openapi.json", timeout=30) as answer:
            (tmp_path / "openapi.json").write_bytes(answer.read())
        run(
            programs / "openapi-python-client",
            "generate",
            "--fail-on-warning",
            *("--meta", "none"),
            *("--config", tmp_path / "generator.yaml"),
            *("--path", tmp_path / "openapi.json"),
            *("--output-path", tmp_path / "receiver_client"),
        )
        run(programs / "python", CALLS, peer.url, TOKEN, path=tmp_path)


def run(*command, path=""):
    """Run a program to its end; what it said stands in the failure."""
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
