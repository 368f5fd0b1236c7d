"""Dispatches: stored orders to start one run, and what a failed attempt tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from receiver.core.targets import TargetKind, address_of


class DispatchState(StrEnum):
    """Where a dispatch stands. Stored and shown: never rename one."""

    PENDING = "pending"  # waits for its first or next attempt; surely not started
    SENDING = "sending"  # a worker asks the target now
    UNKNOWN = "unknown"  # the run may exist; it is being looked up
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"  # the target said no for good; nothing runs
    PARKED = "parked"  # a human must look
    SUPERSEDED = "superseded"  # the reason to send it went away before it was sent
    ABANDONED = "abandoned"  # an operator gave it up


LIVE = frozenset(
    {
        DispatchState.PENDING,
        DispatchState.SENDING,
        DispatchState.UNKNOWN,
        DispatchState.RUNNING,
    }
)

RUN_ENDED = frozenset({DispatchState.SUCCEEDED, DispatchState.FAILED, DispatchState.CANCELLED})
"""The target said how the run ended; somebody may start it anew there."""

ATTENTION = frozenset({DispatchState.PARKED, DispatchState.REFUSED})


class Mover(StrEnum):
    """Who changes a dispatch's state; docs/states.md shows which moves each makes."""

    SENDER = "sender"  # flows/worker/dispatching.py
    RECONCILER = "reconciler"  # flows/worker/reconciling.py
    FOLLOWER = "follower"  # flows/worker/following.py, flows/worker/reruns.py
    OPERATOR = "operator"  # flows/operator/dispatches.py


Move: TypeAlias = tuple[DispatchState, DispatchState]


def _moves(*rows: tuple[Iterable[DispatchState], Iterable[DispatchState]]) -> frozenset[Move]:
    return frozenset((old, new) for olds, news in rows for old in olds for new in news)


MOVES: Mapping[Mover, frozenset[Move]] = {
    Mover.SENDER: _moves(
        (
            {DispatchState.PENDING},
            {DispatchState.SENDING, DispatchState.SUPERSEDED, DispatchState.PARKED},
        ),
        (
            {DispatchState.SENDING},
            {
                DispatchState.RUNNING,
                DispatchState.UNKNOWN,
                DispatchState.PENDING,
                DispatchState.REFUSED,
            },
        ),
    ),
    Mover.RECONCILER: _moves(
        ({DispatchState.SENDING}, {DispatchState.UNKNOWN}),
        (
            {DispatchState.UNKNOWN},
            {DispatchState.RUNNING, DispatchState.PENDING, DispatchState.PARKED},
        ),
    ),
    Mover.FOLLOWER: _moves(
        (
            {DispatchState.RUNNING},
            {
                DispatchState.SUCCEEDED,
                DispatchState.FAILED,
                DispatchState.CANCELLED,
                DispatchState.PARKED,
            },
        ),
        (RUN_ENDED, {DispatchState.RUNNING}),
    ),
    Mover.OPERATOR: _moves(
        (ATTENTION, {DispatchState.UNKNOWN}),
        (LIVE | ATTENTION, {DispatchState.ABANDONED}),
    ),
}
"""Every move of a dispatch from one state to another, by who makes it. There is no other."""


class Failure(StrEnum):
    """What a failed attempt tells about the run it asked for."""

    REFUSED = "refused"  # not started and never will be: 401, 404, 422
    UNAVAILABLE = "unavailable"  # surely not started: connection refused, 429
    UNKNOWN = "unknown"  # may have started: time-out, cut, 5xx, 3xx


class DispatchError(Exception):
    """The target did not do what was asked; the message is one sentence for an operator.

    Attributes:
        failure: What this tells about the run.
        status_code: The HTTP status, if the target answered.
        retry_after: How long the target asked us to wait, if it did.

    """

    def __init__(
        self,
        message: str,
        failure: Failure,
        *,
        status_code: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.status_code = status_code
        self.retry_after = retry_after

    @property
    def is_answer(self) -> bool:
        """Whether the target answered; what is unavailable without was not even reached."""
        return self.status_code is not None or self.retry_after is not None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A stored order to start one run, as its dispatcher sees it.

    Attributes:
        id: 26 lower-case characters, ordered by time; reaches the run.
        target: Name of the target in the configuration.
        kind: A `TargetKind`.
        place: Where it is sent, without credentials (`repository`, `workflow`, `ref`, `base_url`;
            `endpoint`, `pipeline`, ...): fixed when the dispatch was made.
        inputs: What is sent; `dispatch_id` is added by the dispatcher.
        state: As stored when it was claimed.
        attempt: Number of the latest attempt, from 1; 0 before the first.
        in_doubt: Numbers of the attempts that may have started a run.
        accepted: The target said yes to an attempt without naming the run.
        created_at: When the order was stored.
        sent_at: When the latest attempt began that may have reached the target; None before the
            first. An attempt that got no connection leaves it as it was.
        run_id: The run's id at the target, once known.
        ordered: An operator ordered it: what holds alerts back does not hold it.
        overruled: An operator looked and wants the next attempt: one complete look suffices.
        absences: Attempts that were proven absent.
        looks: Look-ups since the latest doubt began, at `doubt_since`; or how often in a row its
            target did not know the run that is followed, since `missing_since`.
        cooldown_before: The model's cooldown before this dispatch took its own.
        claim: Number of the claim; closing writes of an older claim change nothing.
        failing_since: Since when its target has started nothing that was asked for; None unless
            it is tried again.

    """

    id: str
    model: str
    policy: str
    target: str
    kind: TargetKind
    place: Mapping[str, str]
    inputs: Mapping[str, str | float]
    created_at: datetime
    due_at: datetime
    cooldown: timedelta
    settle: timedelta
    decision_id: int
    alertname: str = ""
    ordered: bool = False
    overruled: bool = False
    cooldown_before: datetime | None = None
    state: DispatchState = DispatchState.PENDING
    detail: str = ""
    attempt: int = 0
    in_doubt: tuple[int, ...] = ()
    accepted: bool = False
    absences: int = 0
    looks: int = 0
    doubt_since: datetime | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    run_id: str | None = None
    run_url: str | None = None
    claim: int = 0
    missing_since: datetime | None = None
    failing_since: datetime | None = None

    @property
    def open_doubts(self) -> int:
        """How many attempts may have started a run, and nobody proved that they did not."""
        return len(self.in_doubt) - self.absences


def shares_place(one: Dispatch, other: Dispatch) -> bool:
    """Whether who shows the run of one can be expected to show the other's."""
    where = [(address_of(d.kind, d.place), d.place.get("namespace")) for d in (one, other)]
    return where[0] == where[1]


def waited_for_send(dispatch: Dispatch) -> timedelta | None:
    """How long an order waited for its first attempt; None at a later one, or before any.

    Never negative: the clock may have been set back meanwhile.
    """
    if dispatch.attempt != 1 or dispatch.sent_at is None:
        return None
    return max(dispatch.sent_at - dispatch.created_at, timedelta(0))


MAX_ATTEMPTS = 3
"""Attempts whose runs may each have existed; then a human looks."""

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)


def next_attempt(attempt: int, retry_after: timedelta | None, now: datetime) -> datetime:
    """When to try again at a target that surely did not start anything.

    The target's own wish counts if it is longer than our back-off (5s, 10s, 20s ... 5m).
    """
    wait = min(FIRST_WAIT * (1 << min(attempt - 1, 10)), LONGEST_WAIT)
    return now + max(wait, retry_after or wait)


AFTER_SERVER_ERROR: Mapping[TargetKind, timedelta] = {TargetKind.KFP: timedelta(seconds=300)}
"""KFP makes the workflow before its own row: after a 5xx it may train unseen, until KFP sweeps it
away (after 120s at the earliest, and only when its agent comes round to it)."""


SERVER_ERRORS = range(500, 600)


def least_window(kind: TargetKind, status_code: int | None) -> timedelta:
    """How long absence proves nothing at least, after an attempt that was answered so."""
    failed = status_code is not None and status_code in SERVER_ERRORS
    return AFTER_SERVER_ERROR.get(kind, timedelta(0)) if failed else timedelta(0)


SHOW_IDS = "let the workflow show inputs.dispatch_id in its run-name"
ID_NEVER_SEEN: Mapping[TargetKind, str] = {
    TargetKind.HTTP: "no run was ever seen at an address made of run.id and run.url"
}


def why_never_shown(kind: TargetKind) -> str:
    """What to mend where no run was ever found by its dispatch's id."""
    return ID_NEVER_SEEN.get(kind, SHOW_IDS)


LOOKS = tuple(timedelta(seconds=s) for s in (1, 2, 4, 8, 16))
LATER_LOOKS = timedelta(seconds=30)


def next_look(looks: int, now: datetime, left: timedelta) -> datetime:
    """When to look again for a run in doubt: soon at first, and when its window ends.

    `left` is what remains of the look-up window.
    """
    wait = LOOKS[looks] if looks < len(LOOKS) else LATER_LOOKS
    return now + min(wait, max(left, timedelta(0)))
