"""Decisions: the audit log's entries, with reason, outcome and what each rung saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from receiver.core.alerts import AlertStatus, Source
from receiver.core.models import LatestDispatch, Model, Pause
from receiver.core.restraints import Restraints
from receiver.core.sightings import Belief

Scalar: TypeAlias = str | int | float | bool | None


class Reason(StrEnum):
    """Why a decision went the way it did. Stored and shown: never rename one."""

    UNMATCHED = "unmatched"  # no policy matches the labels
    INVALID = "invalid"  # this alert can't be understood
    RESOLVED = "resolved"  # the alert ended; nothing to repair
    DUPLICATE = "duplicate"  # the same alert came a moment ago
    STALE = "stale"  # it was resolved already: a late copy, or a re-fire
    PAUSED = "paused"  # an operator holds it back
    IN_FLIGHT = "in_flight"  # the model is being retrained now
    COOLDOWN = "cooldown"  # the model was retrained too recently
    SILENCED = "silenced"  # Alertmanager keeps it to itself: somebody said "don't act"
    UNCONFIRMED = "unconfirmed"  # nobody has said lately that it still fires
    WINDOW = "window"  # outside the policy's hours
    STORM = "storm"  # many models at once: suspect the data
    EXHAUSTED = "exhausted"  # retrained often in this episode, and it still fires
    BUDGET = "budget"  # its runs, or what they cost, are used up
    APPROVAL = "approval"  # a human must say yes first
    OBSERVED = "observed"  # it would have triggered
    TRIGGERED = "triggered"  # none of the above
    OPERATOR = "operator"  # an operator's act
    EXPIRED = "expired"  # nobody confirmed the alert for too long


class Outcome(StrEnum):
    """What follows from a reason. Stored and shown: never rename one."""

    SKIP = "skip"
    HOLD = "hold"  # may pass by itself or by an operator
    TRIGGER = "trigger"
    NOTE = "note"


OUTCOMES: Mapping[Reason, Outcome] = {
    Reason.UNMATCHED: Outcome.SKIP,
    Reason.INVALID: Outcome.SKIP,
    Reason.RESOLVED: Outcome.SKIP,
    Reason.DUPLICATE: Outcome.SKIP,
    Reason.STALE: Outcome.HOLD,
    Reason.PAUSED: Outcome.HOLD,
    Reason.IN_FLIGHT: Outcome.HOLD,
    Reason.COOLDOWN: Outcome.HOLD,
    Reason.SILENCED: Outcome.HOLD,
    Reason.UNCONFIRMED: Outcome.HOLD,
    Reason.WINDOW: Outcome.HOLD,
    Reason.STORM: Outcome.HOLD,
    Reason.EXHAUSTED: Outcome.HOLD,
    Reason.BUDGET: Outcome.HOLD,
    Reason.APPROVAL: Outcome.HOLD,
    Reason.OBSERVED: Outcome.SKIP,
    Reason.TRIGGERED: Outcome.TRIGGER,
    Reason.OPERATOR: Outcome.NOTE,
    Reason.EXPIRED: Outcome.NOTE,
}

RESTRAINTS = frozenset(
    {Reason.WINDOW, Reason.STORM, Reason.EXHAUSTED, Reason.BUDGET, Reason.APPROVAL}
)
"""The policy's own rungs, between `unconfirmed` and `observed`."""

BELIEF = frozenset({Reason.SILENCED, Reason.UNCONFIRMED})
"""The rungs that say whether an alert may be believed; there only where sources can be asked."""

SKIPS = frozenset({Reason.UNMATCHED, Reason.DUPLICATE, Reason.INVALID})
"""The reasons that `retention.skips` speaks of."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What one rung saw.

    Attributes:
        applies: Whether it decides, if no rung before it does.
        detail: One plain sentence with the numbers.
        until: When the answer can change by itself, if that is known.
        saw: The facts it looked at: enough to decide again from the log alone.
        asks: Whether a human can open it by approving one run.
        own_end: When the part of the hold ends that is the model's own (`budget` only).

    """

    rung: Reason
    detail: str
    saw: Mapping[str, Scalar]
    applies: bool = False
    until: datetime | None = None
    asks: bool = False
    own_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is remembered that may hold an alert back.

    Attributes:
        problem: Why the alert or its model's name can't be understood.
        decided_at: When the same delivery (fingerprint, startsAt, firing) last went down the
            ladder.
        resolved_at: When the same (fingerprint, startsAt) was resolved.
        stale_until: When an earlier stale delivery of it is decided; a repeat does not move that.
        belief: What the rungs that doubt an alert look at; None skips them.
        restraints: What the policy's own rungs look at; None skips them.

    """

    problem: str | None = None
    decided_at: datetime | None = None
    resolved_at: datetime | None = None
    stale_until: datetime | None = None
    pause: Pause | None = None
    latest: LatestDispatch | None = None
    cooldown_until: datetime | None = None
    backoff_until: datetime | None = None
    observed_until: datetime | None = None
    belief: Belief | None = None
    restraints: Restraints | None = None


def facts_of(
    model: Model,
    pause: Pause | None,
    restraints: Restraints | None = None,
    *,
    problem: str | None = None,
    decided_at: datetime | None = None,
    resolved_at: datetime | None = None,
    stale_until: datetime | None = None,
    belief: Belief | None = None,
) -> Facts:
    """The facts that belong to the model; those of one delivery are handed in."""
    return Facts(
        problem=problem,
        decided_at=decided_at,
        resolved_at=resolved_at,
        stale_until=stale_until,
        pause=pause,
        latest=model.latest,
        cooldown_until=model.cooldown_until,
        backoff_until=model.backoff_until,
        observed_until=model.observed_until,
        belief=belief,
        restraints=restraints,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of the audit log. Written once.

    Attributes:
        id: A number that grows with time.
        seen_in: Id of the notification that holds the raw alert at `position`; for a decision of
            the timer the last one that brought the alert.
        value: As sent; None if absent or not a number.
        dispatch_id: The dispatch that it made, or that is in flight.

    """

    id: int
    decided_at: datetime
    source: Source
    reason: Reason
    detail: str
    gates: tuple[Gate, ...] = ()
    policy: str | None = None
    model: str | None = None
    alertname: str = ""
    fingerprint: str = ""
    status: AlertStatus | None = None
    starts_at: datetime | None = None
    labels: Mapping[str, str] | None = None
    value: float | None = None
    next_check_at: datetime | None = None
    dispatch_id: str | None = None
    notification_id: str | None = None
    seen_in: str | None = None
    position: int | None = None
    config_hash: str = ""
    actor: str | None = None
    comment: str | None = None

    @property
    def outcome(self) -> Outcome:
        """What followed from the reason."""
        return OUTCOMES[self.reason]
