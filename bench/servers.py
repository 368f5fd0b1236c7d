"""What is measured: the receiver, a floor that only reads, and the naive way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.postgres import PostgresServer, find_binaries

CONFIG = """
storage: {{url: "{storage}"}}
targets:
  retrain-workflow:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: {github}
      inputs: {{user_id: "{{user_id}}"}}
  retrain-pipeline:
    kfp:
      endpoint: "http://127.0.0.1:9"
      pipeline: retrain
      parameters: {{user_id: "{{user_id}}"}}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {{name: "{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: retrain-workflow
    mode: {mode}
  - name: pipelines
    match: ['alertname="Pipeline"']
    model: {{name: "p-{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: retrain-pipeline
"""


@dataclass(frozen=True)
class Server:
    """A running process and how long it took to its first 200."""

    url: str
    process: subprocess.Popen[bytes]
    started_in: float

    def memory(self) -> float:
        """Resident memory in MiB."""
        return self._status("VmRSS")

    def peak_memory(self) -> float:
        """The most that was resident at any time, in MiB."""
        return self._status("VmHWM")

    def cpu(self) -> float:
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(name))
        return int(line.split()[1]) / 1024


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, ready: str, log: Path) -> Iterator[Server]:
    """Start a process, wait for its first 200, end it."""
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urlopen(url + ready, timeout=5).close()  # noqa: S310
                break
            except OSError:  # refused, reset, or slower than the time-out
                if process.poll() is not None:
                    raise RuntimeError(f"{command[0]} ended; see {log}") from None
                time.sleep(0.005)  # noqa: TID251  asking without a pause would take one of two cores
        yield Server(url, process, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def receiver(
    folder: Path,
    *,
    mode: str = "observe",
    github: str = "http://127.0.0.1:9",
    storage: str = "sqlite:///receiver.db",
) -> Iterator[Server]:
    """The receiver as a user runs it, metrics and log on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("bench-token-1234\n")
    config = CONFIG.format(storage=storage, mode=mode, github=github)
    (folder / "receiver.yaml").write_text(config)
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("retrain-receiver")),
        "serve",
        "--config",
        str(folder / "receiver.yaml"),
        "--listen",
        f"127.0.0.1:{port}",
    ]
    with running(command, port, "/-/ready", folder / "log") as server:
        yield server


@contextmanager
def beside(name: str, folder: Path) -> Iterator[Server]:
    """`floor` or `naive`, under the same uvicorn settings as the receiver."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", f"bench.{name}", str(port), str(folder)]
    with running(command, port, "/", folder / "log") as server:
        yield server


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL whose commits are as durable as SQLite's; its URL."""
    binaries = find_binaries()
    if binaries is None:
        raise RuntimeError("PostgreSQL's server is not installed; on Debian: postgresql")
    folder.mkdir(parents=True)
    server = PostgresServer(binaries, folder)
    server.start(fsync="on", full_page_writes="on", synchronous_commit="on", autovacuum="on")
    try:
        with server.database() as name:
            yield server.url(name)
    finally:
        server.stop("fast")
