"""Alertmanagers: groups, intervals, retries, peers that tell each other or don't."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

from receiver.core.alerts import Alert, AlertStatus, Notification
from receiver.core.sources import Listed, Listing, Quiet, SourceDown
from tests.simulation.plans import HOUR, MINUTE
from tests.simulation.prometheus import Prometheus, TrueAlert
from tests.simulation.world import Kind, World

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Alertmanager's back-off between tries within one flush."""

QUICK, DEAF = 10.0, 5 * MINUTE
"""Prometheus tells it at once; or it hears nothing, and soon takes that for an end."""


class Answered(Protocol):
    """Told once whether the answer was 2xx."""

    def __call__(self, *, good: bool) -> None:
        """True: 2xx. False: 5xx, cut, refused."""


class Receivers(Protocol):
    """What a URL leads to."""

    def post(self, who: str, notification: Notification, answered: Answered) -> None:
        """Deliver."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry of the notification log."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at: float


class Group:
    """One group of one Alertmanager."""

    def __init__(self, manager: "Alertmanager", key: tuple[str, ...]) -> None:
        self.key = key
        self._am = manager
        self._world = manager.world
        self._base: float | None = None
        self._tick = math.inf
        self._busy = False
        self._life = 0
        self.sent: Sent | None = None

    def forget(self) -> None:
        """Its Alertmanager lost its memory."""
        self._base, self._tick, self._busy, self.sent = None, math.inf, False, None
        self._life += 1

    def touch(self, earliest: float) -> None:
        """Something may be to be sent from then on."""
        plan = self._world.plan
        earliest = max(earliest, self._world.hub.now)
        if self._base is None:
            self._base = earliest + plan.group_wait
        behind = max(earliest - self._base, 0)
        tick = self._base + math.ceil(behind / plan.group_interval) * plan.group_interval
        if tick < self._tick:
            self._tick = tick
            self._world.hub.at(tick, lambda life=self._life: self._flush(tick, life))

    def _flush(self, tick: float, life: int) -> None:
        if tick != self._tick or life != self._life:
            return
        self._tick = math.inf
        if self._busy:
            self.touch(self._world.hub.now + 1)
            return
        alerts = self._am.members(self.key)
        if not alerts:
            self._base = None
        elif self._due(alerts):
            self._busy = True
            # Whoever sees no peers takes itself for the first of them.
            place = 0 if self._am.alone else self._am.position
            wait = place * self._world.plan.peer_timeout
            deadline = self._world.hub.now + max(self._world.plan.group_interval, 10) + wait
            first = lambda: self._first(alerts, deadline, life)  # noqa: E731
            self._world.hub.after(wait, first)
        else:
            self._plan_repeat()

    def _due(self, alerts: Sequence[Alert]) -> bool:
        """Alertmanager's own rule (dedup_stage.go)."""
        now = sent_now(alerts, self._world.hub.now)
        if self.sent is None:
            return bool(now.firing)
        if not now.firing <= self.sent.firing:
            return True
        if not now.firing:
            return bool(self.sent.firing)
        if not now.resolved <= self.sent.resolved:
            return True
        return now.at >= self.sent.at + self._world.plan.repeat_interval

    def _plan_repeat(self) -> None:
        if self.sent is not None and self.sent.firing:
            self.touch(self.sent.at + self._world.plan.repeat_interval)

    def _first(self, alerts: Sequence[Alert], deadline: float, life: int) -> None:
        if life != self._life:
            return
        if self._due(alerts):  # no peer has told us meanwhile that it was sent
            self._try(alerts, deadline, FIRST_WAIT, life)
        else:
            self._busy = False
            self._plan_repeat()

    def _try(self, alerts: Sequence[Alert], deadline: float, wait: float, life: int) -> None:
        world = self._world
        if life != self._life:
            return
        if world.hub.now >= deadline:
            self._busy = False
            self.touch(world.hub.now)
            return
        waiting = [True]

        def answered(*, good: bool) -> None:
            if not waiting or life != self._life:
                return
            waiting.clear()
            if good:
                self._done(alerts)
            else:
                pause = wait * world.between(0.5, 1.5)
                longer = min(wait * 1.5, LONGEST_WAIT)
                world.hub.after(pause, lambda: self._try(alerts, deadline, longer, life))

        self._am.post(self.key, alerts, answered)
        world.hub.at(deadline, lambda: answered(good=False))

    def _done(self, alerts: Sequence[Alert]) -> None:
        self._busy = False
        self.sent = sent_now(alerts, self._world.hub.now)
        self._am.gossip(self.key, self.sent)
        self.touch(self._world.hub.now + 1)


def sent_now(alerts: Sequence[Alert], now: float) -> Sent:
    """What the notification log would hold."""
    return Sent(
        frozenset(one.fingerprint for one in alerts if one.status is AlertStatus.FIRING),
        frozenset(one.fingerprint for one in alerts if one.status is AlertStatus.RESOLVED),
        now,
    )


class Alertmanager:
    """One of several peers.

    Attributes:
        position: Its place among them: so often it waits `peer_timeout` for the others.
        lag: Seconds until it hears from Prometheus.
        quiet: Models that nobody is told of, and why; None where another alert inhibits theirs.
        lives: How often it was started.
        lists_from: Until then it lists nothing: it was just started, or lies.
        unreachable_until: Until then nobody can ask it anything.

    """

    def __init__(
        self, world: World, position: int, prometheus: Prometheus, receivers: Receivers
    ) -> None:
        self.world = world
        self.position = position
        self.name = f"am{position}"
        self.lag = world.between(0.1, QUICK)
        self.peers: list[Alertmanager] = []
        self.alone = False
        self.down = False
        self.groups: dict[tuple[str, ...], Group] = {}
        self.quiet: dict[str, Quiet | None] = {}
        self.lives = 1
        self.lists_from = 0.0
        self.unreachable_until = 0.0
        self._prometheus = prometheus
        self._receivers = receivers
        self._posts = count(1)

    def changed(self, model: str) -> None:
        """Prometheus has news of a model."""
        for alert in self._prometheus.alerts:
            if alert.model == model and not self.down:
                self._group(alert).touch(self.world.hub.now + self.lag)

    def members(self, key: tuple[str, ...]) -> list[Alert]:
        """What the group would list now. A silenced alert is absent, nothing more."""
        world, found = self.world, []
        for alert in self._prometheus.alerts:
            if self._key(alert) != key or alert.model in self.quiet:
                continue
            seen = alert.seen(world, world.hub.now - self.lag)
            if seen is None:
                continue
            if seen.status is AlertStatus.RESOLVED and not world.plan.send_resolved:
                continue
            found.append(seen)
        return sorted(found, key=lambda one: (one.labels["instance"], one.fingerprint))

    def post(self, key: tuple[str, ...], alerts: Sequence[Alert], answered: Answered) -> None:
        """Send what `max_alerts` leaves."""
        most = self.world.plan.max_alerts or len(alerts)
        listed = [replace(one, position=place) for place, one in enumerate(alerts[:most])]
        notification = Notification(
            receiver="retrain",
            group_key=f"{{}}:{key}",
            status="firing",
            external_url="http://alertmanager:9093",  # of one cluster, behind one address
            truncated_alerts=len(alerts) - len(listed),
            notification_reason=None,
            route_labels=None,
            alerts=tuple(listed),
            body=f'{{"post": "{self.name}/{next(self._posts)}"}}'.encode(),
        )
        self._receivers.post(self.name, notification, answered)

    def gossip(self, key: tuple[str, ...], sent: Sent) -> None:
        """Tell the peers what was sent, unless the line is cut."""
        for peer in self.peers:
            if peer is not self and not (peer.alone or self.alone or peer.down):
                delay = self.world.between(0.05, 1)
                self.world.hub.after(delay, lambda peer=peer: peer.hear(key, sent))

    def hear(self, key: tuple[str, ...], sent: Sent) -> None:
        """Take a peer's word."""
        group = self.groups.get(key)
        if group is not None and (group.sent is None or group.sent.at < sent.at):
            group.sent = sent
            group.touch(self.world.hub.now)  # it may believe something else

    def listing(self) -> Listing:
        """What `/api/v2/alerts` and `/status` answer. Raises `SourceDown`."""
        now = self.world.hub.now
        if self.down or now < self.unreachable_until:
            raise SourceDown("no connection")
        known = [] if now < self.lists_from else self._prometheus.alerts
        seen = [one.seen(self.world, now - self.lag) for one in known]
        firing = [one for one in seen if one is not None and one.status is AlertStatus.FIRING]
        return Listing([self._listed(one) for one in firing], f"life {self.lives}")

    def _listed(self, alert: Alert) -> Listed:
        model = alert.labels["user_id"]
        quiet, inhibited = self.quiet.get(model), self.quiet.get(model, ...) is None
        began = alert.starts_at
        assert began is not None
        said = {"value": str(alert.value)}
        return Listed(
            alert.fingerprint, alert.labels, began, said, quiet=quiet, settled=not inhibited
        )

    def trouble(self) -> None:
        """It dies, loses its peers, or hears late from Prometheus; for a while."""
        if self.world.healing:
            return
        what = self.world.random.choice(("down", "alone", "deaf", "deaf"))
        self.world.note(self.name, Kind.FAULT, f"Alertmanager: {what}")
        self.alone = self.alone or what == "alone"
        self.lag = DEAF if what == "deaf" else self.lag
        if what == "down":
            self.down = True
            for group in self.groups.values():
                group.forget()
        self.world.hub.after(self.world.between(1, 4 * HOUR), self.recover)

    def mislead(self) -> None:
        """Whoever asks it hears nothing, or nothing true; or it was restarted and lost all."""
        world = self.world
        if world.healing:
            return
        what = world.random.choice(("unreachable", "lists nothing", "restarted", "restarted"))
        world.note(self.name, Kind.FAULT, f"Alertmanager: {what}")
        if what == "unreachable":
            self.unreachable_until = world.hub.now + world.between(MINUTE, 3 * HOUR)
        elif what == "lists nothing":
            self.lists_from = world.hub.now + world.between(1, 30 * MINUTE)
        else:
            self._forget()
            self.recover()

    def _forget(self) -> None:
        """Start again without its data: Prometheus tells it of most within minutes."""
        self.lives += 1
        self.lists_from = self.world.hub.now + self.world.between(1, 4 * MINUTE)
        for group in self.groups.values():
            group.forget()

    def recover(self) -> None:
        """It is back; if it was down, without its memory of what it sent."""
        if self.down:
            self._forget()
        self.down = self.alone = False
        self.lag = min(self.lag, QUICK)
        for alert in self._prometheus.alerts:
            self._group(alert).touch(self.world.hub.now + MINUTE)

    def hush(self, model: str, quiet: Quiet | None) -> None:
        """Nobody is told of a model for a while: silenced, muted, or inhibited (None)."""
        how = quiet.how.value if quiet else "inhibited"
        self.world.note(self.name, Kind.FAULT, f"{model} is {how}")
        self.quiet[model] = quiet

    def speak(self, model: str, quiet: Quiet | None) -> None:
        """What kept a model quiet has ended, unless something else does by now."""
        if model in self.quiet and self.quiet[model] is quiet:
            self.world.note(self.name, Kind.FAULT, f"{model} is quiet no more")
            del self.quiet[model]
            self.recover()

    def heal(self) -> None:
        """It is up, can be asked, and keeps nothing to itself."""
        self.quiet.clear()
        self.lists_from = self.unreachable_until = 0.0
        self.recover()

    def _key(self, alert: TrueAlert) -> tuple[str, ...]:
        return tuple(alert.labels[name] for name in self.world.plan.group_by)

    def _group(self, alert: TrueAlert) -> Group:
        key = self._key(alert)
        if key not in self.groups:
            self.groups[key] = Group(self, key)
        return self.groups[key]
