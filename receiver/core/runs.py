"""Runs: the retraining as the target sees it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias


class RunState(StrEnum):
    """How a run stands at its target."""

    RUNNING = "running"  # queued counts: the target has taken it on
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"  # the target says that it does not know it; once proves nothing


@dataclass(frozen=True, slots=True)
class Run:
    """A run that carries a dispatch's id.

    Attributes:
        id: The target's own id of the run; None if it accepted without naming the run.
        url: A page about it for people, None if there is none.
        shows_id: The target showed our dispatch id with it, so a later look-up can prove absence.

    """

    id: str | None
    url: str | None
    shows_id: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """No run carries the id, by a listing that was read to its end and was seen to work."""


@dataclass(frozen=True, slots=True)
class NotSeen:
    """No run with the id was seen, but the listing proves nothing.

    Attributes:
        why: What makes the listing doubtful, as the end of a sentence.

    """

    why: str


@dataclass(frozen=True, slots=True)
class Repeatable:
    """Nobody can tell whether the run exists, but the target promises to start no second one.

    To ask again is safe, and the answer then names the run, whichever attempt started it.
    """


Look: TypeAlias = Run | Absent | NotSeen | Repeatable
"""What a look for a dispatch's run can tell."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands now, with the target's own word for it in `detail`.

    Attributes:
        note: What an operator should know while it runs, as the end of a sentence about the run.
        attempt: Which of the run's attempts this is about, from 1; None if the target counts none.

    """

    state: RunState
    detail: str
    url: str | None = None
    shows_id: bool = False
    note: str = ""
    attempt: int | None = None


IT_RUNS = "it runs"


def told_of(run_id: str | None, said: str) -> str:
    """What is told of a run, as its dispatch's detail; `note_in` finds it again."""
    return f"run {run_id}: {said}"


def note_in(detail: str, run_id: str | None) -> str:
    """What is to be known of a run that goes on, by its dispatch's detail; empty if nothing is."""
    told = told_of(run_id, "")
    said = detail.removeprefix(told) if detail.startswith(told) else ""
    return "" if said == IT_RUNS else said


MISSED = 3
MISSED_FOR = timedelta(minutes=10)


def is_gone(times: int, missing_for: timedelta) -> bool:
    """Whether a run that its target did not know so many times in a row, so long, is no more.

    Targets answer 404 about runs that go on, for minutes: during an outage, or while they index.
    """
    return times >= MISSED and missing_for >= MISSED_FOR


SOONEST_POLL = timedelta(seconds=2)
LATEST_POLL = timedelta(minutes=1)


def next_poll(started_at: datetime, now: datetime) -> datetime:
    """When to ask again: after a tenth of the run's age, from 2s to 1m.

    A young run is watched closely; a long one costs the target at most one request a minute.
    """
    return now + min(max((now - started_at) / 10, SOONEST_POLL), LATEST_POLL)
