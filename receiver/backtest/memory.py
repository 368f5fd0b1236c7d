"""What a store would remember, for one replay: runs, costs and questions, in memory."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from receiver.core.approvals import Approval, in_force
from receiver.core.budgets import Counted, Limit, Scope, Spending, Usage, real_cost, usage
from receiver.core.decisions import Decision
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.models import FiringAlert, Model, Pause, with_firing
from receiver.core.policies import Policy
from receiver.core.restraints import Restraints, Runs
from receiver.core.run_ends import INEFFECTIVE, Signs, effect_of
from receiver.core.storms import Gathering, Onset, Onsets, Storm
from receiver.store.model_rows import Delivery


@dataclass(slots=True)
class Ordered:
    """One run, as limits count it."""

    dispatch: Dispatch
    unit: str
    reserved: float
    amount: float
    run_time: timedelta | None
    live: bool = True
    settles_at: datetime | None = None
    fired: bool = False
    recovered: bool = False

    def helped_nobody(self, now: datetime) -> bool:
        """Whether it ended well and settled, and its model fires all the same."""
        if self.settles_at is None:
            return False
        signs = Signs(
            state=DispatchState.SUCCEEDED,
            verdict=None,
            fired=self.fired,
            recovered=self.recovered,
            settled=self.settles_at <= now,
        )
        return effect_of(signs) in INEFFECTIVE


class MemoryUsages:
    """How much of limits is used at one moment."""

    def __init__(self, orders: Sequence[Ordered], now: datetime) -> None:
        self._orders = orders
        self._now = now

    def of(self, policy: Policy, model: str) -> tuple[Usage, ...]:
        """Each of a policy's limits, for one more run of this model."""
        return tuple(self._of(limit, policy, model) for limit in policy.limits)

    def shared(self, policy: Policy) -> tuple[Usage, ...]:
        """Those of them that its models share."""
        return tuple(self._of(limit, policy, "") for limit in policy.limits if limit.is_wide)

    def _of(self, limit: Limit, policy: Policy, model: str) -> Usage:
        whose = limit.whose(policy.name, model)
        mine = [one for one in self._orders if _counts(limit, whose, one)]
        if limit.span is None:
            return usage(limit, [Spending(o.dispatch.created_at) for o in mine if o.live], 1)
        since = self._now - limit.span
        mine = [one for one in mine if one.dispatch.created_at > since]
        if limit.counted is Counted.COST:
            spent = [
                Spending(o.dispatch.created_at, o.amount) for o in mine if o.unit == limit.unit
            ]
            return usage(limit, spent, policy.cost.amount if policy.cost else 0)
        return usage(limit, [Spending(one.dispatch.created_at) for one in mine], 1)


def _counts(limit: Limit, whose: str, one: Ordered) -> bool:
    if limit.scope is Scope.TOTAL:
        return True
    return whose == (one.dispatch.model if limit.scope is Scope.MODEL else one.dispatch.policy)


class MemoryStorms:
    """Who began to fire together: sorted once for a moment, until one begins or ceases."""

    def __init__(self) -> None:
        self._sorted: dict[tuple[str, datetime], Onsets] = {}

    def changed(self) -> None:
        """What was sorted is old."""
        self._sorted.clear()

    def of(self, policy: str, now: datetime, sort: Callable[[], Onsets]) -> Onsets:
        """The onsets of a policy's models at this moment."""
        key = (policy, now)
        if key not in self._sorted:
            self._sorted.clear()  # an earlier moment is not asked about again
            self._sorted[key] = sort()
        return self._sorted[key]


class MemoryPasts:
    """What happened to models before; nothing of it is read ahead here."""

    def __init__(self) -> None:
        self.storms = MemoryStorms()

    def changed(self, name: str) -> None:
        """Nothing has to be read again."""


class Memory:
    """Answers what a unit of work asks of a transaction; nothing is locked, nothing is written.

    Attributes:
        moment: The replay's time.
        changed: Models whose state changed since `take_changed`.
        models: As they stand; the unit of work keeps them.

    """

    def __init__(self, names: Iterable[str], policies: Sequence[Policy], begins: datetime) -> None:
        self.moment = begins
        self.models: dict[str, Model] = {name: Model(name) for name in names}
        self.changed: list[Model] = []
        self.alerts_of: Callable[[str], Sequence[FiringAlert]] = lambda _name: ()
        self._numbers = count(1)
        self._orders: list[Ordered] = []
        self._of_model: dict[str, list[Ordered]] = {}
        self._approvals: dict[str, Approval] = {}
        spans = [limit.span for one in policies for limit in one.limits if limit.span is not None]
        self._limited = any(one.limits for one in policies)
        self._longest = max(spans, default=timedelta(0))
        self._pasts = MemoryPasts()

    # What a unit of work reads when it begins.

    def take_advisory_lock(self, *_lock: object, **_shared: object) -> None:
        """Nobody else is here."""

    def lock_with_sets(self, *_asked: object) -> tuple[dict[str, Model], list[FiringAlert]]:
        """All models of the replay; nothing fires yet."""
        return self.models, []

    def now(self) -> datetime:
        """The replay's time."""
        return self.moment

    def pauses(self) -> list[Pause]:
        """Nobody pauses the past."""
        return []

    def pasts(self, _models: object, _now: datetime) -> MemoryPasts:
        """Nothing is read ahead."""
        return self._pasts

    def deliveries(self, *_asked: object) -> dict[tuple[str, datetime], Delivery]:
        """Nothing was delivered yet."""
        return {}

    # What deciding asks.

    def outbox_id(self, _now: datetime) -> str:
        """A dispatch's id: its number."""
        return f"{next(self._numbers):026d}"

    def decision_id(self, _now: datetime) -> int:
        """A decision's number."""
        return next(self._numbers)

    def usages(self, now: datetime) -> MemoryUsages:
        """How much of limits is used now."""
        while self._orders and not self._orders[0].live and self._is_old(self._orders[0], now):
            self._orders.pop(0)
        return MemoryUsages(self._orders, now)

    def restraints(
        self, policy: Policy, model: Model, now: datetime, *, usages: MemoryUsages, pasts: object
    ) -> Restraints:
        """What a policy's rungs below `cooldown` look at."""
        del pasts
        began = with_firing(model, cooldown=policy.cooldown, now=now).episode_started_at or now
        asked = self._approvals.get(model.name) if policy.asks else None
        counted = policy.attempts is not None
        return Restraints(
            episode_started_at=began,
            runs=self.runs_since(model.name, began, now) if counted else Runs(),
            gathering=self._gathering(policy, model.name, began, now),
            spent=usages.of(policy, model.name),
            approval=in_force(asked, began, model.latest, now),
        )

    def runs_since(self, model: str, since: datetime, now: datetime) -> Runs:
        """A model's runs that were ordered since then."""
        own = [o for o in self._of_model.get(model, ()) if o.dispatch.created_at >= since]
        return Runs(len(own), sum(one.helped_nobody(now) for one in own))

    def approval(self, model: str) -> Approval | None:
        """What was asked last about a model."""
        return self._approvals.get(model)

    def save_approval(self, asked: Approval) -> None:
        """A question is asked; nobody answers."""
        self._approvals[asked.model] = asked

    def storm_is_told(self, _policy: str) -> bool:
        """Nobody is told."""
        return True

    def onsets(self, policy: str, storm: Storm, now: datetime) -> dict[str, Onset]:
        """The models of a policy that fire, or ceased to lately."""
        return {
            name: Onset(model.episode_started_at, model.emptied_at)
            for name, model in self.models.items()
            if model.episode_started_at is not None
            and (model.emptied_at is None or model.emptied_at > now - storm.calm)
            and self._is_of(policy, model)
        }

    def _is_of(self, policy: str, model: Model) -> bool:
        return model.policy == policy or any(
            one.policy == policy for one in self.alerts_of(model.name)
        )

    def _gathering(self, policy: Policy, name: str, began: datetime, now: datetime) -> Gathering:
        if policy.storm is None or now < began + policy.storm.wait:
            return Gathering()
        return self.sorted_onsets(policy.name, policy.storm, now).around(name, began)

    def sorted_onsets(self, policy: str, storm: Storm, now: datetime) -> Onsets:
        """The same, for a question about each of them."""
        return self._pasts.storms.of(
            policy, now, lambda: Onsets(self.onsets(policy, storm, now), storm, now)
        )

    # What follows from deciding.

    def add_dispatches(self, ordered: Sequence[Dispatch]) -> None:
        """Remember runs that are ordered."""
        for dispatch in ordered:
            if all(o.dispatch.id != dispatch.id for o in self._of_model.get(dispatch.model, ())):
                self._remember(dispatch, None)

    def add_cost(self, policy: Policy, dispatch: Dispatch) -> None:
        """Reserve what a run will cost."""
        own = self._of_model.get(dispatch.model, [])
        if own and own[-1].dispatch.id == dispatch.id:
            _price(own[-1], policy)
        else:
            self._remember(dispatch, policy)

    def _remember(self, dispatch: Dispatch, policy: Policy | None) -> None:
        one = Ordered(dispatch, "", 0, 0, None)
        if policy is not None:
            _price(one, policy)
        if self._limited:
            self._orders.append(one)
        self._of_model.setdefault(dispatch.model, []).append(one)

    def dispatches(self, ids: Collection[str]) -> list[Dispatch]:
        """The runs of these ids that are in flight, oldest first."""
        return [one.dispatch for one in self._orders if one.live and one.dispatch.id in ids]

    def end(
        self, dispatch: Dispatch, *, sent_at: datetime, ended_at: datetime, fired: bool
    ) -> None:
        """A run ended: its real cost takes the place of what was reserved."""
        for one in self._of_model[dispatch.model]:
            if one.dispatch.id == dispatch.id:
                one.live, one.fired = False, fired
                one.settles_at = ended_at + dispatch.settle
                one.amount = real_cost(one.reserved, one.run_time, ended_at - sent_at)

    def save_recoveries(
        self, recovered: Mapping[str, datetime], relapsed: Mapping[str, datetime]
    ) -> None:
        """Note of runs that their model recovered, or that an alert came back."""
        if not recovered and not relapsed:
            return
        for orders in self._of_model.values():
            for one in orders:
                if one.dispatch.id in recovered:
                    one.recovered = True
                began = relapsed.get(one.dispatch.id)
                if began is not None and one.dispatch.created_at >= began:
                    one.recovered = False

    def _is_old(self, one: Ordered, now: datetime) -> bool:
        return one.dispatch.created_at <= now - self._longest

    def forget_runs(self, model: str, before: datetime) -> None:
        """Runs of earlier episodes count for nothing any more."""
        own = self._of_model.get(model)
        if own:
            self._of_model[model] = [o for o in own if o.live or o.dispatch.created_at >= before]

    # What a unit of work writes when it ends.

    def add_decisions(self, _decisions: Sequence[Decision]) -> None:
        """Who replays takes them from the unit of work."""

    def save_models(self, changed: Sequence[Model]) -> None:
        """Remember whose next check may have changed."""
        self.changed += changed

    def take_changed(self) -> list[Model]:
        """The models that changed since the last call."""
        taken, self.changed = self.changed, []
        return taken

    def remove_firing(self, _fingerprints: object) -> None:
        """The unit of work keeps the sets."""

    def save_firing(self, _entries: object) -> None:
        """The unit of work keeps the sets."""

    def renew_firing(self, _entries: object) -> None:
        """The unit of work keeps the sets."""


def _price(one: Ordered, policy: Policy) -> None:
    if policy.cost is not None:
        one.unit = policy.cost.unit
        one.reserved = one.amount = policy.cost.amount
        one.run_time = policy.cost.run_time
