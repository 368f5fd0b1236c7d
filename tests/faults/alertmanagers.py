"""Three real Alertmanagers, one cluster, of which none waits for the others before it sends."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.e2e.alerting import is_one_cluster, metric, program, running
from tests.serving import Peer
from tests.waiting import eventually, free_port

CONFIG = """\
global: {{resolve_timeout: 1h}}
route:
  receiver: retrain
  group_by: [alertname, user_id]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 6s
receivers:
  - name: retrain
    webhook_configs: [{{url: '{webhook}'}}]
"""
PEERS = 3
AT_ONCE = 100
"""Alerts in one POST."""


class Alertmanagers:
    """To be used with `with`. Whatever one is told, it tells the webhook, and again every 6 s.

    Peers usually wait for each other (`peer_timeout`), so that one of them sends. With no wait all
    send at the same moment, as they do after an outage or behind a slow receiver.
    """

    def __init__(self, folder: Path, webhook: str) -> None:
        self._program = program("prometheus-alertmanager", "alertmanager")
        self._folder = folder
        self._folder.joinpath("alertmanager.yml").write_text(CONFIG.format(webhook=webhook))
        self._ports = [free_port() for _ in range(PEERS)]
        self._cluster = [free_port() for _ in range(PEERS)]
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            self._ends = started
            for number in range(PEERS):
                self._start(number)
            eventually(lambda: is_one_cluster(self._ports))
            self._ends = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def fire(self, alerts: list[dict[str, Any]]) -> None:
        """Tell all of them of these alerts at once."""
        with ThreadPoolExecutor(PEERS) as senders:
            for sent in [senders.submit(_post, port, alerts) for port in self._ports]:
                sent.result()

    def sent(self) -> list[int]:
        """How many notifications each of them has delivered, or tried to."""
        name = 'alertmanager_notifications_total{integration="webhook"}'
        return [int(metric(port, name)) for port in self._ports]

    def _start(self, number: int) -> None:
        arguments = [
            "--config.file=alertmanager.yml",
            f"--storage.path={number}",
            f"--web.listen-address=127.0.0.1:{self._ports[number]}",
            f"--cluster.listen-address=127.0.0.1:{self._cluster[number]}",
            *[f"--cluster.peer=127.0.0.1:{port}" for port in self._cluster],
            "--cluster.peer-timeout=0s",
            "--cluster.settle-timeout=1s",
        ]
        alertmanager = running(self._folder, str(number), self._program, *arguments)
        self._ends.enter_context(alertmanager)


def _post(port: int, alerts: list[dict[str, Any]]) -> None:
    for first in range(0, len(alerts), AT_ONCE):
        part = alerts[first : first + AT_ONCE]
        peer = Peer(f"http://127.0.0.1:{port}")
        answer = peer.post("/api/v2/alerts", part, headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer
