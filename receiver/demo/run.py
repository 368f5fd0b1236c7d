"""The demo's story: good metrics, drift, alert, decision, one run, good metrics, resolved."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from receiver.demo import transports, workspace
from receiver.demo.asking import DemoError, ModelServerPeer, ReceiverPeer
from receiver.demo.children import Children
from receiver.demo.evaluation import Quality
from receiver.demo.screen import Steps

DRIFTS, STAYS = "42", "43"
"""Two models are served. The data of one will drift; the other must be left alone."""

STEPS = 9
ENDED = {"succeeded", "failed", "cancelled", "refused", "parked", "superseded", "abandoned"}


def run_demo(*, once: bool, keep_dir: Path, port: int = 8080) -> int:
    """Play the demo. With `once` it ends by itself; otherwise everything runs until Ctrl-C.

    Returns the exit code: 0 if the loop closed, 1 if not, 130 if it was interrupted before.
    """
    folder = keep_dir.absolute()
    closed = False
    try:
        with _ends_on_signals(), workspace.own_folder(folder), Children(folder) as children:
            story = Story(folder, children, port)
            with story.screen:
                story.play()
                closed = True
                story.tell_where_to_look()
            if not once:
                print("\nEverything keeps running; Ctrl-C ends it.", flush=True)  # noqa: T201
                _wait_forever(children)
    except DemoError as error:
        print(f"\nThe loop did not close: {error}.", file=sys.stderr)  # noqa: T201
        print(f"What each process said: {folder / 'logs'}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0 if closed else 130
    return 0


class Story:
    """The steps, in order. Each waits for what should happen and says what it saw."""

    def __init__(self, folder: Path, children: Children, port: int) -> None:
        self._folder = folder
        self._children = children
        self._python = workspace.pipeline_python()
        self._receiver = ReceiverPeer(workspace.free_port(port))
        self._models = ModelServerPeer(workspace.free_port())
        self._carrier = transports.choose(children, folder, DRIFTS, self._models, self._receiver)
        self.screen = Steps(STEPS, self._meanwhile)
        self._watching = False

    def play(self) -> None:
        """Play it from the empty folder to the resolved alert."""
        self.screen.say(f"{self._carrier.says}; folder: {self._folder}")
        self._prepare_data()
        self._start_receiver()
        self._start_model_server()
        self._start_carrier()
        self._let_drift()
        dispatch_id = self._await_trigger()
        self._await_run(dispatch_id)
        self._await_recovery()
        self._await_resolved()

    def tell_where_to_look(self) -> None:
        """Say what there is to see."""
        receiver = self._receiver.url
        urls = {
            "Page": f"{receiver}/",
            "Decisions": f"{receiver}/decisions?model={DRIFTS}",
            "Model": f"{receiver}/models/{DRIFTS}",
            "Dispatches": f"{receiver}/dispatches",
            "Policies": f"{receiver}/policies",
            "Served metrics": f"{self._models.url}/metrics",
            **self._carrier.urls,
            "Logs": str(self._folder / "logs"),
        }
        for name, url in urls.items():
            self.screen.say(f"{name:<15} {url}")

    def _prepare_data(self) -> None:
        script = Path(__file__).with_name("prepare.py")
        data = self._folder / "data"
        # -P: the modules beside the script are not for this interpreter.
        command = [str(self._python), "-P", str(script), str(data), DRIFTS, STAYS]
        self._children.start("prepare", command, may_end=True)
        self.screen.wait(
            "the data and the first models",
            lambda: self._children.ended("prepare") or None,
            within=60,
        )
        self.screen.done(f"models {DRIFTS} and {STAYS} are trained on scikit-learn's cancer data")

    def _start_receiver(self) -> None:
        config = workspace.write_receiver(self._folder, self._python, self._carrier.alertmanager)
        listen = f"127.0.0.1:{self._receiver.port}"
        command = [sys.executable, "-m", "receiver", "serve"]
        self._children.start("receiver", [*command, "--config", str(config), "--listen", listen])
        self.screen.wait("the receiver", lambda: self._receiver.ask("/-/ready"), within=30)
        self.screen.done(f"the receiver listens on {self._receiver.url}")

    def _start_model_server(self) -> None:
        listen = f"127.0.0.1:{self._models.port}"
        command = [sys.executable, "-m", "receiver.demo.model_server"]
        data = str(self._folder / "data")
        self._children.start(
            "model-server", [*command, "--workdir", data, "--listen", listen, DRIFTS, STAYS]
        )
        quality = self.screen.wait("good metrics", self._good, within=30)
        self.screen.done(f"model {DRIFTS} is served and good: {quality}")

    def _start_carrier(self) -> None:
        self._carrier.start()
        self.screen.wait(
            "the metrics to be seen", lambda: self._carrier.ready() or None, within=30
        )
        self._watching = True
        self.screen.done("whoever carries the alert sees the metrics")

    def _let_drift(self) -> None:
        self._models.drift(DRIFTS)
        self.screen.say(f"the data of model {DRIFTS} drifts from now on", mark="!", style="yellow")

        def fires() -> tuple[set[str], Quality] | None:
            quality = self._models.quality(DRIFTS)
            self.screen.note(f"model {DRIFTS}: {quality}; waiting for the alert")
            firing = self._carrier.firing(DRIFTS)
            return (firing, quality) if firing else None

        firing, quality = self.screen.wait("an alert", fires, within=60)
        self.screen.done(f"{' and '.join(sorted(firing))} firing: {quality}")

    def _await_trigger(self) -> str:
        def triggered() -> Any | None:
            found = self._receiver.decisions(model=DRIFTS, reason="triggered")
            return found[-1] if found else None

        decision = self.screen.wait("a decision `triggered`", triggered, within=30)
        self.screen.done(f"decision `triggered`: {decision['detail']}")
        return str(decision["dispatch_id"])

    def _await_run(self, dispatch_id: str) -> None:
        seen = ""

        def ended() -> Any | None:
            nonlocal seen
            dispatch = self._receiver.dispatch(dispatch_id)
            if dispatch["state"] != seen:
                seen = dispatch["state"]
                self.screen.say(f"dispatch {dispatch_id}: {seen}", style="cyan")
            self.screen.note(f"model {DRIFTS}: {self._models.quality(DRIFTS)}; the run is {seen}")
            return dispatch if seen in ENDED else None

        dispatch = self.screen.wait("the run's end", ended, within=90)
        if dispatch["state"] != "succeeded":
            raise DemoError(f"the run ended as {dispatch['state']}: {dispatch.get('detail', '')}")
        scores = self._deployed(dispatch_id)
        verdict = self.screen.wait(
            "the run's report", lambda: self._receiver.dispatch(dispatch_id)["verdict"], within=30
        )
        self.screen.done(
            f"the run succeeded and reports `{verdict}`: on samples it never saw the new model's"
            f" MAE is {scores['challenger']['mae']:.2f},"
            f" the old one's {scores['champion']['mae']:.2f}"
        )

    def _await_recovery(self) -> None:
        quality = self.screen.wait("good metrics again", self._good, within=30)
        self.screen.done(f"model {DRIFTS} is good again: {quality}")

    def _await_resolved(self) -> None:
        def resolved() -> set[str] | None:
            told = self._receiver.decisions(model=DRIFTS)
            fired = {one["alertname"] for one in told if one["status"] == "firing"}
            over = {one["alertname"] for one in told if one["reason"] == "resolved"}
            self.screen.note(f"waiting for {', '.join(sorted(fired - over))} to resolve")
            return over if fired <= over else None

        over = self.screen.wait("the alert to resolve", resolved, within=60)
        self._check_that_it_was_one_run()
        effect = self._receiver.dispatches()[0]["effect"]
        self.screen.done(
            f"{' and '.join(sorted(over))} resolved after one run, whose effect is `{effect}`:"
            f" {self._models.quality(DRIFTS)}"
        )

    def _check_that_it_was_one_run(self) -> None:
        dispatches = self._receiver.dispatches()
        if len(dispatches) != 1:
            raise DemoError(f"there should be exactly one dispatch, but there are {dispatches}")
        if self._receiver.decisions(model=STAYS):
            raise DemoError(f"nothing happened to model {STAYS}, but the receiver decided on it")

    def _deployed(self, dispatch_id: str) -> Any:
        """Read what the run found out about the model that it deployed."""
        path = self._folder / "data" / "served" / f"{DRIFTS}.json"
        artefact = json.loads(path.read_text(encoding="utf-8"))
        if artefact["dispatch_id"] != dispatch_id:
            raise DemoError("the run succeeded but deployed nothing: the new model was no better")
        return artefact["evaluation"]

    def _good(self) -> Quality | None:
        quality = self._models.quality(DRIFTS)
        self.screen.note(f"model {DRIFTS}: {quality}")
        return quality if quality.good else None

    def _meanwhile(self) -> None:
        self._children.check()
        if self._watching:
            self._carrier.tick()


def _wait_forever(children: Children) -> None:
    while not threading.Event().wait(1):
        children.check()


@contextmanager
def _ends_on_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does: its children end with it.

    Ctrl-C is named too, because a shell without job control starts what runs in its background
    deaf to it.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
