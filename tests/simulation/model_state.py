"""What docs/policies.md says of a model, told from the log alone: what fires, what holds it.

Where the design leaves room, two bounds are kept: before `least` no run may start, after `most`
nothing may be held back any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from receiver.core.budgets import Cost
from receiver.core.models import PauseScope
from receiver.core.policies import Policy

MINUTE = timedelta(minutes=1)

LIVE = {"pending", "sending", "unknown", "running"}

NEVER_RAN = {"refused", "superseded"}

OVER = {"succeeded", "failed", "cancelled"}


Row = Mapping[str, Any]

EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(slots=True)
class Firing:
    """An alert that was confirmed to us.

    Attributes:
        expires: From then on it is taken for gone; it may be that only at `expires_most`.
        stale_until: Until then it may be a late copy.
        opens_at: When its window was said to open: a clock that was set back says otherwise later.
        policy: The policy that decided it last.

    """

    name: str
    policy: str
    starts_at: datetime
    expires: datetime
    stale_until: datetime | None
    fingerprint: str = ""
    opens_at: datetime | None = None
    expires_most: datetime = EVER

    def __post_init__(self) -> None:
        self.expires_most = max(self.expires_most, self.expires)

    def mended(self, row: Row) -> None:
        """No moment is later than it was mended to."""
        self.expires = min(self.expires, row["expires_at"])
        self.expires_most = min(self.expires_most, row["expires_at"])
        self.stale_until = earlier(self.stale_until, row["stale_until"])
        if row["held_by"] == "window":
            self.opens_at = earlier(self.opens_at, row["held_until"])

    def may_count(self, now: datetime) -> bool:
        """Whether it may be a reason to retrain."""
        return now < self.expires_most and (self.stale_until is None or self.stale_until <= now)

    def counts(self, now: datetime) -> bool:
        """Whether it is a reason to retrain."""
        return now < self.expires and (self.stale_until is None or self.stale_until <= now)


@dataclass(slots=True)
class Bounds:
    """A moment that the design fixes up to some room."""

    least: datetime | None = None
    most: datetime | None = None

    def raise_to(self, moment: datetime, *, surely: bool = True) -> None:
        """Not before that moment; if not `surely`, perhaps."""
        self.most = later(self.most, moment)
        if surely:
            self.least = later(self.least, moment)

    def lower_to(self, moment: datetime | None) -> None:
        """Perhaps as early as that; None: perhaps there is no such moment."""
        known = self.least is not None and moment is not None
        self.least = earlier(self.least, moment) if known else None

    def mended(self, stored: datetime | None) -> None:
        """It is not later than it was mended to."""
        self.least, self.most = earlier(self.least, stored), earlier(self.most, stored)

    def copy(self) -> "Bounds":
        return Bounds(self.least, self.most)


@dataclass(slots=True)
class Order:
    """A dispatch, as its model's hold knows it.

    Attributes:
        at: When it was ordered, by the deciding clock; the same for `sent_at` and `ended_at`.
        cooldown: What it takes at least; at most `cooldown_most`.
        before: The model's cooldown before this dispatch took its own.
        untaken: The same before its latest attempt, which may have reached nobody.
        price: What its run was said to cost.
        counted: The most that it may have cost by its moments before they were mended: a cost
            that is stored stays.

    """

    id: str
    model: str
    policy: str
    at: datetime
    cooldown: timedelta
    settle: timedelta
    ordered: bool
    before: Bounds
    price: Cost | None = None
    cooldown_most: timedelta = timedelta(0)
    state: str = "pending"
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    counted: float = 0
    untaken: Bounds = field(default_factory=Bounds)

    def may_be_unknown(self, now: datetime) -> bool:
        """Whether nobody may have said since that its model's alert fires all the same."""
        settled = self.ended_at is not None and now >= self.ended_at + self.settle - MINUTE
        return self.state == "succeeded" and settled

    def mended(self, row: Row) -> None:
        """No moment is later than it was mended to."""
        self.counted = self.cost[1]
        self.at = min(self.at, row["created_at"])
        self.sent_at = earlier(self.sent_at, row["sent_at"])
        self.ended_at = earlier(self.ended_at, row["ended_at"])
        self.before.mended(row["cooldown_before"])

    @property
    def counts(self) -> bool:
        """Whether a run of it began, or may have begun."""
        if self.state == "abandoned":
            return self.sent_at is not None
        return self.state not in NEVER_RAN

    @property
    def cost(self) -> tuple[float, float]:
        """What it costs, at least and at most: we saw it end some time after it did."""
        if self.price is None or self.state in NEVER_RAN:
            return 0, 0
        amount, run_time = self.price.amount, self.price.run_time
        if self.ended_at is None or self.sent_at is None:
            return amount, amount
        if run_time is None:
            return (amount, amount) if self.state in OVER else (0, amount)
        took = amount * ((self.ended_at - self.sent_at) / run_time)
        is_known = self.state in OVER and took >= 0  # else, perhaps, what was reserved
        return 0, max(self.counted, took if is_known else max(took, amount))


@dataclass(frozen=True, slots=True)
class Onset:
    """When a model's present or last episode began, and since when nothing of it fires.

    Attributes:
        policies: Those that decided one of its alerts, and the one that named it last.

    """

    policies: frozenset[str] = frozenset()
    began_at: datetime | None = None
    emptied_at: datetime | None = None


@dataclass(slots=True)
class Answer:
    """What a human said about one more run in an episode.

    Attributes:
        until: When it says nothing any more.

    """

    approved: bool
    episode: datetime | None
    until: datetime
    used_by: str | None = None

    def mended(self, row: Row) -> None:
        """No moment is later than it was mended to."""
        self.episode = earlier(self.episode, row["episode_started_at"])
        self.until = earlier(self.until, row["expires_at"]) or self.until


@dataclass(slots=True)
class ModelRecord:
    """A model: what fires, and what holds it.

    Attributes:
        named_by: The policy that named it last.
        onset: Its episode; `before` is what it was until `changed_at`.
        latest: The dispatch that was put on its way last.
        ready_for: How long a replica has been up while it fired and nothing held it.
        refused_at: When the target last said no: true seconds since the history began.

    """

    name: str
    named_by: str = ""
    firing: dict[str, Firing] = field(default_factory=dict)
    onset: Onset = Onset()
    before: Onset = Onset()
    changed_at: datetime | None = None
    answer: Answer | None = None
    live: str | None = None
    latest: str | None = None
    cooldown: Bounds = field(default_factory=Bounds)
    backoff: Bounds = field(default_factory=Bounds)
    observed: datetime | None = None
    refusals_least: int = 0
    refusals_most: int = 0
    ready_for: float = 0.0
    refused_at: float = 0.0

    @property
    def held_least(self) -> datetime | None:
        """Before this no run may start."""
        return later(self.cooldown.least, self.backoff.least)

    @property
    def held_most(self) -> datetime | None:
        """After this no cooldown may hold it."""
        return later(self.cooldown.most, self.backoff.most)

    def may_be_cut(self, to: datetime) -> None:
        """A clock that was ahead was set back: its holds may end so early from now on."""
        self.cooldown.least = earlier(self.cooldown.least, to)
        self.backoff.least = earlier(self.backoff.least, to)

    def is_cut(self, to: datetime) -> None:
        """No hold may last longer than its own rule lets it, counted from now."""
        self.cooldown.most = earlier(self.cooldown.most, to)
        self.backoff.most = earlier(self.backoff.most, to)
        self.observed = earlier(self.observed, to)
        for entry in self.firing.values():
            entry.stale_until = earlier(entry.stale_until, to)

    def mended(self, row: Row) -> None:
        """No moment is later than it was mended to."""
        self.cooldown.mended(row["cooldown_until"])
        self.backoff.mended(row["backoff_until"])
        self.observed = earlier(self.observed, row["observed_until"])
        self.onset, self.before = (
            replace(
                onset,
                began_at=earlier(onset.began_at, row["episode_started_at"]),
                emptied_at=earlier(onset.emptied_at, row["emptied_at"]),
            )
            for onset in (self.onset, self.before)
        )

    def began(self, policy: Policy, now: datetime) -> datetime:
        """When the episode began to which something that fires now belongs."""
        began, emptied = self.onset.began_at, self.onset.emptied_at
        over = emptied is not None and now >= emptied + policy.cooldown
        return now if began is None or over else began

    def leaves(self, fingerprint: str, now: datetime) -> Firing | None:
        """An alert does not fire any more."""
        entry = self.firing.pop(fingerprint, None)
        if entry is not None:
            emptied_at = self.onset.emptied_at if self.firing else now
            self._changes(Onset(self._policies(), self.onset.began_at, emptied_at), now)
        return entry

    def fires(self, policy: Policy, now: datetime) -> None:
        """One of its alerts was decided by a policy."""
        self.named_by = policy.name
        self._changes(Onset(self._policies(), self.began(policy, now)), now)

    def _policies(self) -> frozenset[str]:
        return frozenset({self.named_by, *(entry.policy for entry in self.firing.values())})

    def _changes(self, onset: Onset, now: datetime) -> None:
        if onset == self.onset:
            return
        if self.changed_at != now:
            self.before, self.changed_at = self.onset, now
        self.onset = onset

    def joins(self, row: Mapping[str, Any], policy: Policy, now: datetime) -> None:
        """An alert fires; a late copy of an earlier firing says nothing about the present one."""
        entry = self.firing.get(row["fingerprint"])
        if entry is not None and entry.starts_at > row["starts_at"]:
            return
        stale_until = None
        if row["reason"] == "stale":
            known = entry.stale_until if entry is not None else None
            stale_until = known or now + policy.dedup_window
        self.firing[row["fingerprint"]] = Firing(
            row["alertname"],
            policy.name,
            row["starts_at"],
            now + policy.alert_expiry,
            stale_until,
            row["fingerprint"],
        )
        self.fires(policy, row["decided_at"])

    def confirmed(
        self, row: Mapping[str, Any], policy: Policy, now: datetime, *, ended: bool
    ) -> None:
        """A repeat: the alert still fires, unless just this firing of it has ended."""
        entry = self.firing.get(row["fingerprint"])
        if entry is not None and entry.starts_at == row["starts_at"]:
            entry.expires = entry.expires_most = now + policy.alert_expiry
        elif not ended:
            self.joins(row, policy, now)

    def ordered(self, order: Order, now: datetime) -> None:
        """A run was ordered."""
        self.live = self.latest = order.id
        self._takes(order, now)

    def _takes(self, order: Order, now: datetime) -> None:
        self.cooldown.raise_to(now + order.cooldown)
        self.cooldown.raise_to(now + order.cooldown_most, surely=False)

    def end_backoff(self) -> None:
        """What was refused may be tried again."""
        self.backoff = Bounds()
        self.refusals_least = self.refusals_most = 0

    def doubt_backoff(self) -> None:
        """What was refused may perhaps be tried again."""
        self.backoff.least, self.refusals_least = None, 0

    def reloaded(self, begun: float) -> None:
        """A reload ended what was refused before it began; what came meanwhile, perhaps."""
        if self.refused_at < begun:
            self.end_backoff()
        else:
            self.doubt_backoff()

    def moves(self, order: Order, state: str, now: datetime) -> None:
        """A dispatch of this model changed."""
        before, order.state = order.state, state
        if state == "sending":
            order.sent_at = now
        elif state not in {"pending", "unknown", "running"}:
            order.ended_at = now
        if state in {"unknown", "pending"} and before in {"parked", "refused"}:
            order.before = self.cooldown.copy()  # an operator wants it again
            order.ordered = True
            self.live = self.latest = order.id
            self.backoff.least = None
            self.refusals_least = 0
        elif state == "sending":
            order.untaken = self.cooldown.copy()
            self._takes(order, now)
        elif state == "pending" and before == "sending":  # a refused connection takes nothing
            self.cooldown.lower_to(order.untaken.least)
        elif state == "running":
            self.end_backoff()
        elif state == "unknown":  # perhaps the target said yes
            self.refusals_least = 0
            self.backoff.least = None
        elif state not in {"pending", "sending"}:
            self._ends(order, state, now)

    def _ends(self, order: Order, state: str, now: datetime) -> None:
        if self.live == order.id:
            self.live = None
        if state in OVER:
            self.cooldown.raise_to(now + order.settle)
            self.end_backoff()
        elif state in {"parked", "abandoned"}:
            self.cooldown.raise_to(now + order.settle, surely=False)
            self.backoff.least = None
            self.refusals_least = 0
        elif state in {"refused", "superseded"}:
            self.cooldown = order.before.copy()
            if state == "refused":
                self.refusals_least += 1
                self.refusals_most += 1
                self.backoff = Bounds(
                    now + min(MINUTE * 2 ** (self.refusals_least - 1), order.cooldown),
                    now + min(MINUTE * 2 ** (self.refusals_most - 1), order.cooldown_most),
                )


@dataclass(slots=True)
class Pauses:
    """Operators' holds: until when, None for `until resumed`.

    Attributes:
        lengths: For how long each was ordered, if it was ordered with an end.
        least: Before this none may end, whatever clocks did since.
        over: Those whose end a clock has shown. Retention forgets them sooner or later, and a
            clock that is set back does not bring back what is forgotten.

    """

    until: dict[tuple[PauseScope, str], datetime | None] = field(default_factory=dict)
    lengths: dict[tuple[PauseScope, str], timedelta] = field(default_factory=dict)
    least: dict[tuple[PauseScope, str], datetime] = field(default_factory=dict)
    over: set[tuple[PauseScope, str]] = field(default_factory=set)

    def begins(
        self, scope: PauseScope, name: str, length: timedelta | None, now: datetime
    ) -> None:
        """An operator pauses."""
        key = (scope, name)
        self.ends(scope, name)
        self.over.discard(key)
        self.until[key] = None
        if length is not None:
            self.until[key] = self.least[key] = now + length
            self.lengths[key] = length

    def ends(self, scope: PauseScope, name: str) -> None:
        """An operator resumes."""
        for known in (self.until, self.lengths, self.least):
            known.pop((scope, name), None)

    def may_be_cut(self, now: datetime) -> None:
        """A clock that was ahead was set back: each may end after its own length from now on."""
        for key, length in self.lengths.items():
            self.least[key] = min(self.least[key], now + length)

    def is_cut(self, now: datetime) -> None:
        """None holds for longer than its own length, counted from now."""
        for key, length in self.lengths.items():
            self.until[key] = earlier(self.until[key], now + length)

    def mended(self, row: Row) -> bool:
        """It ends no later than it was mended to. Whether it may end so early."""
        key = (PauseScope(row["scope"]), row["name"])
        if key not in self.lengths or row["until"] is None:
            return True
        self.until[key] = earlier(self.until[key], row["until"])
        # An act is heard of a moment after it was done.
        return bool(row["until"] > self.least[key] - MINUTE)

    def passes(self, now: datetime) -> None:
        """A clock shows this time."""
        ended = {key for key, end in self.until.items() if end is not None and end <= now}
        self.over |= ended

    def holding(self, model: str, policy: Policy, now: datetime) -> bool:
        """Whether one is surely in force."""
        return any(
            (end is None or now < end) and key not in self.over
            for key, end in self._ends(model, policy).items()
        )

    def is_held(self, policy: str, now: datetime) -> bool:
        """Whether one of a policy by this name is surely in force."""
        key = (PauseScope.POLICY, policy)
        end = self.until.get(key)
        return key in self.until and key not in self.over and (end is None or now < end)

    def may_hold(self, model: str, policy: Policy, now: datetime) -> bool:
        """Whether one that was over may be in force once more."""
        return any(end is None or now < end for end in self._ends(model, policy).values())

    def carried(self, comment: str, heir: str) -> None:
        """A renamed policy is paused like the one before it."""
        before = [name for scope, name in self.until if scope is PauseScope.POLICY]
        name = max((one for one in before if f"policy {one}," in comment), key=len)
        old, new = (PauseScope.POLICY, name), (PauseScope.POLICY, heir)
        self.ends(*new)
        self.over.discard(new)
        self.until[new] = self.until[old]
        if old in self.lengths:
            self.lengths[new], self.least[new] = self.lengths[old], self.least[old]

    def end(self, model: str, policy: Policy) -> datetime | None:
        """When the last of them ends; None if one never does."""
        ends = self._ends(model, policy).values()
        return None if None in ends else max((end for end in ends if end), default=EVER)

    def _ends(self, model: str, policy: Policy) -> dict[tuple[PauseScope, str], datetime | None]:
        names: Mapping[PauseScope, str] = {
            PauseScope.MODEL: model,
            PauseScope.POLICY: policy.name,
            PauseScope.EVERYTHING: "",
        }
        keys = [(scope, name) for scope, name in names.items()]
        return {key: self.until[key] for key in keys if key in self.until}


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two, if both are set; what is not there was not mended."""
    return one if one is None or other is None else min(one, other)


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of those that are set."""
    return max((moment for moment in (one, other) if moment is not None), default=None)
