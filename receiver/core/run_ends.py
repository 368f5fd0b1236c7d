"""Run ends: how a run ended, what it said of itself, and whether its model recovered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from receiver.core.dispatches import DispatchState
from receiver.core.reports import Verdict


class Effect(StrEnum):
    """What a run brought. Shown, and found anew each time: never stored."""

    RECOVERED = "recovered"  # the model's alerts were resolved after it, and stayed so
    NO_EFFECT = "no_effect"  # it ended well and had time to settle; an alert fires all the same
    REJECTED = "rejected"  # the run itself says so: counts as no effect
    SETTLING = "settling"  # too early to tell
    UNKNOWN = "unknown"  # it had time to settle, and nobody has said since that an alert fires
    UNCLEAR = "unclear"  # nothing fired when it ended, so nothing could recover
    FAILED = "failed"
    CANCELLED = "cancelled"


INEFFECTIVE = frozenset({Effect.NO_EFFECT, Effect.REJECTED})
"""Runs that ended well and helped nobody: the one definition, for counts, rungs and metrics."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The facts that an effect is derived from.

    Attributes:
        state: How the run ended.
        fired: Whether an alert of the model fired when it ended.
        recovered: Whether the last one was resolved since, and none fired anew in that episode.
        settled: Whether `settle` has passed since its end.
        confirmed: Whether somebody said after that that an alert fires; where nobody can be asked
            that is taken for granted.

    """

    state: DispatchState
    verdict: Verdict | None
    fired: bool
    recovered: bool
    settled: bool
    confirmed: bool = True


def effect_of(signs: Signs) -> Effect:
    """Say what a run brought."""
    if signs.state is not DispatchState.SUCCEEDED:
        failed = signs.state is DispatchState.FAILED
        return Effect.FAILED if failed else Effect.CANCELLED
    if signs.verdict is Verdict.REJECTED:
        return Effect.REJECTED
    if signs.recovered:
        return Effect.RECOVERED
    if not signs.fired:
        return Effect.UNCLEAR
    if not signs.settled:
        return Effect.SETTLING
    return Effect.NO_EFFECT if signs.confirmed else Effect.UNKNOWN


def median(times: Sequence[timedelta]) -> timedelta | None:
    """The middle of sorted times; of an even number, half way between the two."""
    if not times:
        return None
    return (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What is remembered of a run that ended, longer than its dispatch.

    Attributes:
        created_at: When its dispatch was ordered: tells its episode.
        settles_at: From then on a better model must show.
        recovered_at: When the model's last alert was resolved.
        metrics: Numbers that it reported.
        report_detail: Why what it reported can't be told.
        report_due_at: When its report is read; None once that is over.
        report_tries: How often that was tried.
        asked: Whether there was somebody to ask if its alerts still fire.
        confirmed_at: When somebody first said so after it had settled.
        rerun_due_at: When the target is asked whether somebody started the run anew; None once the
            model's cooldown is over, or another run is its latest.
        run_attempt: Which of the run's attempts ended so; None if its target counts none.

    """

    dispatch_id: str
    model: str
    policy: str
    target: str
    state: DispatchState
    created_at: datetime
    ended_at: datetime
    settles_at: datetime
    fired: bool
    recovered_at: datetime | None = None
    verdict: Verdict | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    report_detail: str = ""
    report_due_at: datetime | None = None
    report_tries: int = 0
    asked: bool = False
    confirmed_at: datetime | None = None
    rerun_due_at: datetime | None = None
    run_attempt: int | None = None

    def effect(self, now: datetime) -> Effect:
        """What it brought, as far as that can be told now."""
        recovered, settled = self.recovered_at is not None, self.settles_at <= now
        confirmed = self.confirmed_at is not None or not self.asked
        signs = Signs(self.state, self.verdict, self.fired, recovered, settled, confirmed)
        return effect_of(signs)


REPORTING = frozenset({DispatchState.SUCCEEDED, DispatchState.FAILED})
"""Ends after which a run may have reported something: a failed one may have rejected its model."""

SOONEST_RERUN_LOOK = timedelta(minutes=1)
LATEST_RERUN_LOOK = timedelta(minutes=15)


def went_again(end: RunEnd, attempt: int | None) -> bool:
    """Whether a run ended once more since, by the attempt that its target shows now."""
    return attempt is not None and end.run_attempt is not None and attempt > end.run_attempt


def next_rerun_look(ended_at: datetime, now: datetime) -> datetime:
    """When to ask next whether an ended run goes again: after a tenth of the time since its end.

    Who re-runs a failed run mostly does so soon; a target limits how often it may be asked.
    """
    since = (now - ended_at) / 10
    return now + min(max(since, SOONEST_RERUN_LOOK), LATEST_RERUN_LOOK)


READ_AGAIN = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1200, 3600))
"""Waits between tries to read a report; after the last one it stays unread."""


def next_read(tries: int, now: datetime) -> datetime | None:
    """When to try again to read a report after `tries` that failed; None if never."""
    return now + READ_AGAIN[tries - 1] if tries <= len(READ_AGAIN) else None
