"""The shapes of the audit log."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from typing_extensions import TypedDict

from receiver.core.alerts import AlertStatus, Source, ValueIs
from receiver.core.decisions import Outcome, Reason, Scalar
from receiver.web.shapes.describing import About, Cursor, Moment, Stamp, Words

DecisionId: TypeAlias = Annotated[
    int, About("Grows with time: the moment in microseconds, but larger than all before it.")
]

ReasonWord: TypeAlias = Annotated[str, Words(Reason)]
OutcomeWord: TypeAlias = Annotated[str, Words(Outcome)]


class DecisionJson(TypedDict):
    """An entry of the audit log."""

    id: DecisionId
    decided_at: Moment
    source: Annotated[str, Words(Source)]
    policy: str | None
    model: str | None
    alertname: str
    fingerprint: str
    status: Annotated[str, Words(AlertStatus)] | None
    starts_at: Moment | None
    labels: Annotated[
        Mapping[str, str] | None,
        About("As sent; null where there are none, or more than 64 KiB: the raw alert has them."),
    ]
    value: float | None
    value_is: Annotated[
        Annotated[str, Words(ValueIs)] | None,
        About("Beside `resolved` stands the last value seen firing, not the recovered one."),
    ]
    reason: ReasonWord
    outcome: OutcomeWord
    detail: str
    next_check_at: Moment | None
    dispatch_id: str | None
    notification_id: str | None
    config_hash: str
    actor: str | None
    comment: str | None


class GateJson(TypedDict, extra_items=Scalar):  # type: ignore[call-arg]  # of PEP 728
    """What one rung of the ladder saw; besides these, the facts it looked at."""

    rung: ReasonWord
    applies: bool
    detail: str
    until: Stamp | None


class WholeDecisionJson(DecisionJson):
    """A decision with the rungs up to the one that decided, and the alert as it came."""

    gates: Sequence[GateJson]
    alert: Annotated[Any, About("Null for an operator's act, and once forgotten.")]


class DecisionsJson(TypedDict):
    """A page of the audit log, newest first."""

    decisions: Sequence[DecisionJson]
    next_cursor: Cursor
