"""The truth about the models, and what Prometheus makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from receiver.core.alerts import Alert, AlertStatus
from receiver.core.fingerprints import fingerprint_of
from receiver.core.runs import RunState
from receiver.core.sources import Listed, Listing
from tests.simulation.plans import HOUR, MINUTE
from tests.simulation.sites import TrueRun
from tests.simulation.world import Kind, World

RESOLVED_FOR = 15 * MINUTE
"""Prometheus sends resolved alerts again for so long."""

ALERTNAMES = ("HighModelMAE", "LowModelR2")

MODELS: dict[str, str] = {}
"""Whose alert a fingerprint is, in every history: it follows from the labels."""


@dataclass
class TrueAlert:
    """An alert of one model on one pod.

    Attributes:
        spans: Beginnings and ends; the last one may have no end yet.
        retired: Its pod is gone; it never fires again.

    """

    model: str
    name: str
    pod: str
    spans: list[list[float | None]] = field(default_factory=list)
    retired: bool = False

    @cached_property
    def fingerprint(self) -> str:
        found = fingerprint_of(self.labels)
        MODELS[found] = self.model
        return found

    @property
    def said(self) -> str:
        """What a story calls it."""
        return f"{self.fingerprint} ({self.name} of {self.model} on {self.pod})"

    @property
    def labels(self) -> dict[str, str]:
        return {"alertname": self.name, "instance": self.pod, "user_id": self.model}

    @property
    def fires(self) -> bool:
        return bool(self.spans) and self.spans[-1][1] is None

    def seen(self, world: World, at: float) -> Alert | None:
        """As Alertmanager lists it at that moment; None if it does not."""
        span = next((span for span in reversed(self.spans) if (span[0] or 0.0) <= at), None)
        if span is None:
            return None
        began, ended = span[0] or 0.0, span[1]
        fires = ended is None or ended > at
        if not fires and ended is not None and at - ended > RESOLVED_FOR:
            return None
        return Alert(
            status=AlertStatus.FIRING if fires else AlertStatus.RESOLVED,
            labels=self.labels,
            starts_at=world.moment(began),
            ends_at=None if fires or ended is None else world.moment(ended),
            fingerprint=self.fingerprint,
            value=0.62,
            position=0,
        )


class Prometheus:
    """Models get worse and better; alerts begin, end, end falsely and begin anew."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.alerts: list[TrueAlert] = []
        self.bad: dict[str, bool] = {}
        self.on_change: Callable[[str], None] = lambda _model: None

    def start(self) -> None:
        """Draw how the models do."""
        world, plan = self._world, self._world.plan
        for number in range(plan.models):
            model = f"m{number + 1}"
            names = world.random.choice((ALERTNAMES, ALERTNAMES[:1]))
            self.alerts += [TrueAlert(model, name, "pod-1") for name in names]
            self.bad[model] = False
            world.hub.at(world.between(0, plan.ends / 5), lambda model=model: self.worsen(model))
        for _ in range(plan.prometheus_faults):
            fault = world.random.choice((self.resolve_falsely, self.restart, self.move_pod))
            world.hub.at(world.between(0, plan.ends), fault)

    def listing(self) -> Listing:
        """What fires by its own rules; it does not name them as Alertmanager does."""
        return Listing(
            [
                Listed("", one.labels, self._world.moment(one.spans[-1][0] or 0.0))
                for one in self.alerts
                if one.fires
            ]
        )

    def worsen(self, model: str) -> None:
        """The model is bad from now on; each of its alerts begins soon."""
        if self.bad[model] or self._world.healing:
            return
        self.bad[model] = True
        apart = self._world.random.choice((0, 2 * MINUTE))  # one evaluation finds both, or not
        for alert in self._alerts(model):
            delay = self._world.between(0, apart)
            self._world.hub.after(delay, lambda alert=alert: self._begin(alert))
        if self._world.random.random() < 0.3:  # it recovers by itself
            self._world.hub.after(self._world.between(10, 8 * HOUR), lambda: self.mend(model))

    def gale(self) -> None:
        """A feature is broken: every model gets worse within some minutes."""
        for model in sorted(self.bad):
            later = self._world.between(0, 10 * MINUTE)
            self._world.hub.after(later, lambda model=model: self.worsen(model))

    def mend(self, model: str) -> None:
        """The model is good from now on; after a while it gets worse again."""
        if not self.bad[model]:
            return
        self.bad[model] = False
        for alert in self._alerts(model):
            self._end(alert)
        later = self._world.between(MINUTE, 8 * HOUR)
        self._world.hub.after(later, lambda: self.worsen(model))

    def trained(self, run: TrueRun) -> None:
        """A run ended; if it helped, the metric shows it a while later."""
        if run.state is RunState.SUCCEEDED and self._world.random.random() < 0.5:
            self._world.hub.after(self._world.between(0, HOUR), lambda: self.mend(run.model))

    def resolve_falsely(self) -> None:
        """The metric is gone for a while: its alert ends although the model stays bad."""
        firing = [alert for alert in self.alerts if alert.fires]
        if firing and not self._world.healing:
            alert = self._world.random.choice(firing)
            self._end(alert)
            back = self._world.between(1, 30 * MINUTE)
            self._world.hub.after(back, lambda: self._begin(alert))

    def restart(self) -> None:
        """Prometheus and Alertmanager restart: new beginnings, nothing resolved between."""
        for alert in self.alerts:
            if alert.fires and not self._world.healing:
                alert.spans = [[self._world.hub.now, None]]
                self._tell(alert, "begins anew, unresolved")

    def move_pod(self) -> None:
        """The model is served by another pod: other labels, another fingerprint."""
        model = self._world.random.choice(list(self.bad))
        before = self._alerts(model)
        if self._world.healing or not any(alert.fires for alert in before):
            return
        for alert in before:
            fires = alert.fires
            self._end(alert)
            alert.retired = True
            moved = TrueAlert(model, alert.name, f"pod-{len(self.alerts) + 1}")
            self.alerts.append(moved)
            if fires:
                self._begin(moved)

    def _alerts(self, model: str) -> list[TrueAlert]:
        """The alerts of the pod that serves the model now."""
        return [alert for alert in self.alerts if alert.model == model and not alert.retired]

    def _begin(self, alert: TrueAlert) -> None:
        if self.bad[alert.model] and not alert.fires and not alert.retired:
            alert.spans.append([self._world.hub.now, None])
            self._tell(alert, "begins")

    def _end(self, alert: TrueAlert) -> None:
        if alert.fires:
            alert.spans[-1][1] = self._world.hub.now
            self._tell(alert, "ends")

    def _tell(self, alert: TrueAlert, what: str) -> None:
        self._world.note("prometheus", Kind.ALERT, f"{alert.said} {what}")
        self.on_change(alert.model)
