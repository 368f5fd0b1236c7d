"""The shapes of dispatches, and of what became of their runs."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

from typing_extensions import TypedDict

from receiver.core.dispatches import DispatchState, Failure
from receiver.core.reports import Verdict
from receiver.core.run_ends import Effect
from receiver.core.targets import TargetKind
from receiver.web.shapes.decisions import DecisionId
from receiver.web.shapes.describing import About, Cursor, Moment, Words

StateWord: TypeAlias = Annotated[str, Words(DispatchState)]


class RunEndJson(TypedDict):
    """What became of a run; all null before its end."""

    effect: Annotated[
        Annotated[str, Words(Effect)] | None, About("What it brought, as far as can be told now.")
    ]
    recovered_at: Moment | None
    verdict: Annotated[Annotated[str, Words(Verdict)] | None, About("The run's own.")]
    metrics: Annotated[dict[str, float] | None, About("Numbers that the run reported.")]
    report_detail: Annotated[str | None, About("Why its report can't be told.")]


class StoredDispatchJson(TypedDict):
    """A dispatch without what became of its run."""

    id: str
    model: str
    policy: str
    target: str
    kind: Annotated[str, Words(TargetKind)]
    state: StateWord
    detail: str
    attempt: int
    run_id: str | None
    run_url: str | None
    created_at: Moment
    due_at: Moment
    sent_at: Annotated[
        Moment | None, About("When the latest attempt began that may have reached the target.")
    ]
    failing_since: Annotated[
        Moment | None,
        About("Since when its target starts nothing; null if it is not tried again."),
    ]
    ended_at: Moment | None
    decision_id: DecisionId
    alertname: str
    ordered: Annotated[bool, About("Whether an operator ordered it.")]
    place: Annotated[Mapping[str, str], About("Where it was sent.")]
    inputs: Annotated[Mapping[str, str | int | float], About("What was sent.")]


class DispatchJson(StoredDispatchJson, RunEndJson):
    """A stored order to start one run."""


class AttemptJson(TypedDict):
    """One try."""

    number: int
    begun_at: Moment
    ended_at: Moment | None
    failure: Annotated[str, Words(Failure)] | None
    status_code: int | None
    detail: str


class TransitionJson(TypedDict):
    """The state that a dispatch entered."""

    number: int
    at: Moment
    state: StateWord
    detail: str
    actor: str | None


class WholeDispatchJson(DispatchJson):
    """A dispatch with its last attempts and transitions, 500 at most of each; by cursor, all."""

    attempts: Sequence[AttemptJson]
    transitions: Sequence[TransitionJson]
    next_cursor: Cursor


class DispatchesJson(TypedDict):
    """A page of dispatches, newest first."""

    dispatches: Sequence[DispatchJson]
    next_cursor: Cursor
