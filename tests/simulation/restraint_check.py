"""The rungs that a policy adds, told from the log: which of them hold a model, and until when.

Each answers True, False, or None where the log can't tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.policies import Mode, Policy
from receiver.core.storms import Storm
from receiver.core.windows import Window
from tests.simulation.model_state import EVER, LIVE, Answer, ModelRecord, Onset, Order

HALF_HOUR = timedelta(minutes=30)
"""The windows of these histories begin and end with one, in every zone they name."""

MINUTES_OF_A_WEEK = 7 * 24 * 60

CENT = 0.01

Span = tuple[datetime, datetime]

FOREVER = datetime.fromisoformat("9000-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Spent:
    """What one order takes of a limit, at least and at most."""

    at: datetime
    least: float
    most: float


@dataclass(slots=True)
class Restraint:
    """What holds models below `cooldown`.

    Attributes:
        models: What fires, by model.
        orders: Every dispatch so far, by id.
        released: When a policy's models were last released from a storm.
        asks: Whether sources are asked: then a run's effect may be unknown.

    """

    models: Mapping[str, ModelRecord]
    orders: Mapping[str, Order]
    released: dict[str, datetime] = field(default_factory=dict)
    asks: bool = False

    def holding(self, policy: Policy, model: ModelRecord, now: datetime) -> tuple[set[str], bool]:
        """The rungs that may hold a model, up to the first that surely does; whether one does."""
        allowed: set[str] = set()
        rungs = {
            "window": self._window,
            "storm": self._storm,
            "exhausted": self._exhausted,
            "budget": self._budget,
            "approval": self._approval,
        }
        for name, rung in rungs.items():
            answer = rung(policy, model, now)
            if answer is not False:
                allowed.add(name)
            if answer:
                return allowed, True
        return allowed, False

    def free(self, policy: Policy, model: ModelRecord, begins: datetime) -> Span | None:
        """When none of them can hold a model any more, from `begins` on; None: events decide."""
        storm, ends = policy.storm, FOREVER
        if storm is not None and not self._is_released(policy, model, begins):
            began = model.began(policy, begins)
            begins = max(begins, began + storm.wait)
            calm = self._calm_at(policy, storm, model, began, begins)
            if calm is None and not self._approved(policy, model, begins):
                return None
            begins = max(begins, calm or begins)
        for limit in policy.limits:
            room = self._room_at(limit, policy, model, begins)
            if room is None:
                return None
            begins = max(begins, room)
        if policy.window is not None:
            begins, ends = hours_from(policy.window, begins)
        asked = (self._exhausted, self._approval)
        if any(rung(policy, model, begins) is not False for rung in asked):
            return None
        if model.answer is not None and model.answer.approved and policy.asks:
            ends = min(ends, model.answer.until)
        return begins, ends

    def runs_of(self, model: str, since: datetime, now: datetime) -> tuple[int, int]:
        """How many runs of a model were ordered since then, and may have begun.

        At least and at most: one of which nobody knows what it brought does not count.
        """
        known = [
            order
            for order in self.orders.values()
            if order.model == model and order.at >= since and order.counts
        ]
        unknown = [order for order in known if self.asks and order.may_be_unknown(now)]
        return len(known) - len(unknown), len(known)

    def answered(
        self, model: ModelRecord, episode: datetime | None, now: datetime
    ) -> Answer | None:
        """What a human said about one more run of an episode, unless that run was ordered."""
        answer = model.answer
        if answer is None or answer.episode != episode or answer.until <= now:
            return None
        if answer.used_by is None:
            return answer
        is_latest = model.latest == answer.used_by
        return answer if is_latest and not self.orders[answer.used_by].counts else None

    def asks_anew(self, policy: Policy, model: ModelRecord, reason: str, at: datetime) -> None:
        """A rung that asks forgets an answer that was used up, also if nothing ran in the end."""
        asks = {"exhausted", "approval"}
        if policy.storm is not None and at >= model.began(policy, at) + policy.storm.wait:
            asks.add("storm")
        if all(limit.asks for limit in policy.limits):
            asks.add("budget")
        if reason in asks and self.answered(model, model.onset.began_at, at) is None:
            model.answer = None

    def _approved(self, policy: Policy, model: ModelRecord, now: datetime) -> bool:
        answer = self.answered(model, model.began(policy, now), now)
        return answer is not None and answer.approved

    def _window(self, policy: Policy, _model: ModelRecord, now: datetime) -> bool:
        return policy.window is not None and not is_open(policy.window, now)

    def _storm(self, policy: Policy, model: ModelRecord, now: datetime) -> bool | None:
        storm, began = policy.storm, model.began(policy, now)
        if storm is None or self._is_released(policy, model, now):
            return False
        if now < began + storm.wait:
            return True
        if self._approved(policy, model, now):
            return False
        least, most = self._gathered(policy, storm, model, began, now)
        return None if least <= storm.models < most else most > storm.models

    def _is_released(self, policy: Policy, model: ModelRecord, now: datetime) -> bool:
        return model.began(policy, now) <= self.released.get(policy.name, EVER)

    def _gathered(
        self, policy: Policy, storm: Storm, model: ModelRecord, began: datetime, now: datetime
    ) -> tuple[int, int]:
        """How many fire together with it: one that changed with this very decision, perhaps."""
        least = most = 1
        for other in self.models.values():
            if other is model:
                continue
            known = {other.onset, other.before if other.changed_at == now else other.onset}
            near = [
                is_near(onset, policy, storm, began)
                and (onset.emptied_at is None or onset.emptied_at > now - storm.calm)
                for onset in known
            ]
            least, most = least + all(near), most + any(near)
        return least, most

    def _calm_at(
        self, policy: Policy, storm: Storm, model: ModelRecord, began: datetime, begins: datetime
    ) -> datetime | None:
        """From when on few enough fire together with it, if nothing else happens."""
        near = [
            None if other is model else other.onset.emptied_at
            for other in self.models.values()
            if other is model or is_near(other.onset, policy, storm, began)
        ]
        if sum(emptied is None for emptied in near) > storm.models:
            return None
        ends = sorted(emptied + storm.calm for emptied in near if emptied is not None)
        surplus = len(near) - storm.models
        return max(begins, ends[surplus - 1]) if surplus > 0 else begins

    def _exhausted(self, policy: Policy, model: ModelRecord, now: datetime) -> bool | None:
        if policy.attempts is None or self._approved(policy, model, now):
            return False
        least, most = self.runs_of(model.name, model.began(policy, now), now)
        return True if least >= policy.attempts else None if most >= policy.attempts else False

    def _approval(self, policy: Policy, model: ModelRecord, now: datetime) -> bool:
        answer = self.answered(model, model.began(policy, now), now)
        if not policy.asks or (answer is not None and answer.approved):
            return False
        return policy.mode is Mode.APPROVE or answer is not None

    def _budget(self, policy: Policy, model: ModelRecord, now: datetime) -> bool | None:
        surely, perhaps = [], []
        for limit in policy.limits:
            spent = list(self._spent(limit, policy, model, now))
            left = limit.most - needed(limit, policy)
            if sum(one.least for one in spent) > left + CENT:
                surely.append(limit)
            if sum(one.most for one in spent) > left - CENT * (limit.counted is Counted.COST):
                perhaps.append(limit)
        if self._approved(policy, model, now):
            surely = [limit for limit in surely if not limit.asks]
            if all(limit.asks for limit in perhaps):
                perhaps = []
        return True if surely else None if perhaps else False

    def _spent(
        self, limit: Limit, policy: Policy, model: ModelRecord, now: datetime
    ) -> Iterator[Spent]:
        for order in self.orders.values():
            other_model = limit.scope is Scope.MODEL and order.model != model.name
            other_policy = limit.scope is Scope.POLICY and order.policy != policy.name
            if other_model or other_policy:
                continue
            if limit.span is None:
                if order.state in LIVE:
                    yield Spent(order.at, 1, 1)
            elif order.at > now - limit.span:
                if limit.counted is Counted.COST:
                    yield Spent(order.at, *order.cost)
                elif order.counts:
                    yield Spent(order.at, 1, 1)

    def _room_at(
        self, limit: Limit, policy: Policy, model: ModelRecord, begins: datetime
    ) -> datetime | None:
        """From when on one more run fits; None if only a run's end, or a human, can tell."""
        spent = sorted(self._spent(limit, policy, model, begins), key=lambda one: one.at)
        used = sum(one.most for one in spent)
        for one in spent:
            if used + needed(limit, policy) <= limit.most:
                break
            if limit.span is None:
                return None
            used -= one.most
            begins = one.at + limit.span
        return begins if used + needed(limit, policy) <= limit.most else None


def is_near(onset: Onset, policy: Policy, storm: Storm, began: datetime) -> bool:
    """Whether a model began to fire together with another one."""
    if onset.began_at is None or policy.name not in onset.policies:
        return False
    return abs(onset.began_at - began) <= storm.within


def needed(limit: Limit, policy: Policy) -> float:
    """What one more run takes."""
    if limit.counted is not Counted.COST:
        return 1
    return policy.cost.amount if policy.cost else 0


def is_open(window: Window, moment: datetime) -> bool:
    """Whether a clock on the wall shows one of the hours of a week."""
    number = (moment - EVER) // HALF_HOUR
    return _is_open(window, number)


@lru_cache(maxsize=10_000)
def _is_open(window: Window, number: int) -> bool:
    local = (EVER + number * HALF_HOUR).astimezone(window.zone)
    shown = (local.weekday() * 24 + local.hour) * 60 + local.minute
    for hours in window.hours:
        length = (hours.end - hours.start) % (24 * 60) or 24 * 60
        for day in hours.days:
            if (shown - day * 24 * 60 - hours.start) % MINUTES_OF_A_WEEK < length:
                return True
    return False


def hours_from(window: Window, begins: datetime) -> Span:
    """The next hours, or what is left of the present ones."""
    while not is_open(window, begins):
        begins = EVER + ((begins - EVER) // HALF_HOUR + 1) * HALF_HOUR
    ends = begins
    while is_open(window, ends) and ends < begins + timedelta(days=1):
        ends = EVER + ((ends - EVER) // HALF_HOUR + 1) * HALF_HOUR
    return begins, ends
