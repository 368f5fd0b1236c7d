"""The lab's world: tenants that are served and sold to, Prometheus, Alertmanager and a receiver.

    .venv/bin/python examples/lab/world.py --dir .lab-world --mode observe user01 user02

When all of it is there, it writes where into DIR/world.env, as variables of a shell, and stays
until it is ended (Ctrl-C). `lab.py` plays a story in it, the notebooks let you play.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from receiver.demo import workspace
from receiver.demo.asking import DemoError, NoAnswerError, Peer, ReceiverPeer
from receiver.demo.children import Children
from receiver.demo.evaluation import Quality
from receiver.demo.screen import Steps
from receiver.demo.transports import Monitoring

EXAMPLES = Path(__file__).resolve().parents[1]
SERVER = EXAMPLES / "model-server"

TENANTS = ("user01", "user02", "user03", "user04", "user05")
WINDOW = "600"
MODES = ("observe", "approve", "auto")


class Exporter(Peer):
    """The example's exporter."""

    def quality(self, user_id: str) -> Quality:
        """How good a model is now."""
        found = {
            sample.name: sample.value
            for family in text_string_to_metric_families(self.ask("/metrics").decode())
            for sample in family.samples
            if sample.labels.get("user_id") == user_id
        }
        if "model_mae_score" not in found:
            raise NoAnswerError(f"the exporter says nothing of {user_id} yet")
        return Quality(found["model_mae_score"], found["model_r2_score"])


class World:
    """Starts the parts one after the other, and knows where each is.

    Attributes:
        data: The folder with models, logs and the present drift.
        config: The receiver's configuration.

    """

    def __init__(
        self, folder: Path, children: Children, screen: Steps, tenants: Sequence[str] = TENANTS
    ) -> None:
        self.data = folder / "data"
        self.config = folder / "receiver.yaml"
        self.exporter = Exporter(workspace.free_port())
        self.receiver = ReceiverPeer(workspace.free_port())
        # It asks no more of the model server than where its metrics are.
        self.monitoring = Monitoring(
            _programs(),
            children,
            folder,
            self.exporter,  # type: ignore[arg-type]
            self.receiver,
        )
        self._folder = folder
        self._children = children
        self._screen = screen
        self._tenants = tenants
        self._python = str(workspace.pipeline_python())
        self._server = Peer(workspace.free_port())

    @property
    def prometheus(self) -> str:
        """Prometheus' address."""
        return self.monitoring.urls["Prometheus"].removesuffix("/alerts")

    @property
    def places(self) -> Mapping[str, str]:
        """Where everything is, by the variables that the commands read."""
        return {
            "PROMETHEUS_URL": self.prometheus,
            "ALERTMANAGER_URL": str(self.monitoring.alertmanager),
            "RETRAIN_RECEIVER_URL": self.receiver.url,
            "MODEL_SERVER_URL": self._server.url,
            "EXPORTER_URL": self.exporter.url,
            "RECEIVER_CONFIG": str(self.config),
            "WORKDIR": str(self.data),
            "WINDOW": WINDOW,
        }

    def serve(self) -> None:
        """Train the first models, serve them, sell, and measure until all are good."""
        self._program("first_models", self._python, *self._tenants, may_end=True)
        self._screen.wait(
            "the first models", lambda: self._children.ended("first_models") or None, within=120
        )
        self._program("server", self._python, "--listen", f"127.0.0.1:{self._server.port}")
        self._screen.wait("the model server", lambda: self._server.ask("/"), within=60)
        place = ("--listen", f"127.0.0.1:{self.exporter.port}", "--window", WINDOW)
        self._program("exporter", sys.executable, *place)
        self._program("traffic", sys.executable, "--server", self._server.url, *self._tenants)
        self._screen.wait("good metrics of all", self._all_good, within=120)
        self._screen.done(
            f"{len(self._tenants)} tenants are served over KServe's v1 protocol, and good"
        )

    def watch(self, mode: str = "auto") -> None:
        """Start the receiver with this mode, and who watches the models."""
        text = (EXAMPLES / "lab" / "receiver.yaml").read_text(encoding="utf-8")
        fills = {
            "PYTHON": self._python,
            "WORKDIR": str(self.data),
            "ALERTMANAGER": self.monitoring.alertmanager,
        }
        for name, value in fills.items():
            text = text.replace(name, json.dumps(value), 2)
        text = text.replace("mode: auto", f"mode: {mode}")
        self.config.write_text(_without_comments(text), encoding="utf-8")
        shutil.copyfile(EXAMPLES / "pipelines" / "retrain.yaml", self._folder / "retrain.yaml")
        listen = f"127.0.0.1:{self.receiver.port}"
        serve = [sys.executable, "-m", "receiver", "serve", "--config", str(self.config)]
        self._children.start("receiver", [*serve, "--listen", listen])
        self._screen.wait("the receiver", lambda: self.receiver.ask("/-/ready"), within=60)
        self.monitoring.start()
        self._screen.wait(
            "Prometheus to see the models", lambda: self.monitoring.ready() or None, within=60
        )
        self._screen.done("Prometheus, Alertmanager and the receiver watch them")

    def tell(self) -> Path:
        """Write where everything is; whoever waits for the file finds it whole."""
        file = self._folder / "world.env"
        scratch = file.with_suffix(".writing")
        lines = (f"export {name}={shlex.quote(at)}\n" for name, at in self.places.items())
        scratch.write_text("".join(lines))
        scratch.replace(file)
        return file

    def _all_good(self) -> bool | None:
        found = {tenant: self.exporter.quality(tenant) for tenant in self._tenants}
        self._screen.note(", ".join(f"{each}: {quality}" for each, quality in found.items()))
        return all(quality.good for quality in found.values()) or None

    def _program(self, name: str, python: str, *arguments: str, may_end: bool = False) -> None:
        # -P is not for these: they find their neighbours beside them.
        command = [python, str(SERVER / f"{name}.py"), "--workdir", str(self.data), *arguments]
        self._children.start(name, command, may_end=may_end)


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def _programs() -> tuple[str, str]:
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if prometheus is None or alertmanager is None:
        raise DemoError("the lab needs Prometheus (2.42 or newer) and Alertmanager on the PATH")
    return prometheus, alertmanager


def _checks(children: Children) -> Callable[[], None]:
    """What is looked at again and again: the children, and whether whoever started us is there."""
    started_by = os.getppid()

    def check() -> None:
        children.check()
        if os.getppid() != started_by:  # a notebook's kernel that ended
            raise KeyboardInterrupt

    return check


def main() -> int:
    """Start it, say where it is, and stay."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path(".lab-world"))
    parser.add_argument("--mode", choices=MODES, default="auto", help="of the receiver's policy")
    parser.add_argument("user_ids", nargs="*", default=TENANTS, metavar="USER_ID")
    arguments = parser.parse_args()
    folder = arguments.dir.absolute()
    # Who is told to end takes the children along.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with workspace.own_folder(folder), Children(folder) as children:
            check = _checks(children)
            with Steps(2, check) as screen:
                world = World(folder, children, screen, arguments.user_ids)
                world.serve()
                world.watch(arguments.mode)
            print(f"\n. {shlex.quote(str(world.tell()))}\n", flush=True)
            while not threading.Event().wait(1):
                check()
    except DemoError as error:
        print(f"\n{error}; what each process said: {folder / 'logs'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
