"""What carries an alert to the receiver: the real thing, or a captured notification."""

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Protocol

from receiver.demo import workspace
from receiver.demo.asking import ModelServerPeer, NoAnswerError, Peer, ReceiverPeer
from receiver.demo.captured import Fired, notification
from receiver.demo.children import Children


class Carrier(Protocol):
    """Watches the metrics of the models and tells the receiver.

    Attributes:
        says: Who carries, in one sentence.
        urls: What there is to look at.
        alertmanager: Who can be asked if an alert still fires; None if nobody.

    """

    says: str
    urls: Mapping[str, str]
    alertmanager: str | None

    def start(self) -> None:
        """Begin to watch."""

    def ready(self) -> bool:
        """Whether it sees the metrics."""

    def tick(self) -> None:
        """Do what is due."""

    def firing(self, user_id: str) -> set[str]:
        """Which alerts fire for a model now."""


class Monitoring:
    """Prometheus and Alertmanager."""

    def __init__(
        self,
        programs: tuple[str, str],
        children: Children,
        folder: Path,
        model_server: ModelServerPeer,
        receiver: ReceiverPeer,
    ) -> None:
        self._programs = programs
        self._children = children
        self._folder = folder
        self._model_server = model_server
        self._receiver = receiver
        self._prometheus = Peer(workspace.free_port())
        self._alertmanager = Peer(workspace.free_port())
        self.says = "Prometheus and Alertmanager carry the alert"
        self.urls: Mapping[str, str] = {
            "Prometheus": f"{self._prometheus.url}/alerts",
            "Alertmanager": f"{self._alertmanager.url}/#/alerts",
        }
        self.alertmanager: str | None = self._alertmanager.url

    def start(self) -> None:
        """Start both."""
        workspace.write_monitoring(
            self._folder,
            model_server=self._model_server.port,
            receiver=self._receiver.port,
            alertmanager=self._alertmanager.port,
        )
        prometheus, alertmanager = self._programs
        self._children.start(
            "alertmanager",
            [
                alertmanager,
                "--config.file=alertmanager.yaml",
                "--storage.path=alertmanager",
                f"--web.listen-address=127.0.0.1:{self._alertmanager.port}",
                "--cluster.listen-address=",
            ],
        )
        self._children.start(
            "prometheus",
            [
                prometheus,
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{self._prometheus.port}",
            ],
        )

    def ready(self) -> bool:
        """Whether Prometheus has metrics and Alertmanager answers."""
        self._alertmanager.ask("/-/ready")
        found = self._prometheus.ask_json("/api/v1/query", query="model_mae_score")
        return bool(found["data"]["result"])

    def tick(self) -> None:
        """Nothing: they watch by themselves."""

    def firing(self, user_id: str) -> set[str]:
        """Which alerts fire in Prometheus."""
        alerts = self._prometheus.ask_json("/api/v1/alerts")["data"]["alerts"]
        return {
            alert["labels"]["alertname"]
            for alert in alerts
            if alert["state"] == "firing" and alert["labels"].get("user_id") == user_id
        }


class Captured:
    """The demo itself, with a notification that Alertmanager once sent."""

    def __init__(
        self, reason: str, user_id: str, model_server: ModelServerPeer, receiver: ReceiverPeer
    ) -> None:
        self.says = f"a captured notification carries the alert ({reason})"
        self.urls: Mapping[str, str] = {}
        self.alertmanager: str | None = None
        self._user_id = user_id
        self._model_server = model_server
        self._receiver = receiver
        self._changed_at: float | None = None
        self._fired: list[Fired] = []

    def start(self) -> None:
        """Nothing: it watches when it is ticked."""

    def ready(self) -> bool:
        """Whether it sees the metrics."""
        self._model_server.quality(self._user_id)
        return True

    def tick(self) -> None:
        """Tell the receiver once the thresholds were crossed, or kept, for long enough."""
        try:
            quality = self._model_server.quality(self._user_id)
            if not (quality.good if self._fired else quality.breaches):
                self._changed_at = None
                return
            self._changed_at = self._changed_at or monotonic()
            patience = workspace.KEEP_FIRING_FOR if self._fired else workspace.FOR
            if monotonic() - self._changed_at < patience:
                return
            # The demo plays Alertmanager here, and Alertmanager has a wall clock.
            now = datetime.now(UTC)  # noqa: TID251
            ends_at = now if self._fired else None
            fired = self._fired or [
                Fired(alertname, value, now) for alertname, value in quality.breaches.items()
            ]
            body = notification(self._user_id, fired, ends_at)
            self._receiver.ask("/webhook", method="POST", body=body)
            self._fired = [] if self._fired else fired
            self._changed_at = None
        except NoAnswerError:
            return  # like Alertmanager: not told yet, so the next tick tries again

    def firing(self, user_id: str) -> set[str]:
        """Which alerts the receiver was told about and not yet told the end of."""
        return {alert.alertname for alert in self._fired} if user_id == self._user_id else set()


def choose(
    children: Children,
    folder: Path,
    user_id: str,
    model_server: ModelServerPeer,
    receiver: ReceiverPeer,
) -> Carrier:
    """Take Prometheus and Alertmanager if they are here and know our rules."""
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    reason = ""
    if prometheus is None or alertmanager is None:
        reason = "Prometheus or Alertmanager is not installed"
    elif not workspace.RULES.exists():
        reason = "no rules/ here: this is not a checkout"
    elif not _knows_our_rules(shutil.which("promtool")):
        reason = "the installed Prometheus is older than 2.42"
    else:
        return Monitoring((prometheus, alertmanager), children, folder, model_server, receiver)
    return Captured(reason, user_id, model_server, receiver)


def _knows_our_rules(promtool: str | None) -> bool:
    if promtool is None:
        return True
    command = [promtool, "check", "rules", str(workspace.RULES)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
