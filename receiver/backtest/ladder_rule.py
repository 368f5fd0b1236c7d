"""The ladder as a rule: the very code that decides tomorrow, on state kept in memory."""

import heapq
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast

from receiver.backtest.memory import Memory
from receiver.backtest.rules import Answer, Order
from receiver.core import cooldowns
from receiver.core.alerts import Alert, Source
from receiver.core.decisions import OUTCOMES, Decision, Outcome, Reason
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.models import FiringAlert, LatestDispatch, Model
from receiver.core.policy_set import Matched, PolicySet
from receiver.core.runs import SOONEST_POLL, next_poll
from receiver.core.shared_room import Held, SharedRoom
from receiver.flows.deciding import Origin, decide_alert
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.rechecking import recheck_model
from receiver.store.store import Tx

SHARED = frozenset({Reason.BUDGET.value, Reason.STORM.value})
"""Rungs whose hold something else than the clock may end."""

DELIVERED = Origin(Source.ALERTMANAGER, "replay", "replay", "http://alertmanager")

SECOND = timedelta(seconds=1)
FOR_EVER = timedelta(days=3650)

IN_FLIGHT, COOLDOWN = Reason.IN_FLIGHT.value, Reason.COOLDOWN.value


class ReplayUnit(UnitOfWork):
    """A unit of work that lasts for a whole replay: its time goes on, its state stays.

    Attributes:
        waiting: Alerts that a storm or a budget holds, by fingerprint.

    """

    def __init__(self, memory: Memory, policy_set: PolicySet) -> None:
        self.memory = memory
        self.waiting: dict[str, FiringAlert] = {}
        # Deciding asks of a transaction what `Memory` answers, and nothing else of it.
        super().__init__(cast("Tx", memory), policy_set, models=memory.models)
        memory.models, memory.alerts_of = self.models, self.alerts_of

    def at(self, now: datetime) -> None:
        """Let it be later."""
        self.now = self.memory.moment = now
        self._overdue = {}
        self._usages = self.tx.usages(now)

    def leave_due(self, names: Collection[str]) -> None:
        """A check that is due now is made by the timer, whatever a delivery decides before it."""
        checks = {name: self.models[name].next_check_at for name in names}
        self._overdue = {
            name: due for name, due in checks.items() if due is not None and due <= self.now
        }

    def keep(self, entry: FiringAlert) -> None:
        """Put an entry into its model's set."""
        super().keep(entry)
        self._note(entry)

    def renew(self, entry: FiringAlert) -> None:
        """Put a confirmed entry in place of what it was."""
        super().renew(entry)
        self._note(entry)

    def _note(self, entry: FiringAlert) -> None:
        """Remember whether the entry waits."""
        if entry.held_by in SHARED:
            self.waiting[entry.fingerprint] = entry
        else:
            self.waiting.pop(entry.fingerprint, None)

    def drop(self, fingerprint: str) -> None:
        """Take an alert out of its set."""
        super().drop(fingerprint)
        self.waiting.pop(fingerprint, None)

    def finish(self) -> tuple[list[Decision], list[Dispatch], list[Model]]:
        """End a step: what was decided and ordered, and the models that changed."""
        decisions, dispatches = self.decisions, self._dispatches
        self.write_log()
        self.memory.save_recoveries(self._recoveries, self._relapses)
        touched = self._touched
        self._write_models()
        for name in touched:
            self._sort(name)
        self.announcements.clear()
        self.recovered.clear()
        for known in (self._recoveries, self._relapses):
            known.clear()
        self._confirmed.clear()
        self._remembered.clear()
        return decisions, dispatches, self.memory.take_changed()

    def _sort(self, name: str) -> None:
        """As a store would give it to the next unit of work: oldest first."""
        own = self._sets[name]
        if len(own) > 1:
            by_age = sorted(own.values(), key=lambda one: (one.starts_at, one.fingerprint))
            self._sets[name] = {one.fingerprint: one for one in by_age}

    def forget(self) -> None:
        """Let go of what is remembered of deliveries, where its time is over."""
        self._deliveries = {
            key: one for key, one in self._deliveries.items() if one.forget_at > self.now
        }


class LadderRule:
    """Decides as the receiver does, with a timer, budgets and storms; nobody pauses or approves.

    Attributes:
        models: The models as they stand.

    """

    def __init__(
        self,
        policy_set: PolicySet,
        names: Sequence[str],
        begins: datetime,
        *,
        repeats: bool = True,
    ) -> None:
        policies = policy_set.policies
        if not repeats:  # an alert that nobody repeats must not expire
            policies = tuple(replace(one, alert_expiry=FOR_EVER) for one in policies)
        # Nobody can be asked about the past whether an alert still fires.
        self._policies = replace(policy_set, policies=policies, asking=None, subscribers=())
        memory = Memory(names, policy_set.policies, begins)
        self._unit = ReplayUnit(memory, self._policies)
        self._checks: list[tuple[datetime, str]] = []
        self._expiries: list[tuple[datetime, str]] = []
        self._looks: list[datetime] = []
        self._runs: dict[str, Dispatch] = {}
        self._matched: dict[str, Matched] = {}
        self._steps = 0

    def hear(self, alerts: Sequence[Alert], now: datetime) -> Answer:
        """Decide what a notification brings."""
        self._unit.at(now)
        arrived = [self._match(alert) for alert in alerts]
        self._unit.leave_due({one.identity.model for one in arrived if one.identity})
        for one in arrived:
            decide_alert(self._unit, one, DELIVERED)
        for alert in alerts:
            entry = self._unit.entry(alert.fingerprint)
            if entry is not None:
                heapq.heappush(self._expiries, (entry.expires_at, entry.model))
        return self._close(now)

    def wakes_at(self) -> datetime | None:
        """The first moment at which a model is due, may expire or may be released."""
        self._drop_stale()
        heads = [heap[0][0] for heap in (self._checks, self._expiries) if heap]
        return min([*heads, *self._looks[:1]], default=None)

    def wake(self, now: datetime) -> Answer:
        """Do what the timer does: release, then decide the models that are due."""
        self._unit.at(now)
        while self._looks and self._looks[0] <= now:
            heapq.heappop(self._looks)
        due = self._due(self._checks, now) | self._due(self._expiries, now)
        for name in sorted(due | set(self._released(now))):
            if name not in due:  # let go by an event: `check_models` makes it due
                model = self._unit.models[name]
                self._unit.models[name] = replace(model, next_check_at=now)
            seen = {entry.fingerprint for entry in self._unit.alerts_of(name)}
            recheck_model(self._unit, name, seen)
            for entry in self._unit.alerts_of(name):
                heapq.heappush(self._expiries, (entry.expires_at, name))
        return self._close(now)

    def end(self, order: Order, began: datetime, ended: datetime) -> datetime:
        """The first poll that finds the run ended."""
        del order
        return began + _seen_after(ended - began)

    def learn(self, order: Order, began: datetime, now: datetime) -> Answer:
        """Follow a run to its end: `settle` holds its model on."""
        unit = self._unit
        unit.at(now)
        dispatch = self._runs.pop(order.id)
        fired = any(entry.counts(now) for entry in unit.alerts_of(order.model))
        unit.memory.end(dispatch, sent_at=began, ended_at=now, fired=fired)
        model = unit.models[order.model]
        if model.latest is not None and model.latest.id == order.id:
            ended = replace(model.latest, state=DispatchState.SUCCEEDED, ended_at=now)
            model = replace(model, latest=ended)
        unit.update(cooldowns.settle(model, dispatch.settle, now))
        unit.free(order.model, Reason.BUDGET)
        return self._close(now, [(order.model, COOLDOWN)])

    def _match(self, alert: Alert) -> Matched:
        known = self._matched.get(alert.fingerprint)
        if known is None:
            known = self._matched[alert.fingerprint] = self._policies.match(alert)
        return Matched(alert, known.policy, known.identity, known.problem)

    def _close(self, now: datetime, holds: Sequence[tuple[str, str]] = ()) -> Answer:
        decisions, dispatches, changed = self._unit.finish()
        ordered = [*dispatches, *self._limited_orders(decisions, dispatches)]
        for dispatch in ordered:
            self._begin(dispatch, now)
        if ordered:
            changed += self._unit.finish()[2]
        for model in changed:
            if model.next_check_at is not None:
                heapq.heappush(self._checks, (model.next_check_at, model.name))
            if model.episode_started_at is not None:
                self._unit.memory.forget_runs(model.name, model.episode_started_at)
        self._plan_looks(now)
        self._tidy()
        called = [*holds, *(hold for one in decisions if (hold := _hold(one)) is not None)]
        orders = [Order(one.id, one.model, one.policy) for one in ordered]
        return Answer(orders, decisions, called)

    def _limited_orders(
        self, decisions: Sequence[Decision], known: Sequence[Dispatch]
    ) -> list[Dispatch]:
        """Runs of policies with limits: those are stored at once, for the next alert to see."""
        ids = {one.id for one in known}
        wanted = {
            one.dispatch_id
            for one in decisions
            if one.dispatch_id is not None
            and one.reason is Reason.TRIGGERED
            and one.dispatch_id not in ids
        }
        return self._unit.memory.dispatches(wanted) if wanted else []

    def _begin(self, dispatch: Dispatch, now: datetime) -> None:
        """Send at once; the target takes it."""
        self._runs[dispatch.id] = dispatch
        model = self._unit.models[dispatch.model]
        running = LatestDispatch(dispatch.id, DispatchState.RUNNING, dispatch.id, now)
        self._unit.update(cooldowns.take(replace(model, latest=running), dispatch.cooldown, now))

    def _due(self, heap: list[tuple[datetime, str]], now: datetime) -> set[str]:
        due = set()
        while heap and heap[0][0] <= now:
            due.add(heapq.heappop(heap)[1])
        return due

    def _drop_stale(self) -> None:
        """Let go of planned checks that were put off or are done."""
        models = self._unit.models
        while self._checks and models[self._checks[0][1]].next_check_at != self._checks[0][0]:
            heapq.heappop(self._checks)
        while self._expiries and not any(
            entry.expires_at == self._expiries[0][0]
            for entry in self._unit.alerts_of(self._expiries[0][1])
        ):
            heapq.heappop(self._expiries)

    def _released(self, now: datetime) -> list[str]:
        """The models that a storm's end or room in a budget lets go (`flows/worker/releasing`)."""
        if not self._unit.waiting:
            return []
        waiting = sorted(
            self._unit.waiting.values(), key=lambda one: (one.starts_at, one.fingerprint)
        )
        free = [one for one in waiting if one.held_until is None or one.held_until <= now]
        return [*self._given_room(free, now), *self._calmed(free, now)]

    def _given_room(self, waiting: Sequence[FiringAlert], now: datetime) -> list[str]:
        held = [one for one in waiting if one.held_by == Reason.BUDGET.value]
        if not held:
            return []
        names = {one.policy for one in held}
        asking = [one for one in self._policies.policies if one.name in names]
        usages = self._unit.memory.usages(now)
        room = SharedRoom(usages.of, usages.shared, asking)
        return room.give_out(Held(one.model, one.policy) for one in held)

    def _calmed(self, waiting: Sequence[FiringAlert], now: datetime) -> list[str]:
        names: list[str] = []
        for policy in self._policies.policies:
            held = {
                one.model
                for one in waiting
                if one.held_by == Reason.STORM.value and one.policy == policy.name
            }
            if policy.storm is not None and held:
                onsets = self._unit.memory.sorted_onsets(policy.name, policy.storm, now)
                names += sorted(onsets.calm_models(held))
        return names

    def _plan_looks(self, now: datetime) -> None:
        """The timer looks every second; here it looks when a release is possible."""
        held = {(one.held_by, one.policy) for one in self._unit.waiting.values()}
        for policy in self._policies.policies:
            if (Reason.BUDGET.value, policy.name) in held:
                usages = self._unit.memory.usages(now).shared(policy)
                ends = [one.frees_at for one in usages if one.is_spent and one.frees_at]
                self._look(max(ends, default=now), now)
                if not any(one.is_spent for one in usages) and self._released(now):
                    self._look(now + SECOND, now)
            if policy.storm is not None and (Reason.STORM.value, policy.name) in held:
                onsets = self._unit.memory.onsets(policy.name, policy.storm, now).values()
                calm = policy.storm.calm
                ends = [one.emptied_at + calm for one in onsets if one.emptied_at is not None]
                self._look(min((end for end in ends if end > now), default=now), now)

    def _look(self, when: datetime, now: datetime) -> None:
        if when > now and when not in self._looks[:1]:
            heapq.heappush(self._looks, when)

    def _tidy(self) -> None:
        """Now and then let go of deliveries nobody will ask about: memory must not grow."""
        self._steps += 1
        if self._steps % 2000 == 0:
            self._unit.forget()


@lru_cache(maxsize=1024)
def _seen_after(took: timedelta) -> timedelta:
    """How long after its beginning the first poll finds a run ended."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    seen = began + SOONEST_POLL
    while seen < began + took:
        seen = next_poll(began, seen)
    return seen - began


def _hold(decision: Decision) -> tuple[str, str] | None:
    """What a model's hold is called after a decision; None if the decision changes nothing."""
    if decision.model is None:
        return None
    if decision.reason is Reason.TRIGGERED:
        return decision.model, IN_FLIGHT
    held = OUTCOMES[decision.reason] is Outcome.HOLD or decision.reason is Reason.OBSERVED
    return (decision.model, decision.reason.value) if held else None
