"""What all operators' acts share: actor, comment, idempotency key, the decision in the log."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from receiver.core.alerts import Source
from receiver.core.decisions import Decision, Gate, Reason
from receiver.flows.intake.counting import count_one
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.log_rows import StoredAnswer
from receiver.store.store import Store, Tx
from receiver.telemetry import log

ANSWERS_KEPT = timedelta(hours=24)
"""How long an `Idempotency-Key` is honoured."""


class NotFound(Exception):
    """There is no such model, policy or dispatch; the message says what would help."""


class Conflict(Exception):
    """It can't be done in the present state; the message says why."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, why, and how to recognise the same request again.

    Attributes:
        key: The `Idempotency-Key`, None without one.
        request: What was asked for, so that a key used for something else is refused.

    """

    actor: str
    comment: str
    key: str | None = None
    request: str = ""


def once(store: Store, act: Act, do: Callable[[Tx], Decision]) -> int:
    """Do it, or find what the same request did before."""
    with store.begin() as tx:
        if act.key is not None:
            tx.take_advisory_lock(AdvisoryLock.ANSWER, f"{act.actor}\n{act.key}")
            known = tx.answer(act.actor, act.key, tx.now() - ANSWERS_KEPT)
            if known is not None and known.request != act.request:
                raise Conflict("this Idempotency-Key was used for another request")
            if known is not None:
                return known.decision_id
        decision = do(tx)
        if act.key is not None:
            answer = StoredAnswer(request=act.request, decision_id=decision.id)
            tx.save_answer(act.actor, act.key, answer, decision.decided_at)
    count_one(decision)
    log().info(
        "operator_acted",
        decision_id=decision.id,
        actor=act.actor,
        model=decision.model,
        policy=decision.policy,
        reason=decision.reason.value,
        detail=decision.detail,
    )
    return decision.id


def acted(
    unit: UnitOfWork, act: Act, reason: Reason, detail: str, gates: tuple[Gate, ...] = ()
) -> Decision:
    """The decision that an act leaves; the caller adds what it was about."""
    return Decision(
        id=unit.tx.decision_id(unit.now),
        decided_at=unit.now,
        source=Source.OPERATOR,
        reason=reason,
        detail=detail,
        gates=gates,
        config_hash=unit.policy_set.config_hash,
        actor=act.actor,
        comment=act.comment,
    )
