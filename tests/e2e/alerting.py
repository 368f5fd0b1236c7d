"""A real Prometheus with our rules in short times, and two real Alertmanagers as one cluster."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import pytest
import yaml

from tests.processes import ROOT
from tests.serving import Peer
from tests.waiting import GENEROUS, eventually, free_port

PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: [{alertmanagers}]}}]}}]}}
scrape_configs:
  - {{job_name: models, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}
"""

ALERTMANAGER = """\
route:
  receiver: retrain
  group_by: [alertname, user_id]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 3s
  routes:
    - {{matchers: ['user_id=~"told-once.*"'], repeat_interval: 4h}}
receivers:
  - name: retrain
    webhook_configs: [{{url: '{webhook}'}}]
"""


def program(*names: str) -> str:
    """Find a program. Without it the test is skipped, and fails where CI is true."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    reason = f"needs {names[0]}, which is not installed (apt-get install {names[0]})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def short_rules() -> str:
    """Our own rules, which fire after two seconds instead of ten minutes."""
    rules = yaml.safe_load((ROOT / "rules" / "model-quality.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = rule["keep_firing_for"] = "2s"
    return str(yaml.safe_dump(rules))


class Exporter:
    """Serves the metrics of models; to be used with `with`.

    Attributes:
        scores: MAE and R² of each `user_id`.

    """

    def __init__(self) -> None:
        self.scores: dict[str, tuple[float, float]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def text(self) -> str:
        """The metrics in Prometheus' format."""
        lines = []
        for model, (mae, r2) in list(self.scores.items()):
            lines += [f'model_mae_score{{user_id="{model}"}} {mae}']
            lines += [f'model_r2_score{{user_id="{model}"}} {r2}']
        return "\n".join([*lines, ""])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Alerting:
    """Prometheus and two Alertmanagers, to be used with `with`: all post to one webhook.

    Models whose name begins with `told-once` are announced every four hours, others every 3 s.
    """

    def __init__(self, folder: Path, webhook: str) -> None:
        self._prometheus = program("prometheus")
        self._alertmanager = program("prometheus-alertmanager", "alertmanager")
        self._folder = folder
        self._programs = ExitStack()
        self._webhook = webhook
        self._ports = [free_port() for _ in range(5)]
        self.exporter = Exporter()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.exporter)
            self._programs = started
            self._write()
            for number in (0, 1):
                self._start_alertmanager(number)
            self._start(
                "prometheus",
                self._prometheus,
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{self._ports[4]}",
            )
            eventually(self._is_one_cluster)
            self._programs = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()

    @property
    def prometheus(self) -> str:
        """Where Prometheus listens."""
        return f"http://127.0.0.1:{self._ports[4]}"

    @property
    def alertmanager(self) -> str:
        """Where the first Alertmanager listens."""
        return f"http://127.0.0.1:{self._ports[0]}"

    def failures(self) -> list[float]:
        """How many requests of each Alertmanager to the webhook have failed."""
        name = 'alertmanager_notification_requests_failed_total{integration="webhook"}'
        return [metric(port, name) for port in self._ports[:2]]

    def _write(self) -> None:
        (self._folder / "rules.yaml").write_text(short_rules())
        addresses = ", ".join(f"'127.0.0.1:{port}'" for port in self._ports[:2])
        (self._folder / "prometheus.yml").write_text(
            PROMETHEUS.format(alertmanagers=addresses, exporter=self.exporter.port)
        )
        (self._folder / "alertmanager.yml").write_text(ALERTMANAGER.format(webhook=self._webhook))

    def _start_alertmanager(self, number: int) -> None:
        self._start(
            f"alertmanager-{number}",
            self._alertmanager,
            "--config.file=alertmanager.yml",
            f"--storage.path=alertmanager-{number}",
            f"--web.listen-address=127.0.0.1:{self._ports[number]}",
            f"--cluster.listen-address=127.0.0.1:{self._ports[2 + number]}",
            *[f"--cluster.peer=127.0.0.1:{port}" for port in self._ports[2:4]],
            "--cluster.peer-timeout=1s",
            "--cluster.pushpull-interval=1s",
            "--cluster.reconnect-interval=1s",
        )

    def _start(self, name: str, path: str, *arguments: str) -> None:
        self._programs.enter_context(running(self._folder, name, path, *arguments))

    def _is_one_cluster(self) -> bool:
        return is_one_cluster(self._ports[:2])


@contextmanager
def running(folder: Path, name: str, path: str, *arguments: str) -> Iterator[None]:
    """A program in a folder, its output in `NAME.log` there; ended with the block."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [path, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(GENEROUS)


def is_one_cluster(ports: Sequence[int]) -> bool:
    """Whether each of these Alertmanagers knows all of them."""
    return all(metric(port, "alertmanager_cluster_members") == len(ports) for port in ports)


def metric(port: int, name: str) -> float:
    """A metric of a program on this port; 0 while it does not answer."""
    try:
        text = Peer(f"http://127.0.0.1:{port}").get("/metrics").text
    except OSError:
        return 0
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0
