"""A receiver in every state that the page can show."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from receiver.config import load_config
from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.runs import Run, RunState
from receiver.flows.operator.reloading import apply_configuration
from receiver.store.store import Store
from tests.fakes import FakeTarget, HandClock
from tests.histories import History
from tests.posts import entry, post
from tests.serving import Hosted, host

HOUR = timedelta(hours=1)
WHY = "features are backfilled"

CONFIG = """\
storage: {min_free: 0}
targets:
  pipeline:
    kfp:
      endpoint: http://127.0.0.1:9
      pipeline: retrain
      parameters: {user_id: "{user_id}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
    budget: {runs: 40 in 30d, cost: 500 EUR in 30d}
    cost: {amount: 12.5, unit: EUR, run_time: 2h}
  - name: watch-only
    match: ['alertname="ModelDrift"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
    mode: observe
  - name: ask-first
    match: ['alertname="ModelTooOld"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
    mode: approve
"""

EXPRESSIONS = {
    "HighModelMAE": "max by (namespace, user_id) (model_mae_score) > 0.45",
    "LowModelR2": "min by (namespace, user_id) (model_r2_score) < 0.75",
}


class Linked(FakeTarget):
    """Its runs can be looked at."""

    def run_of(self, dispatch: Dispatch) -> Run:
        number = sum(dispatch.id.encode()) * 7919 % 10**6
        url = f"https://github.com/acme/models/actions/runs/{number}"
        return Run(id=str(number), url=url, shows_id=True)


def refused_for_good(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    raise DispatchError(
        "GitHub refused the token: 401 Bad credentials; renew secrets/github",
        Failure.REFUSED,
        status_code=401,
    )


def cut(_target: FakeTarget, _dispatch: Dispatch) -> Run:
    raise DispatchError("the answer did not come within 30 s", Failure.UNKNOWN, status_code=502)


class Scene:
    """Posts alerts as Alertmanager would, and lets the loops work."""

    def __init__(self, peer: Hosted, history: History) -> None:
        self.peer = peer
        self.history = history

    def alert(self, model: str, name: str = "HighModelMAE", **more: Any) -> dict[str, Any]:
        """One entry, with the links and texts that Prometheus gives."""
        made = entry(model, name=name, **more)
        made["generatorURL"] = (
            "http://prometheus.example.com/graph?g0.expr="
            + EXPRESSIONS.get(name, "model_drift")
            .replace(" ", "+")
            .replace(">", "%3E")
            .replace("<", "%3C")
            + "&g0.tab=1"
        )
        made["annotations"] |= {
            "summary": f"The model of {model} got worse",
            "runbook_url": "https://runbooks.example.com/" + name,
        }
        made["startsAt"] = made["startsAt"] if "starts_at" in more else self._stamp(-HOUR / 6)
        return made

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Alertmanager posts these alerts."""
        answer = self.peer.post("/webhook", post(*alerts))
        assert answer.status == 200, answer.text

    def fires(self, model: str, *values: float, name: str = "HighModelMAE", **more: Any) -> None:
        """An alert is delivered again and again, with these values, 20 minutes apart."""
        starts_at = more.pop("starts_at", self._stamp(-HOUR / 6))
        for value in values:
            self.post(self.alert(model, name, value=str(value), starts_at=starts_at, **more))
            self.history.clock.pass_(timedelta(minutes=20))

    def ends(self, model: str, name: str = "HighModelMAE", starts_at: str = "") -> None:
        """It is resolved now."""
        now = self._stamp(timedelta(0))
        starts_at = starts_at or self._stamp(-HOUR)
        self.post(self.alert(model, name, status="resolved", starts_at=starts_at, ends_at=now))

    def runs(self, *states: RunState) -> None:
        """Send what is due, and let its run end like this."""
        for state in states:
            while self.history.send():
                pass
            self.history.clock.pass_(timedelta(minutes=26))
            self.history.run_to_its_end(state)

    def act(self, path: str, **body: Any) -> None:
        """An operator acts."""
        answer = self.peer.post(path, {"comment": WHY, **body})
        assert answer.status == 200, answer.text

    def _stamp(self, span: timedelta) -> str:
        return (self.history.clock.now() + span).isoformat().replace("+00:00", "Z")


def every_state(scene: Scene) -> None:
    """One model in each state, with a past; and what waits for a human."""
    history, target = scene.history, scene.history.target
    clock = history.clock
    clock.pass_(-timedelta(days=2))
    for model, states in (
        ("forecast-eu", (RunState.SUCCEEDED, RunState.FAILED, RunState.SUCCEEDED)),
        ("churn", (RunState.SUCCEEDED, RunState.CANCELLED, RunState.SUCCEEDED)),
        ("pricing-7", (RunState.SUCCEEDED, RunState.SUCCEEDED)),
    ):
        for state in states:
            began = scene._stamp(-HOUR / 6)
            scene.fires(model, 0.47, 0.52, starts_at=began)
            scene.runs(state)
            clock.pass_(HOUR)
            scene.ends(model, starts_at=began)
            clock.pass_(8 * HOUR)
    scene.post(scene.alert("quiet-one", "ModelDrift", value="0.2"))
    scene.ends("quiet-one", "ModelDrift", starts_at=scene._stamp(-HOUR / 6))
    scene.act("/models/pricing-7/pause", **{"for": "24h"})
    _parked(scene, target)
    # Fires and is held by the cooldown of its run; both alerts, with a story of values.
    began = scene._stamp(-HOUR / 6)
    scene.fires("forecast-eu", 0.48, 0.55, starts_at=began)
    scene.runs(RunState.SUCCEEDED)
    scene.fires("forecast-eu", 0.61, 0.58, 0.64, 0.71, starts_at=began)
    scene.fires("forecast-eu", 0.7, 0.66, name="LowModelR2", starts_at=began)
    scene.fires("pricing-7", 0.49)
    scene.fires("credit-risk", 41, name="ModelTooOld")
    scene.fires("churn", 0.6)
    while history.send():
        pass
    target.finish(RunState.RUNNING)
    scene.peer.post("/webhook", b'{"version": "3", "alerts": []}')
    scene.post(scene.alert("somebody", "NoSuchPolicy"), {**scene.alert("a b c")})
    clock.pass_(timedelta(minutes=3))
    history.tick()
    _refused(scene, target)


def _refused(scene: Scene, target: FakeTarget) -> None:
    """The target says no, and once more after the back-off: the next one is longer."""
    target.accidents = [refused_for_good, refused_for_good]
    scene.post(scene.alert("ranking", value="0.9"))
    while scene.history.send():
        pass
    scene.history.clock.pass_(timedelta(seconds=70))
    scene.history.tick()
    while scene.history.send():
        pass
    scene.history.clock.pass_(timedelta(seconds=40))


def _parked(scene: Scene, target: FakeTarget) -> None:
    """The answer is lost, and nothing proves that no run began."""
    target.accidents = [cut, cut, cut]
    target.listed = False
    scene.fires("fraud-scores", 1.25)
    for _ in range(120):
        scene.history.send()
        scene.history.clock.pass_(timedelta(seconds=30))
    target.listed = True
    target.accidents = []


@contextmanager
def staged(folder: Path, config: str = CONFIG) -> Iterator[Scene]:
    """A receiver of a configuration, in a folder that holds what it names."""
    store = Store.open(f"sqlite:///{folder}/receiver.db", HandClock())
    try:
        history = History(store, store._clock, Linked())
        with host(history, folder, config) as peer:
            text = load_config(folder / "receiver.yaml").text
            apply_configuration(store, peer.service.loaded.policy_set, text)
            yield Scene(peer, history)
    finally:
        store.close()
