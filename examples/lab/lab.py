"""The whole loop on one machine, with five tenants: `make lab`.

Two tenants' prices drift, are retrained once each and recover; those of a third depend on nothing
any more, and after two runs a hold says that a human must look. Exit code 0 only if it was so.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from receiver.demo import workspace
from receiver.demo.asking import DemoError, NoAnswerError, Peer, ReceiverPeer
from receiver.demo.children import Children
from receiver.demo.evaluation import Quality
from receiver.demo.screen import Steps
from receiver.demo.transports import Monitoring

EXAMPLES = Path(__file__).resolve().parents[1]
SERVER = EXAMPLES / "model-server"
sys.path.insert(0, str(SERVER))

from live import set_level

TENANTS = ("user01", "user02", "user03", "user04", "user05")
REPAIRABLE = ("user01", "user02")
LOST = "user03"
DRIFTS = {"user01": "high", "user02": "high", "user03": "lost"}

WINDOW = "600"
STEPS = 8
ENDED = {"succeeded", "failed", "cancelled", "refused", "parked", "superseded", "abandoned"}


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


class Lab:
    """The story, step by step. Each waits for what should happen and says what it saw."""

    def __init__(self, folder: Path, children: Children, programs: tuple[str, str]) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._children = children
        self._python = str(workspace.pipeline_python())
        self._server = Peer(workspace.free_port())
        self._exporter = Exporter(workspace.free_port())
        self._receiver = ReceiverPeer(workspace.free_port())
        # It asks no more of the model server than where its metrics are.
        self._monitoring = Monitoring(programs, children, folder, self._exporter, self._receiver)  # type: ignore[arg-type]
        self._seen: dict[str, list[Quality]] = {tenant: [] for tenant in TENANTS}
        self.screen = Steps(STEPS, children.check)

    def play(self) -> None:
        """Play it from the empty folder to the hold that asks for a human."""
        self._serve()
        self._watch()
        self._examine()
        self._drift()
        self._await_runs()
        self._await_recovery()
        self._await_the_hold()
        self._check()

    def report(self) -> str:
        """What became of each tenant."""
        lines = [f"{'tenant':<8}{'drift':<8}{'MAE before, drifted, now':<27}{'runs':<46}state"]
        for tenant in TENANTS:
            self._seen[tenant].append(self._exporter.quality(tenant))
            maes = " ".join(f"{quality.mae:6.3f}" for quality in self._seen[tenant])
            runs = ", ".join(_run(each) for each in self._dispatches(tenant)) or "none"
            state = self._model(tenant).get("state", "never alerted")
            drift = DRIFTS.get(tenant, "-")
            lines.append(f"{tenant:<8}{drift:<8}{maes:<27}{runs:<46}{state}")
        held = self._model(LOST)["explain"]
        return "\n".join([*lines, "", f"{LOST} is held by {held['holds']}: {held['detail']}"])

    def _serve(self) -> None:
        self._program("first_models", self._python, *TENANTS, may_end=True)
        self.screen.wait(
            "the first models", lambda: self._children.ended("first_models") or None, within=120
        )
        self._program("server", self._python, "--listen", f"127.0.0.1:{self._server.port}")
        self.screen.wait("the model server", lambda: self._server.ask("/"), within=60)
        place = ("--listen", f"127.0.0.1:{self._exporter.port}", "--window", WINDOW)
        self._program("exporter", sys.executable, *place)
        self._program("traffic", sys.executable, "--server", self._server.url, *TENANTS)
        self._all_good()
        self._remember()
        self.screen.done(f"{len(TENANTS)} tenants are served over KServe's v1 protocol, and good")

    def _watch(self) -> None:
        config = self._folder / "receiver.yaml"
        text = (EXAMPLES / "lab" / "receiver.yaml").read_text(encoding="utf-8")
        fills = {
            "PYTHON": self._python,
            "WORKDIR": str(self._data),
            "ALERTMANAGER": self._monitoring.alertmanager,
        }
        for name, value in fills.items():
            text = text.replace(name, json.dumps(value), 2)
        config.write_text(_without_comments(text), encoding="utf-8")
        shutil.copyfile(EXAMPLES / "pipelines" / "retrain.yaml", self._folder / "retrain.yaml")
        listen = f"127.0.0.1:{self._receiver.port}"
        serve = [sys.executable, "-m", "receiver", "serve", "--config", str(config)]
        self._children.start("receiver", [*serve, "--listen", listen])
        self.screen.wait("the receiver", lambda: self._receiver.ask("/-/ready"), within=60)
        self._monitoring.start()
        self.screen.wait(
            "Prometheus to see the models", lambda: self._monitoring.ready() or None, within=60
        )
        self.screen.done("Prometheus, Alertmanager and the receiver watch them")

    def _examine(self) -> None:
        urls = self._monitoring.urls
        command = [
            *(sys.executable, "-m", "receiver", "doctor", "--server", self._receiver.url),
            *("--prometheus", urls["Prometheus"].removesuffix("/alerts")),
            *("--alertmanager", urls["Alertmanager"].removesuffix("/#/alerts")),
            *("--config", str(self._folder / "receiver.yaml")),
        ]

        def examined() -> str | None:
            # The first scrapes and evaluations take a second or two.
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            self.screen.note("retrain-receiver doctor")
            if done.returncode == 0:
                return done.stdout
            raise NoAnswerError(" ".join(done.stdout.split()))

        for line in self.screen.wait(
            "doctor to find nothing wrong", examined, within=90
        ).splitlines():
            self.screen.say(line)
        self.screen.done("doctor found nothing wrong; its test alert came through Alertmanager")

    def _drift(self) -> None:
        for tenant, level in DRIFTS.items():
            set_level(self._data, tenant, level)
            self.screen.say(f"the prices of {tenant} drift: {level}", mark="!", style="yellow")

        def fire() -> bool | None:
            firing = [tenant for tenant in DRIFTS if self._monitoring.firing(tenant)]
            self.screen.note(f"firing: {', '.join(firing) or 'none'}")
            return len(firing) == len(DRIFTS) or None

        self.screen.wait("the alerts of all three", fire, within=120)
        self._remember()
        self.screen.done("their alerts fire")

    def _await_runs(self) -> None:
        def ended() -> list[Any] | None:
            first = [self._dispatches(tenant)[:1] for tenant in DRIFTS]
            states = [each[0]["state"] if each else "none" for each in first]
            self.screen.note(f"the runs: {', '.join(states)}")
            return [each[0] for each in first] if ENDED.issuperset(states) else None

        for dispatch in self.screen.wait("one run of each to end", ended, within=180):
            if dispatch["state"] != "succeeded":
                raise DemoError(f"the run of {dispatch['model']} ended as {dispatch['state']}")
            self.screen.say(f"{dispatch['model']}: {_run(dispatch)}")
        self.screen.done("one run of each ended")

    def _await_recovery(self) -> None:
        def resolved() -> bool | None:
            firing = {tenant: self._model(tenant)["firing_alerts"] for tenant in REPAIRABLE}
            self.screen.note(
                ", ".join(f"{each}: {self._exporter.quality(each)}" for each in REPAIRABLE)
            )
            return not any(firing.values()) or None

        self.screen.wait("both to recover, and their alerts to resolve", resolved, within=120)
        self.screen.done(f"{' and '.join(REPAIRABLE)} are good again, and their alerts resolved")

    def _await_the_hold(self) -> None:
        def held() -> str | None:
            explained = self._model(LOST)["explain"]
            self.screen.note(f"{LOST}: {explained['detail']}")
            given_up = self._receiver.decisions(model=LOST, reason="exhausted")
            return given_up[0]["detail"] if given_up else None

        detail = self.screen.wait(f"{LOST} to be given up", held, within=240)
        self.screen.done(f"{LOST} is held as exhausted: {detail}")

    def _check(self) -> None:
        """Nothing happened but what should have."""
        wrong = [
            f"{tenant} was retrained {len(runs)} times, not {wanted}"
            for tenant in TENANTS
            for runs, wanted in [(self._dispatches(tenant), _wanted(tenant))]
            if len(runs) != wanted
        ]
        wrong += [
            f"{tenant} did nothing wrong, but was decided on"
            for tenant in TENANTS
            if tenant not in DRIFTS and self._receiver.decisions(model=tenant)
        ]
        wrong += [
            f"{tenant} is not good again: {quality}"
            for tenant in TENANTS
            for quality in [self._exporter.quality(tenant)]
            if tenant != LOST and not quality.good
        ]
        if wrong:
            raise DemoError("; ".join(wrong))
        self.screen.done("nobody else was touched")

    def _program(self, name: str, python: str, *arguments: str, may_end: bool = False) -> None:
        # -P is not for these: they find their neighbours beside them.
        command = [python, str(SERVER / f"{name}.py"), "--workdir", str(self._data), *arguments]
        self._children.start(name, command, may_end=may_end)

    def _all_good(self) -> None:
        def good() -> bool | None:
            found = {tenant: self._exporter.quality(tenant) for tenant in TENANTS}
            self.screen.note(", ".join(f"{each}: {quality}" for each, quality in found.items()))
            return all(quality.good for quality in found.values()) or None

        self.screen.wait("good metrics of all", good, within=120)

    def _remember(self) -> None:
        for tenant in TENANTS:
            self._seen[tenant].append(self._exporter.quality(tenant))

    def _dispatches(self, tenant: str) -> list[Any]:
        """A tenant's dispatches, oldest first."""
        listed = self._receiver.ask_json("/dispatches", model=tenant)["dispatches"]
        return list(reversed(listed))

    def _model(self, tenant: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self._receiver.ask_json(f"/models/{tenant}")
        except NoAnswerError:
            return {}
        return found


def _wanted(tenant: str) -> int:
    """How many runs a tenant should have had."""
    policy = yaml.safe_load((EXAMPLES / "lab" / "receiver.yaml").read_text(encoding="utf-8"))
    attempts = int(policy["policies"][0]["attempts"])
    return attempts if tenant == LOST else int(tenant in DRIFTS)


def _run(dispatch: Mapping[str, Any]) -> str:
    """What a run said it made, and what became of the model; before that, its state."""
    if dispatch["verdict"] is None:
        return str(dispatch["state"])
    words = dict.fromkeys((dispatch["verdict"], dispatch["effect"]))
    return " and ".join(str(word).replace("_", " ") for word in words)


def _without_comments(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def _programs() -> tuple[str, str]:
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if prometheus is None or alertmanager is None:
        raise DemoError("the lab needs Prometheus (2.42 or newer) and Alertmanager on the PATH")
    return prometheus, alertmanager


def main() -> int:
    """Play it, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--dir", type=Path, default=Path(".lab"), help="what it writes is kept here"
    )
    folder = parser.parse_args().dir.absolute()
    try:
        with workspace.own_folder(folder), Children(folder) as children:
            lab = Lab(folder, children, _programs())
            with lab.screen:
                lab.play()
            print(f"\n{lab.report()}")
    except DemoError as error:
        print(f"\nThe story went another way: {error}.", file=sys.stderr)
        print(f"What each process said: {folder / 'logs'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
