"""Naive and published rules: what others do with the same alerts, to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from receiver.backtest.rules import Answer, Order
from receiver.core.alerts import Alert, AlertStatus
from receiver.core.policy_set import PolicySet


@dataclass(slots=True)
class Heard:
    """What a rule knows of a model: which alerts fire, since when, and its last run."""

    policy: str
    firing: set[str] = field(default_factory=set)
    since: datetime | None = None
    ran_at: datetime | None = None
    in_flight: int = 0


class NaiveRule:
    """Knows what it was told, no more; nothing is decided without a notification."""

    def __init__(self, policy_set: PolicySet) -> None:
        self._policies = policy_set
        self._numbers = count(1)
        self.models: dict[str, Heard] = {}

    def wants(self, model: str, heard: Heard, now: datetime) -> bool:
        """Whether to run, for an alert that was just delivered firing."""
        raise NotImplementedError

    def hear(self, alerts: Sequence[Alert], now: datetime) -> Answer:
        """Note what fires; run what the rule wants."""
        orders: list[Order] = []
        holds: list[tuple[str, str]] = []
        for alert in alerts:
            matched = self._policies.match(alert)
            if matched.identity is None or matched.policy is None:
                continue
            model = matched.identity.model
            heard = self.models.setdefault(model, Heard(matched.policy.name))
            _note(heard, alert, now)
            if alert.status is AlertStatus.FIRING:
                if self.wants(model, heard, now):
                    orders.append(self._run(model, heard, now))
                holds.append((model, "in_flight" if heard.in_flight else "held"))
        return Answer(orders, holds=holds)

    def wakes_at(self) -> datetime | None:
        """Never by itself."""
        return None

    def wake(self, now: datetime) -> Answer:
        """Nothing to do."""
        del now
        return Answer()

    def end(self, order: Order, began: datetime, ended: datetime) -> datetime:
        """Known at once."""
        del order, began
        return ended

    def learn(self, order: Order, began: datetime, now: datetime) -> Answer:
        """One run less is in flight."""
        del began, now
        heard = self.models[order.model]
        heard.in_flight -= 1
        return Answer(holds=[] if heard.in_flight else [(order.model, "held")])

    def _run(self, model: str, heard: Heard, now: datetime) -> Order:
        heard.ran_at = now
        heard.in_flight += 1
        return Order(f"{next(self._numbers):026d}", model, heard.policy)


def _note(heard: Heard, alert: Alert, now: datetime) -> None:
    if alert.status is AlertStatus.FIRING:
        heard.firing.add(alert.fingerprint)
        heard.since = heard.since or now
    else:
        heard.firing.discard(alert.fingerprint)
        if not heard.firing:
            heard.since = None


class EveryAlert(NaiveRule):
    """Runs for each alert that is delivered firing, repeats too: a script behind a webhook."""

    def wants(self, model: str, heard: Heard, now: datetime) -> bool:
        """Always."""
        del model, heard, now
        return True


class CooldownOnly(NaiveRule):
    """Runs for an alert unless the model's last run began less than the cooldown ago."""

    def wants(self, model: str, heard: Heard, now: datetime) -> bool:
        """Whether the policy's cooldown is over; there is no timer that would look again."""
        del model
        policy = self._policies.policy(heard.policy)
        cooldown = timedelta(0) if policy is None else policy.cooldown
        return heard.ran_at is None or now >= heard.ran_at + cooldown


class TimedRule(NaiveRule):
    """Looks again by itself once an hour while a model is bad."""

    EVERY = timedelta(hours=1)

    def __init__(self, policy_set: PolicySet) -> None:
        super().__init__(policy_set)
        self._next: datetime | None = None

    def hear(self, alerts: Sequence[Alert], now: datetime) -> Answer:
        """Note what fires, and look again later."""
        answer = super().hear(alerts, now)
        if self._next is None and any(one.firing for one in self.models.values()):
            self._next = now + self.EVERY
        return answer

    def wakes_at(self) -> datetime | None:
        """The next look."""
        return self._next

    def wake(self, now: datetime) -> Answer:
        """Ask of each model that is bad."""
        orders = [
            self._run(model, heard, now)
            for model, heard in sorted(self.models.items())
            if heard.firing and self.wants(model, heard, now)
        ]
        bad = any(one.firing for one in self.models.values())
        self._next = now + self.EVERY if bad else None
        return Answer(orders, holds=[(one.model, "in_flight") for one in orders])


class CostAware(TimedRule):
    """Runs once being bad has cost as much as a run, counted from the last run on.

    The cumulative threshold of CARA (Mahadevan and Mathioudakis, "Cost-aware retraining for
    machine learning", Knowledge-Based Systems, arXiv 2310.04216) with what an alert tells: that a
    model is bad, not by how much.
    """

    def __init__(self, policy_set: PolicySet, run_cost: float, bad_hour: float) -> None:
        super().__init__(policy_set)
        self._patience = timedelta(hours=run_cost / bad_hour)

    def wants(self, model: str, heard: Heard, now: datetime) -> bool:
        """Whether waiting has cost a run."""
        del model
        since = heard.since if heard.ran_at is None else max(heard.since or now, heard.ran_at)
        return not heard.in_flight and since is not None and now - since >= self._patience


class Budgeted(TimedRule):
    """Runs while fewer runs were used than the budget allows by now, spread evenly over time.

    As budgets of labels are spent on drifting streams (Žliobaitė, Bifet, Pfahringer and Holmes,
    "Active learning with drifting streaming data", 2014), for each model.
    """

    def __init__(self, policy_set: PolicySet, begins: datetime, every: timedelta) -> None:
        super().__init__(policy_set)
        self._begins = begins
        self._every = every
        self._used: dict[str, int] = {}

    def wants(self, model: str, heard: Heard, now: datetime) -> bool:
        """Whether the budget has one for it."""
        earned = 1 + (now - self._begins) / self._every
        used = self._used.get(model, 0)
        if heard.in_flight or used + 1 > earned:
            return False
        self._used[model] = used + 1
        return True
