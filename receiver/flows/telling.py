"""What subscribers are to be told is written down beside what makes it true."""

import math
from typing import TYPE_CHECKING

from receiver.core.announcements import Announcement, Kind
from receiver.core.approvals import Approval
from receiver.core.decisions import Reason
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.models import LatestDispatch
from receiver.core.times import stamp

if TYPE_CHECKING:  # the ledger itself tells of orders and recoveries
    from receiver.flows.ledger import Ledger

MOVES = {DispatchState.PARKED: Kind.PARKED, DispatchState.REFUSED: Kind.REFUSED}
"""States of a dispatch that a human should hear of."""


def announce(
    ledger: "Ledger", kind: Kind, model: str, policy: str | None, **data: str | float | bool | None
) -> None:
    """Tell whoever wants to know, once this transaction is committed."""
    ledger.announcements += [
        Announcement(
            id=ledger.tx.new_id(ledger.now),
            subscriber=subscriber.name,
            kind=kind,
            model=model,
            policy=policy,
            at=ledger.now,
            data=data,
            due_at=ledger.now,
        )
        for subscriber in ledger.playbook.subscribers
        if subscriber.wants(kind, policy)
    ]


def ordered(ledger: "Ledger", dispatch: Dispatch, value: float | None) -> None:
    """A run was ordered."""
    announce(
        ledger,
        Kind.TRIGGERED,
        dispatch.model,
        dispatch.policy,
        detail=dispatch.detail,
        dispatch_id=dispatch.id,
        decision_id=str(dispatch.decision_id),
        target=dispatch.target,
        alertname=dispatch.alertname,
        value=value if value is not None and math.isfinite(value) else None,
        ordered=dispatch.ordered,
    )


def moved(ledger: "Ledger", dispatch: Dispatch) -> None:
    """A dispatch entered a state."""
    if dispatch.state in MOVES:
        announce(
            ledger,
            MOVES[dispatch.state],
            dispatch.model,
            dispatch.policy,
            detail=dispatch.detail,
            dispatch_id=dispatch.id,
            target=dispatch.target,
            run_id=dispatch.run_id,
            run_url=dispatch.run_url,
        )


def asked(ledger: "Ledger", policy: str, approval: Approval, detail: str) -> None:
    """A rung of the ladder asks a human."""
    spent = approval.rung == Reason.EXHAUSTED.value
    announce(
        ledger,
        Kind.EXHAUSTED if spent else Kind.APPROVAL,
        approval.model,
        policy,
        detail=detail,
        rung=approval.rung,
        expires_at=stamp(approval.expires_at),
    )


def recovered(ledger: "Ledger", model: str, run: LatestDispatch) -> None:
    """The last alert of a model was resolved after a run."""
    announce(
        ledger,
        Kind.RECOVERED,
        model,
        ledger.models[model].policy,
        detail="its last alert was resolved after the run",
        dispatch_id=run.id,
        run_id=run.run_id,
    )


def unsay_recovered(ledger: "Ledger", model: str) -> None:
    """An alert fires again, as the same transaction has found out."""
    told = ledger.announcements
    recovery = (Kind.RECOVERED, model)
    ledger.announcements = [one for one in told if (one.kind, one.model) != recovery]
