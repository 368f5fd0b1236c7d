"""Programs that turn an alert into a run, each set up as its documentation tells.

All get the same notifications and start runs at the same stand-in of GitHub. `webhook` (Debian's
package) runs a command for each request; `ansible-rulebook` (PyPI) runs a module for each event
that its rule and throttle let through.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

from bench.servers import CONFIG, free_port
from tests.peers.github import GithubPeer

TOKEN = "peer-token"  # noqa: S105  the stand-in's
DISPATCHES = "/repos/acme/models/actions/workflows/retrain-model.yaml/dispatches"

HOOKS = [
    {
        "id": "webhook",
        "execute-command": "SCRIPT",
        "pass-arguments-to-command": [{"source": "entire-payload"}],
        "trigger-rule": {
            "match": {
                "type": "value",
                "value": "firing",
                "parameter": {"source": "payload", "name": "status"},
            }
        },
    }
]

SCRIPT = """\
#!/bin/sh
# A run for each alert that fires: the payload is the first argument.
printf %s "$1" | jq -r '.alerts[] | select(.status == "firing") | .labels.user_id' |
while read -r model; do
  curl -sS -H "Authorization: Bearer TOKEN" -H "Content-Type: application/json" \\
    -d "{\\"ref\\": \\"main\\", \\"inputs\\": {\\"user_id\\": \\"$model\\"}}" URL
done
"""

RULEBOOK = """\
- name: retrain
  hosts: all
  gather_facts: false
  sources:
    - name: alertmanager
      eda.builtin.webhook: {host: 127.0.0.1, port: PORT}
      filters:
        - eda.builtin.event_splitter: {splitter_key: payload.alerts}
  rules:
    - name: retrain
      condition: event.status == "firing"
      throttle: {once_within: 6 hours, group_by_attributes: [event.labels.user_id]}
      action:
        run_module:
          name: ansible.builtin.uri
          module_args:
            url: URL
            method: POST
            headers: {Authorization: "Bearer TOKEN"}
            body_format: json
            status_code: [200, 204]
            body: {ref: main, inputs: {user_id: "{{ event.labels.user_id }}"}}
"""

INVENTORY = """\
all:
  hosts:
    localhost: {ansible_connection: local, ansible_python_interpreter: PYTHON}
"""

QUIET = 15.0
"""Seconds without a new run after which no more is expected: a module takes about two."""


class Contender:
    """A program under test, on a folder and a port of its own."""

    def __init__(self, name: str, folder: Path, prepare: Callable[..., list[str]]) -> None:
        self.name = name
        self._folder = folder
        self._folder.mkdir(parents=True)
        self.port = free_port()
        self.target = GithubPeer()
        self.target.__enter__()
        self._command = prepare(self._folder, self.port, self.target.base_url)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        environment = {
            **os.environ,
            "PATH": f"{Path(self._command[0]).parent}:{os.environ['PATH']}",
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        while not self._listens():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended; see {self._folder / 'log'}")
            time.sleep(0.05)  # noqa: TID251  asking without a pause would take one of two cores

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it with all that it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            self._process.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None

    def close(self) -> None:
        """End it and its target."""
        self.stop()
        self.target.__exit__()

    def post(self, body: object) -> bool:
        """Post a notification; whether it said yes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            text = json.dumps(body)
            connection.request("POST", "/webhook", text, {"Content-Type": "application/json"})
            return connection.getresponse().status // 100 == 2  # noqa: PLR2004
        except OSError:
            return False
        finally:
            connection.close()

    def runs(self) -> Counter[str]:
        """Runs by model, when no more come."""
        seen, since = -1, time.monotonic()
        while time.monotonic() < since + QUIET:
            if len(self.target.runs) != seen:
                seen, since = len(self.target.runs), time.monotonic()
            time.sleep(0.2)  # noqa: TID251  it polls
        return Counter(run.inputs["user_id"] for run in self.target.runs)

    def _listens(self) -> bool:
        with suppress(OSError):
            connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse()
            connection.close()
            return True
        return False


def ours(folder: Path, port: int, github: str) -> list[str]:
    """The receiver, as its README tells."""
    (folder / "token").write_text(f"{TOKEN}\n")
    storage = "sqlite:///receiver.db"
    text = CONFIG.format(storage=storage, mode="auto", github=github)
    # The stand-in lists a run at once, so that a short look-up proves that there is none.
    text = text.replace("token_file: token", "token_file: token\n      lookup_window: 5s")
    (folder / "receiver.yaml").write_text(text)
    program = str(Path(sys.executable).with_name("retrain-receiver"))
    return [program, "serve", "--config", "receiver.yaml", "--listen", f"127.0.0.1:{port}"]


def webhook(folder: Path, port: int, github: str) -> list[str]:
    """Debian's package `webhook`, with curl and jq."""
    script = folder / "retrain.sh"
    script.write_text(SCRIPT.replace("TOKEN", TOKEN).replace("URL", github + DISPATCHES))
    script.chmod(0o755)
    hooks = json.dumps(HOOKS).replace("SCRIPT", str(script))
    (folder / "hooks.json").write_text(hooks)
    program = shutil.which("webhook") or "webhook"
    where = ["-ip", "127.0.0.1", "-port", str(port), "-urlprefix", ""]
    return [program, "-hooks", "hooks.json", *where]


def rulebook(folder: Path, port: int, github: str) -> list[str]:
    """ansible-rulebook, in an environment of its own."""
    text = RULEBOOK.replace("TOKEN", TOKEN).replace("URL", github + DISPATCHES)
    (folder / "rulebook.yml").write_text(text.replace("PORT", str(port)))
    environment = Path(".tools/ansible-rulebook/bin").absolute()
    inventory = INVENTORY.replace("PYTHON", str(environment / "python"))
    (folder / "inventory.yml").write_text(inventory)
    return [
        str(environment / "ansible-rulebook"),
        *("--rulebook", "rulebook.yml", "--inventory", "inventory.yml"),
    ]


CONTENDERS = {"retrain-receiver": ours, "webhook": webhook, "ansible-rulebook": rulebook}
