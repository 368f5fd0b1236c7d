"""The example's world in processes: models that are served, flats that are sold, an exporter."""

import json
import subprocess
import sys
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.demo.kfp_environment import PYTHON
from tests.processes import ROOT
from tests.serving import Peer
from tests.waiting import GENEROUS, eventually, free_port

EXAMPLES = ROOT / "examples"
SERVER = EXAMPLES / "model-server"


class Shop:
    """Serves models and exports how good they are; to be used with `with`."""

    def __init__(self, workdir: Path, *user_ids: str, window: int = 1000) -> None:
        self.workdir = workdir
        self.user_ids = user_ids
        self.window = window
        self.server = Peer(f"http://127.0.0.1:{free_port()}")
        self.exporter = Peer(f"http://127.0.0.1:{free_port()}")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        self._ends.__enter__()
        run(PYTHON, SERVER / "first_models.py", "--workdir", self.workdir, *self.user_ids)
        self.start("server", PYTHON, "--listen", _place(self.server))
        window = ("--window", str(self.window))
        self.start("exporter", sys.executable, "--listen", _place(self.exporter), *window)
        eventually(lambda: _listens(self.server) and _listens(self.exporter))
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def sell(self) -> None:
        """Let buyers come, until the shop closes."""
        self.start("traffic", sys.executable, "--server", self.server.url, *self.user_ids)

    def start(self, name: str, python: str | Path, *arguments: str) -> None:
        """Start one of the example's programs."""
        command = [python, SERVER / f"{name}.py", "--workdir", self.workdir, *arguments]
        with (self.workdir / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes[name] = process
        self._ends.callback(_end, process)

    def metrics(self, user_id: str) -> dict[str, float]:
        """What is exported of one model, by name and status."""
        return {
            sample.name + (f" {sample.labels['status']}" if "status" in sample.labels else ""): (
                sample.value
            )
            for family in text_string_to_metric_families(self.exporter.get("/metrics").text)
            for sample in family.samples
            if sample.labels.get("user_id") == user_id
        }

    def predict(self, user_id: str, instances: Any, **headers: str) -> Any:
        """Ask for predictions."""
        path = f"/v1/models/{user_id}:predict"
        return self.server.post(path, {"instances": instances}, headers=headers)

    def drift(self, user_id: str, level: str) -> str:
        """Run `examples/drift.py`; what it says."""
        return run(
            *(sys.executable, EXAMPLES / "drift.py", "--workdir", self.workdir),
            *("--user", user_id, "--drift-level", level, "--exporter", self.exporter.url),
            *("--window", str(self.window), "--wait", str(GENEROUS)),
        )


def run(*command: Any) -> str:
    """Run a program that must succeed; its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def origin(workdir: Path, user_id: str) -> Any:
    """Where the served model comes from."""
    return json.loads((workdir / "models" / user_id / "origin.json").read_text())


def _place(peer: Peer) -> str:
    return peer.url.removeprefix("http://")


def _listens(peer: Peer) -> bool:
    connection = HTTPConnection(_place(peer), timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(GENEROUS)
