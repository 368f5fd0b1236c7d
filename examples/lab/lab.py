"""The whole loop on one machine, with five tenants: `make lab`.

Two tenants' prices drift, are retrained once each and recover; those of a third depend on nothing
any more, and after two runs a hold says that a human must look. Exit code 0 only if it was so.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from receiver.demo import workspace
from receiver.demo.asking import DemoError, NoAnswerError
from receiver.demo.children import Children
from receiver.demo.evaluation import Quality
from receiver.demo.screen import Steps

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "model-server")]

from live import set_level
from world import TENANTS, World

REPAIRABLE = ("user01", "user02")
LOST = "user03"
DRIFTS = {"user01": "high", "user02": "high", "user03": "lost"}

STEPS = 8
ENDED = {"succeeded", "failed", "cancelled", "refused", "parked", "superseded", "abandoned"}


class Lab:
    """The story, step by step. Each waits for what should happen and says what it saw."""

    def __init__(self, folder: Path, children: Children) -> None:
        self.screen = Steps(STEPS, children.check)
        self._world = World(folder, children, self.screen)
        self._exporter = self._world.exporter
        self._receiver = self._world.receiver
        self._monitoring = self._world.monitoring
        self._seen: dict[str, list[Quality]] = {tenant: [] for tenant in TENANTS}

    def play(self) -> None:
        """Play it from the empty folder to the hold that asks for a human."""
        self._world.serve()
        self._remember()
        self._world.watch()
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

    def _examine(self) -> None:
        command = [
            *(sys.executable, "-m", "receiver", "doctor", "--server", self._receiver.url),
            *("--prometheus", self._world.prometheus),
            *("--alertmanager", str(self._monitoring.alertmanager)),
            *("--config", str(self._world.config)),
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
            set_level(self._world.data, tenant, level)
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
    policy = yaml.safe_load((HERE / "receiver.yaml").read_text(encoding="utf-8"))
    attempts = int(policy["policies"][0]["attempts"])
    return attempts if tenant == LOST else int(tenant in DRIFTS)


def _run(dispatch: Mapping[str, Any]) -> str:
    """What a run said it made, and what became of the model; before that, its state."""
    if dispatch["verdict"] is None:
        return str(dispatch["state"])
    words = dict.fromkeys((dispatch["verdict"], dispatch["effect"]))
    return " and ".join(str(word).replace("_", " ") for word in words)


def main() -> int:
    """Play it, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--dir", type=Path, default=Path(".lab"), help="what it writes is kept here"
    )
    folder = parser.parse_args().dir.absolute()
    try:
        with workspace.own_folder(folder), Children(folder) as children:
            lab = Lab(folder, children)
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
