"""Composes the messages to subscribers: run ordered, dispatch failed, question, recovery."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from receiver.core.announcements import Kind
from receiver.core.approvals import Approval
from receiver.core.decisions import Reason
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.models import LatestDispatch
from receiver.core.target_health import TargetRecord, cure
from receiver.core.times import stamp

Data: TypeAlias = Mapping[str, str | float | bool | None]

TOLD_STATES = {DispatchState.PARKED: Kind.PARKED, DispatchState.REFUSED: Kind.REFUSED}
"""States of a dispatch that a human should hear of."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, before it is known who wants to hear it.

    Attributes:
        policy: The policy that it is about; None for a model that no policy names any more.
        data: What is told besides; JSON.

    """

    kind: Kind
    model: str
    policy: str | None
    data: Data


def run_ordered(dispatch: Dispatch, value: float | None) -> Message:
    """A run was ordered. `value` is the alert's; what is not finite is left out."""
    data: Data = {
        "detail": dispatch.detail,
        "dispatch_id": dispatch.id,
        "decision_id": str(dispatch.decision_id),
        "target": dispatch.target,
        "alertname": dispatch.alertname,
        "value": value if value is not None and math.isfinite(value) else None,
        "ordered": dispatch.ordered,
    }
    return Message(Kind.TRIGGERED, dispatch.model, dispatch.policy, data)


def dispatch_moved(dispatch: Dispatch) -> Message | None:
    """A dispatch entered a state; None if no human need hear of it."""
    kind = TOLD_STATES.get(dispatch.state)
    if kind is None:
        return None
    data: Data = {
        "detail": dispatch.detail,
        "dispatch_id": dispatch.id,
        "target": dispatch.target,
        "run_id": dispatch.run_id,
        "run_url": dispatch.run_url,
    }
    return Message(kind, dispatch.model, dispatch.policy, data)


def target_failing(dispatch: Dispatch, record: TargetRecord) -> Message:
    """A target starts nothing that is asked for; told of the first dispatch that met it."""
    what = cure(dispatch.kind, dispatch.place, record.error, record.status_code)
    data: Data = {
        "detail": f"target {record.name}: {record.error}; {what}",
        "target": record.name,
        "error": record.error,
        "cure": what,
        "failing_since": stamp(record.failing_since),
        "dispatch_id": dispatch.id,
    }
    return Message(Kind.TARGET_FAILING, dispatch.model, dispatch.policy, data)


def question_asked(policy: str, approval: Approval, detail: str) -> Message:
    """A rung of the ladder asks a human."""
    spent = approval.rung == Reason.EXHAUSTED.value
    kind = Kind.EXHAUSTED if spent else Kind.APPROVAL
    data: Data = {
        "detail": detail,
        "rung": approval.rung,
        "episode_started_at": stamp(approval.episode_started_at),
        "asked_at": stamp(approval.asked_at),
        "expires_at": stamp(approval.expires_at),
    }
    return Message(kind, approval.model, policy, data)


def model_recovered(model: str, policy: str | None, run: LatestDispatch) -> Message:
    """The last alert of a model was resolved after a run."""
    data: Data = {
        "detail": "its last alert was resolved after the run",
        "dispatch_id": run.id,
        "run_id": run.run_id,
    }
    return Message(Kind.RECOVERED, model, policy, data)
