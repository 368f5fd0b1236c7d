"""Target health: whether a target answers, since when it does not, what would cure it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.targets import TargetKind

QUIET = timedelta(minutes=10)
"""A target that comes and goes is not announced more often."""


class TargetState(StrEnum):
    """How a target stands. Shown: never rename one."""

    OK = "ok"  # it answered when it was last asked
    FAILING = "failing"  # it starts nothing or shows no run, and something waits for it
    UNKNOWN = "unknown"  # nothing was asked of it, or nothing waits for it since it failed


LOCKED_OUT = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

NOTHING_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Raised by a poll it is about the repository or the server: a missing run alone is no error."""

REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """How a target answered last.

    Attributes:
        failing_since: Since when it starts nothing, or shows no run; None while it answers.
        failed_at: When it failed last.
        error: What was said then; empty while it answers.
        status_code: The HTTP status of that, if it answered.
        announced_at: When subscribers were told last that it fails.

    """

    name: str
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""
    status_code: int | None = None
    answered_at: datetime | None = None
    announced_at: datetime | None = None

    def answered(self, now: datetime) -> "TargetRecord":
        """The same, after it did what it was asked."""
        return replace(self, failing_since=None, error="", status_code=None, answered_at=now)

    def failed(self, error: DispatchError, now: datetime) -> "TargetRecord":
        """The same, after it did not."""
        return replace(
            self,
            failing_since=self.failing_since or now,
            failed_at=now,
            error=str(error),
            status_code=error.status_code,
        )

    def is_to_be_told(self, now: datetime) -> bool:
        """Whether subscribers have not heard of this failing, nor of another a moment ago."""
        if self.failing_since is None:
            return False
        told = self.announced_at
        return told is None or (told < self.failing_since and told + QUIET <= now)


@dataclass(frozen=True, slots=True)
class TargetStanding:
    """A target as it stands: how it answered last, and what is on its way there.

    Attributes:
        waiting: Dispatches that are tried again: nothing of them runs.
        in_flight: Dispatches that are live, those among them.
        stuck: Dispatches that it refused or that are parked, while they are their model's latest.
        retry_at: When the first of those that wait is tried again.
        oldest: When the first of those that wait was ordered.

    """

    record: TargetRecord
    waiting: int = 0
    in_flight: int = 0
    stuck: int = 0
    retry_at: datetime | None = None
    oldest: datetime | None = None

    @property
    def state(self) -> TargetState:
        """In one word. What failed and was not asked since may be well again."""
        if self.record.failing_since is not None:
            told = self.in_flight or self.stuck
            return TargetState.FAILING if told else TargetState.UNKNOWN
        return TargetState.OK if self.record.answered_at is not None else TargetState.UNKNOWN

    @property
    def fails(self) -> bool:
        """Whether a human should hear of it."""
        return self.state is TargetState.FAILING


def is_the_targets(error: DispatchError) -> bool:
    """Whether a failed attempt says something about the whole target.

    A request that is refused may be bad for its own reasons; a credential is the target's.
    """
    return error.failure is not Failure.REFUSED or error.status_code in LOCKED_OUT


def bars_every_run(error: DispatchError) -> bool:
    """Whether a question about one run failed in a way that any other would.

    The target can't be reached, has moved, or does not let us in. An answer of another kind, a 500
    say, is about that run only; a rate limit ends by itself.
    """
    if not error.is_answer:
        return True
    if error.status_code is None or error.retry_after is not None:
        return False
    return error.status_code in LOCKED_OUT or error.status_code in WRONG_PLACE


def is_sure(error: DispatchError) -> bool:
    """Whether it is sure enough to tell everybody: one lost answer may be an accident."""
    return error.failure is not Failure.UNKNOWN or error.status_code is not None


def trouble(error: str) -> str:
    """What a target does instead of starting runs, in a few words."""
    if "connection refused" in error.lower():
        return "the target refuses connections"
    return "the target has started nothing"


ADDRESS: Mapping[TargetKind, str] = {
    TargetKind.GITHUB: "`repository`",
    TargetKind.KFP: "`endpoint`",
    TargetKind.KFP_LOCAL: "`endpoint`",
    TargetKind.HTTP: "`base_url`",
}
"""The setting that says where a target is."""

MOVED = "mend {} in the configuration: what is written there has moved"
NOT_SHOWN = (
    "see that {} in the configuration is right, and that the credential may read there: some "
    "answer so to whom they do not let in"
)
WRONG_PLACE: Mapping[int | None, str] = {
    **dict.fromkeys(REDIRECTS, MOVED),
    **dict.fromkeys(NOTHING_THERE, NOT_SHOWN),
}


def cure(kind: TargetKind, place: Mapping[str, str], error: str, status_code: int | None) -> str:
    """What a human can do about it: one sentence."""
    where = place.get("endpoint") or place.get("base_url") or "this machine"
    if status_code in WRONG_PLACE:
        return WRONG_PLACE[status_code].format(ADDRESS[kind])
    if status_code in LOCKED_OUT or "credential" in error or "token" in error:
        return "give it a credential that is valid and may start runs; files are read anew"
    if status_code == HTTPStatus.TOO_MANY_REQUESTS or "limits our rate" in error:
        return "wait: it is tried again when the target said; fewer runs, or a second credential"
    if kind is TargetKind.KFP_LOCAL:
        return "mend this machine: `retrain-receiver doctor` examines interpreter, SDK and package"
    if status_code is not None:
        return f"look at {where}: it answers, but with {status_code}"
    return (
        f"start {where} or mend its address in the configuration, then nothing else is to do; "
        "`retrain-receiver doctor` examines the way"
    )
