"""Deadlines: how far ahead a stored moment may lie, and what becomes of one that lies further.

A clock that was ahead for a moment leaves moments behind that it should not have written. What has
happened can't have happened later than now; what is to come can't be further away than its own
rule puts it. Whatever breaks that is cut, once, and stored: a bound that were only applied on
reading would move on with the clock, and hold for ever.

Why no cut lets a run be doubled (G9): a cooldown is cut to `now` plus the longest span that any of
its rules has, so from the cut on it holds at least as long as the rule would have held it after a
run that was sent at this very moment. The run was sent before. So a clock that goes back, and is
right afterwards or runs on as it is, never ends a cooldown early. One that went back and jumps
ahead again ends it early, as each jump ahead does; and a clock that shows a time before this
program existed is believed nothing at all, for it is about to jump ahead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from receiver.core.cooldowns import LONGEST_GROWN
from receiver.core.decisions import Reason
from receiver.core.dispatches import LIVE, LONGEST_WAIT, Dispatch, DispatchState
from receiver.core.models import FiringAlert, Model, Pause
from receiver.core.policies import Policy
from receiver.core.runs import SOONEST_POLL
from receiver.core.sightings import HUMAN_AFTER

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No receiver ran before: a clock without a battery shows such times until it is set."""

SLACK = timedelta(minutes=1)
"""How far ahead something may seem to have happened: clocks are set back a little all the time."""

LEASE = timedelta(minutes=3)
"""The longest lease of a dispatch, and longer than it waits for its next poll or look."""

LONGEST_ASKED = timedelta(hours=24)
"""The longest wait that a target's wish for later is trusted with."""

LONGEST_CLOSED = timedelta(days=8)
"""A window opens once a week at least; a change of the clocks is between."""

USUAL = Policy("", (), "", {}, "")
"""For a configuration without policies: the defaults."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The longest that each kind of deadline lies ahead, by all policies of a configuration.

    Attributes:
        cooldown: The longest cooldown, as far as it may grow, or settle.
        held: The longest hold of each rung that ends one by the clock.

    """

    cooldown: timedelta
    settle: timedelta
    expiry: timedelta
    dedup: timedelta
    approval: timedelta
    held: Mapping[str, timedelta] = field(default_factory=dict)

    @property
    def remembered(self) -> timedelta:
        """How long a delivery is remembered."""
        return max(self.expiry, 2 * self.dedup)


def spans_of(policies: Iterable[Policy]) -> Spans:
    """The longest spans that these policies know."""
    known = tuple(policies) or (USUAL,)
    storms = [p.storm for p in known if p.storm is not None]
    storm = max((max(s.wait, s.calm) for s in storms), default=timedelta(0))
    limits = [limit.span for p in known for limit in p.limits if limit.span is not None]
    budget = max(limits, default=timedelta(0))
    approval = max(p.approval_expiry for p in known)
    return Spans(
        cooldown=max(max(_grown(p), p.settle) for p in known),
        settle=max(p.settle for p in known),
        expiry=max(p.alert_expiry for p in known),
        dedup=max(p.dedup_window for p in known),
        approval=max(approval, storm, budget),
        held={
            Reason.WINDOW.value: LONGEST_CLOSED,
            Reason.UNCONFIRMED.value: HUMAN_AFTER,
            Reason.STORM.value: storm,
            Reason.BUDGET.value: max(budget, approval),
            Reason.APPROVAL.value: approval,
        },
    )


def _grown(policy: Policy) -> timedelta:
    return policy.cooldown if policy.backoff == 1 else max(policy.cooldown, LONGEST_GROWN)


def is_believable(now: datetime) -> bool:
    """Whether the clock may be right."""
    return now >= EARLIEST


def cut(moment: datetime | None, now: datetime, span: timedelta) -> datetime | None:
    """A moment to come, no further ahead than its rule puts it."""
    return None if moment is None else min(moment, now + span)


def past(moment: datetime | None, now: datetime) -> datetime | None:
    """A moment that has come: it can't be later than now."""
    return now if moment is not None and moment > now + SLACK else moment


def mend_model(model: Model, now: datetime, spans: Spans, taken: timedelta) -> Model:
    """A model without moments that only a clock that was ahead can have written.

    `taken` is the longest cooldown or settle of the model's stored dispatches: the policy that
    ordered one may be gone, or have another cooldown now.
    """
    longest = max(spans.cooldown, taken)
    return replace(
        model,
        episode_started_at=past(model.episode_started_at, now),
        emptied_at=past(model.emptied_at, now),
        cooldown_until=cut(model.cooldown_until, now, longest),
        backoff_until=cut(model.backoff_until, now, longest),
        observed_until=cut(model.observed_until, now, spans.cooldown),
    )


def mend_alert(entry: FiringAlert, now: datetime, spans: Spans) -> FiringAlert:
    """An entry of a firing set, likewise."""
    held = spans.held.get(entry.held_by or "")  # None: others' word, such as a silence's end
    claims = entry.claims
    if claims is not None:
        claims = tuple(replace(one, said_at=past(one.said_at, now) or now) for one in claims)
    return replace(
        entry,
        claims=claims,
        confirmed_at=past(entry.confirmed_at, now) or now,
        expires_at=min(entry.expires_at, now + spans.expiry),
        stale_until=cut(entry.stale_until, now, spans.dedup),
        held_until=cut(entry.held_until, now, held) if held is not None else entry.held_until,
        held_since=past(entry.held_since, now),
    )


def mend_pause(pause: Pause, now: datetime) -> Pause:
    """A pause, likewise: one that a clock that was ahead began holds for its whole length anew."""
    if pause.since <= now + SLACK:
        return pause
    until = None if pause.until is None else now + (pause.until - pause.since)
    return replace(pause, since=now, until=until)


def mend_dispatch(dispatch: Dispatch, now: datetime, longest: timedelta) -> Dispatch:
    """A dispatch, likewise: what goes on is looked after within its own rule again.

    To ask or look earlier than planned does no harm. A call that may be under way keeps a whole
    lease: nobody takes it for dead. The cooldown that it may give back is cut to the `longest`
    that its model's may be.
    """
    return replace(
        dispatch,
        created_at=past(dispatch.created_at, now) or now,
        sent_at=past(dispatch.sent_at, now),
        doubt_since=past(dispatch.doubt_since, now),
        missing_since=past(dispatch.missing_since, now),
        failing_since=past(dispatch.failing_since, now),
        cooldown_before=cut(dispatch.cooldown_before, now, longest),
        ended_at=past(dispatch.ended_at, now),
        due_at=_due(dispatch, now),
    )


def _due(dispatch: Dispatch, now: datetime) -> datetime:
    due_at = dispatch.due_at
    if dispatch.state not in LIVE or due_at <= now + LEASE:
        return due_at
    if dispatch.state in {DispatchState.RUNNING, DispatchState.UNKNOWN}:
        return now + SOONEST_POLL
    if dispatch.state is DispatchState.PENDING and dispatch.attempt > 0:
        # The target may have asked for the wait, which was counted from the attempt.
        sent_at = dispatch.sent_at
        if sent_at is None:  # no request of it has reached the target, so no answer asks for more
            return now + LONGEST_WAIT
        was_ahead = sent_at > now + SLACK
        wait = due_at - sent_at if was_ahead else due_at - now
        return now + min(max(wait, timedelta(0)), LONGEST_ASKED)
    return now + LEASE
