"""The retrained (machine-learning) models: firing alerts, episode, cooldown, pause, next check."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from receiver.core.claims import Claim, claimed
from receiver.core.dispatches import ATTENTION, LIVE, DispatchState

POLLED = "retrain_poll"
"""Labels the alerts that `check-drift` posts: it resolves only these."""

UNKNOWN_MODEL = "no model is remembered by this name (test alerts leave none)"
"""Of a name that no alert named, that only test alerts named, or that was forgotten."""


def unknown_model(name: str) -> str:
    """The same where the sentence has to name it."""
    return UNKNOWN_MODEL.replace("this name", f"the name {name}")


class PauseScope(StrEnum):
    """What an operator's pause holds back."""

    MODEL = "model"
    POLICY = "policy"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's hold. `name` is the model's or policy's, empty for everything."""

    scope: PauseScope
    name: str
    since: datetime
    until: datetime | None
    actor: str
    comment: str

    def holds(self, now: datetime) -> bool:
        """Whether it is still in force; one without an end waits for `resume`."""
        return self.until is None or now < self.until


def pause_in_force(
    pauses: Collection[Pause], *, model: str, policy: str | None, now: datetime
) -> Pause | None:
    """The pause that holds this model longest, if any does."""
    if not pauses:
        return None
    names = {
        PauseScope.MODEL: model,
        PauseScope.POLICY: policy,
        PauseScope.EVERYTHING: "",
    }
    holding = [p for p in pauses if p.holds(now) and p.name == names[p.scope]]
    endless = next((p for p in holding if p.until is None), None)
    return endless or max(holding, key=lambda p: p.until or p.since, default=None)


@dataclass(frozen=True, slots=True)
class LatestDispatch:
    """The dispatch that was last put on its way for a model: the only one that can be live."""

    id: str
    state: DispatchState
    run_id: str | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""
    created_at: datetime | None = None
    due_at: datetime | None = field(default=None, compare=False)  # each claim moves it
    attempt: int = 0
    failing_since: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether its run is coming, may exist, or goes on."""
        return self.state in LIVE

    @property
    def is_waiting(self) -> bool:
        """Whether it is tried again: its target has started nothing, and nothing runs."""
        if self.state is DispatchState.SENDING:
            return self.failing_since is not None
        return self.state is DispatchState.PENDING and self.attempt > 0

    @property
    def needs_attention(self) -> bool:
        """Whether it waits for a human."""
        return self.state in ATTENTION


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """An entry of a model's firing set.

    Attributes:
        starts_at: The latest beginning we were told of.
        confirmed_at: When somebody last said that it fires.
        expires_at: When it is taken for gone, unless confirmed again.
        stale_until: Until then it may be a late copy of something that was resolved.
        observing: Whether the policy that it was last decided by only observes.
        held_by: The rung below `cooldown` that held it when it was last decided, if one did.
        held_until: When that rung's answer can change by itself, if that is known.
        asks: Whether that rung waits for a human.
        seen_in: Id of the notification that last brought it, and its `position` there.
        config_hash: The configuration by which it was last decided; None if nobody knows.
        claims: Who says that it fires, the latest word first; None if an earlier release kept it.
        confirmed_by: Who said so last: a source's name; None for a delivery.
        held_since: Since when `held_by` has held it.

    """

    fingerprint: str
    model: str
    policy: str
    alertname: str
    labels: Mapping[str, str]
    value: float | None
    starts_at: datetime
    confirmed_at: datetime
    expires_at: datetime
    stale_until: datetime | None = None
    observing: bool = False
    held_by: str | None = None
    held_until: datetime | None = None
    asks: bool = False
    seen_in: str | None = None
    position: int | None = None
    config_hash: str | None = None
    claims: tuple[Claim, ...] | None = None

    @property
    def said(self) -> tuple[Claim, ...]:
        """Its claims; what an earlier release kept was said by somebody whom nobody knows."""
        return self.claims or (Claim("", self.starts_at, self.confirmed_at),)

    def may_fire_at(self, url: str, starts_at: datetime) -> bool:
        """Whether this Alertmanager's earlier firing goes on beside the one of another."""
        return bool(url) and all(c.url != url or c.starts_at <= starts_at for c in self.said)

    def confirmed(
        self, url: str, starts_at: datetime, now: datetime, expiry: timedelta
    ) -> "FiringAlert":
        """The same, after this Alertmanager said that it fires."""
        claims = claimed(self.said, url, starts_at, now)
        expires_at = now + expiry
        return replace(
            self, claims=claims, confirmed_at=now, confirmed_by=None, expires_at=expires_at
        )

    def said_by(self, claims: tuple[Claim, ...], now: datetime) -> "FiringAlert":
        """The same, as far as these still say that it fires."""
        # One may have said so to a clock that was ahead.
        said_at = min(max(claim.said_at for claim in claims), now)
        return replace(
            self,
            claims=claims,
            starts_at=max(claim.starts_at for claim in claims),
            confirmed_at=said_at,
            expires_at=said_at + (self.expires_at - self.confirmed_at),
        )

    confirmed_by: str | None = None
    held_since: datetime | None = None

    def was_polled_as(self, alert: "FiringAlert") -> bool:
        """Whether `check-drift` found by itself what this alert says.

        It has another fingerprint then: labels of the rule are missing, and a mark is added.
        """
        return told_beside(self.labels, [alert]) is not None

    def confirmed_as(self, other: "FiringAlert") -> "FiringAlert":
        """The same, confirmed when and by whom the other is."""
        return replace(self, confirmed_at=other.confirmed_at, confirmed_by=other.confirmed_by)

    def counts(self, now: datetime) -> bool:
        """Whether it is evidence, now, that the model needs retraining."""
        return now < self.expires_at and (self.stale_until is None or self.stale_until <= now)

    def freed(self) -> "FiringAlert":
        """The same, to be decided again: what held it may have changed."""
        return replace(self, held_by=None, held_until=None, held_since=None, asks=False)


@dataclass(frozen=True, slots=True)
class Model:
    """What we remember of a model between two decisions.

    Attributes:
        policy: The policy that last named it.
        labels: The validated labels that named it.
        episode_started_at: When its present (or last) episode began.
        emptied_at: Since when no alert of it fires; None while one does.
        cooldown_until: Until then no run may start.
        backoff_until: The same after a definite refusal; a reload or `retrain` ends it.
        refusals: Definite refusals in a row.
        observed_until: The cooldown that observing policies take and respect.
        next_check_at: When the timer decides its alerts again; None if nothing is due.

    """

    name: str
    policy: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    episode_started_at: datetime | None = None
    emptied_at: datetime | None = None
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None
    refusals: int = 0
    observed_until: datetime | None = None
    next_check_at: datetime | None = None
    latest: LatestDispatch | None = None

    @property
    def in_flight(self) -> bool:
        """Whether a dispatch of it is live."""
        return self.latest is not None and self.latest.live

    @property
    def held_until(self) -> datetime | None:
        """The later of cooldown and back-off."""
        return latest_of(self.cooldown_until, self.backoff_until)


def latest_of(*moments: datetime | None) -> datetime | None:
    """The latest of those that are set."""
    return max((moment for moment in moments if moment is not None), default=None)


def with_firing(model: Model, *, cooldown: timedelta, now: datetime) -> Model:
    """Note that an alert fires: the episode goes on, or a new one begins.

    An episode ends when the firing set was empty for the policy's cooldown.
    """
    goes_on = model.episode_started_at is not None and (
        model.emptied_at is None or now < model.emptied_at + cooldown
    )
    started_at = model.episode_started_at if goes_on else now
    return replace(model, episode_started_at=started_at, emptied_at=None)


def helping_run(model: Model, ended: FiringAlert) -> LatestDispatch | None:
    """The model's latest run, if it succeeded while an alert fired that has just ended.

    An alert that may be a late copy was no sign of anything.
    """
    run = model.latest
    if run is None or run.state is not DispatchState.SUCCEEDED or run.ended_at is None:
        return None
    return run if ended.starts_at <= run.ended_at and ended.stale_until is None else None


def told_beside(labels: Mapping[str, str], alerts: Sequence[FiringAlert]) -> FiringAlert | None:
    """The rule's alert that what `check-drift` found is another word for; None if there is none.

    Of several the one that was heard of last.
    """
    if POLLED not in labels:
        return None
    measured = {name: value for name, value in labels.items() if name != POLLED}
    same = [
        one
        for one in alerts
        if POLLED not in one.labels and measured.items() <= one.labels.items()
    ]
    return max(same, key=lambda one: one.confirmed_at, default=None)


def relapsed(before: Model, after: Model, known: FiringAlert | None) -> bool:
    """Whether an alert that fires brings the same episode back after its last one was resolved.

    `known` is what the set held of this alert: something that looked like a late copy.
    """
    was_over = before.emptied_at is not None or (known is not None and known.stale_until)
    same = after.episode_started_at == before.episode_started_at
    return bool(was_over) and same


def next_check(
    model: Model, alerts: Sequence[FiringAlert], pauses: Sequence[Pause], now: datetime
) -> datetime | None:
    """The first moment at which a rung could answer differently for one of the alerts.

    At once if nothing holds one; None if only an event can change the answer (a run's end,
    `resume`) or if nothing fires.
    """
    moments = [moment for alert in alerts if (moment := _hold_ends(model, alert, pauses, now))]
    return min(moments, default=None)


def _hold_ends(
    model: Model, alert: FiringAlert, pauses: Sequence[Pause], now: datetime
) -> datetime | None:
    if alert.stale_until is not None and now < alert.stale_until:
        return alert.stale_until
    pause = pause_in_force(pauses, model=model.name, policy=alert.policy, now=now)
    if pause is not None:
        return pause.until
    if model.in_flight:
        return None
    until = model.held_until
    if alert.observing:
        until = latest_of(until, model.observed_until)
    if alert.held_by is not None:
        if alert.held_until is None:
            return None
        until = latest_of(until, alert.held_until)
    return now if until is None else max(until, now)


class ModelState(StrEnum):
    """What an operator wants to know first. The first that applies."""

    ATTENTION = "attention"  # a dispatch is parked or refused, or a rung asks: a human must look
    WAITING = "waiting"  # a dispatch is tried again: its target has started nothing yet
    RUNNING = "running"  # a dispatch is live
    PAUSED = "paused"
    HELD = "held"  # an alert fires, and a cooldown or a rung below it holds it
    FIRING = "firing"
    QUIET = "quiet"


def state_of(
    model: Model, alerts: Sequence[FiringAlert], pauses: Sequence[Pause], now: datetime
) -> ModelState:
    """How a model stands, in one word."""
    latest = model.latest
    paused = pause_in_force(pauses, model=model.name, policy=model.policy, now=now)
    # Who paused it has answered for now: its question waits for `resume`.
    asks = not paused and any(alert.asks for alert in alerts)
    if asks or (latest and latest.needs_attention):
        return ModelState.ATTENTION
    if latest and latest.live:
        return ModelState.WAITING if latest.is_waiting else ModelState.RUNNING
    if paused:
        return ModelState.PAUSED
    if not alerts:
        return ModelState.QUIET
    check = next_check(model, alerts, pauses, now)
    return ModelState.HELD if check is None or check > now else ModelState.FIRING
