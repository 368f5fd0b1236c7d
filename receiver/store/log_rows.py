"""The audit log and what is kept beside it: notifications, rejections, configurations, answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from receiver.core.alerts import Notification, Source
from receiver.core.decisions import Decision, Gate
from receiver.core.times import stamp
from receiver.store.bulk import insert_rows
from receiver.store.tables import answers, configs, decisions, notifications, rejections

KEPT_REJECTIONS = 100
REJECTED_BYTES = 64 * 1024
"""How much of a rejected body is kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act under an `Idempotency-Key` led to."""

    request: str
    decision_id: int


class LogRows:
    """Statements that only add, apart from the answers' and rejections' bounds."""

    _db: Connection

    def add_notifications(
        self, arrived: Iterable[tuple[str, datetime, Source, str, Notification]]
    ) -> None:
        """Keep notifications as they came: id, when, source, sender's name, content."""
        rows = [
            {
                "id": notification_id,
                "received_at": received_at,
                "source": source.value,
                "sender": sender,
                "receiver": notification.receiver,
                "group_key": notification.group_key,
                "status": notification.status,
                "external_url": notification.external_url,
                "truncated_alerts": notification.truncated_alerts,
                "notification_reason": notification.notification_reason,
                "route_labels": notification.route_labels,
                "body": notification.body,
            }
            for notification_id, received_at, source, sender, notification in arrived
        ]
        insert_rows(self._db, notifications, rows)

    def add_decisions(self, taken: Iterable[Decision]) -> None:
        """Append to the audit log."""
        rows = [decision_row(decision) for decision in taken]
        insert_rows(self._db, decisions, rows)

    def add_rejection(
        self, *, at: datetime, sender: str, status_code: int, detail: str, body: bytes, size: int
    ) -> None:
        """Keep a body that we could not accept; only the newest 100 stay."""
        self._db.execute(
            insert(rejections).values(
                received_at=at,
                sender=sender,
                status_code=status_code,
                detail=detail,
                size=size,
                body=body[:REJECTED_BYTES],
            )
        )
        newest = select(rejections.c.id).order_by(rejections.c.id.desc()).limit(KEPT_REJECTIONS)
        self._db.execute(delete(rejections).where(rejections.c.id.not_in(newest)))

    def add_config(self, config_hash: str, body: str, at: datetime) -> bool:
        """Keep a configuration by its hash. True if it differs from the one loaded before."""
        last = self._db.scalar(
            select(configs.c.hash).order_by(configs.c.loaded_at.desc()).limit(1)
        )
        known = self._db.execute(
            update(configs).where(configs.c.hash == config_hash).values(loaded_at=at)
        )
        if known.rowcount == 0:
            self._db.execute(insert(configs).values(hash=config_hash, body=body, loaded_at=at))
        return last != config_hash

    def answer(self, actor: str, key: str, since: datetime) -> Answer | None:
        """What this actor's act under this key was answered, if that was after `since`."""
        row = self._db.execute(
            select(answers.c.request, answers.c.decision_id).where(
                answers.c.actor == actor, answers.c.key == key, answers.c.answered_at > since
            )
        ).one_or_none()
        return None if row is None else Answer(row.request, row.decision_id)

    def save_answer(self, actor: str, key: str, answer: Answer, at: datetime) -> None:
        """Remember an answer; an older one under the same key has run out."""
        self._db.execute(delete(answers).where(answers.c.actor == actor, answers.c.key == key))
        self._db.execute(
            insert(answers).values(
                actor=actor,
                key=key,
                request=answer.request,
                answered_at=at,
                decision_id=answer.decision_id,
            )
        )


def gate_row(gate: Gate) -> dict[str, Any]:
    """A gate as the log and the API show it."""
    return {
        "rung": gate.rung.value,
        "applies": gate.applies,
        "detail": gate.detail,
        "until": stamp(gate.until),
        **gate.saw,
    }


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision as a row."""
    return {
        "id": decision.id,
        "decided_at": decision.decided_at,
        "source": decision.source.value,
        "policy": decision.policy,
        "model": decision.model,
        "alertname": decision.alertname,
        "fingerprint": decision.fingerprint,
        "status": decision.status.value if decision.status else None,
        "starts_at": decision.starts_at,
        "labels": None if decision.labels is None else dict(decision.labels),
        "value": decision.value,
        "reason": decision.reason.value,
        "outcome": decision.outcome.value,
        "detail": decision.detail,
        "gates": [gate_row(gate) for gate in decision.gates],
        "next_check_at": decision.next_check_at,
        "dispatch_id": decision.dispatch_id,
        "notification_id": decision.notification_id,
        "seen_in": decision.seen_in,
        "position": decision.position,
        "config_hash": decision.config_hash,
        "actor": decision.actor,
        "comment": decision.comment,
    }
