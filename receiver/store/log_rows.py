"""Writes the audit log, notifications, rejections, configurations and idempotent answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from receiver.core.alerts import Notification, Source
from receiver.core.decisions import Decision, Gate
from receiver.core.times import stamp
from receiver.json_text import encode
from receiver.store.column_types import MICROSECOND
from receiver.store.compiled import Compiled
from receiver.store.compiled_upsert import Writing
from receiver.store.tables import answers, configs, decisions, notifications, rejections

KEPT_REJECTIONS = 100
REJECTED_BYTES = 64 * 1024
"""How much of a rejected body is kept."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
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
        ADDING_NOTIFICATIONS.write(self._db, arrived)

    def add_decisions(self, taken: Iterable[Decision]) -> None:
        """Append to the audit log."""
        ADDING_DECISIONS.write(self._db, taken)

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

    def is_in_force(self, config_hash: str) -> bool:
        """Whether no other configuration was loaded after this one, by any replica."""
        last = LAST_CONFIG.row(self._db)
        return last is None or last[0] == config_hash

    def config_in_force(self) -> str | None:
        """The text of the configuration that was loaded last."""
        last = LAST_CONFIG.row(self._db)
        return None if last is None else str(last[1])

    def add_config(self, config_hash: str, body: str, at: datetime) -> bool:
        """Keep a configuration by its hash. True if it differs from the one loaded before."""
        last = LAST_CONFIG.row(self._db)
        # One that was loaded while the clock was ahead is no later one.
        ahead = update(configs).where(configs.c.loaded_at >= at)
        self._db.execute(ahead.values(loaded_at=at - MICROSECOND))
        known = self._db.execute(
            update(configs).where(configs.c.hash == config_hash).values(loaded_at=at)
        )
        if known.rowcount == 0:
            self._db.execute(insert(configs).values(hash=config_hash, body=body, loaded_at=at))
        return last is None or last[0] != config_hash

    def answer(self, actor: str, key: str, since: datetime) -> StoredAnswer | None:
        """What this actor's act under this key was answered, if that was after `since`."""
        row = self._db.execute(
            select(answers.c.request, answers.c.decision_id).where(
                answers.c.actor == actor, answers.c.key == key, answers.c.answered_at > since
            )
        ).one_or_none()
        return None if row is None else StoredAnswer(row.request, row.decision_id)

    def save_answer(self, actor: str, key: str, answer: StoredAnswer, at: datetime) -> None:
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


def _gate_row(gate: Gate) -> dict[str, Any]:
    """A gate as the log keeps it."""
    return {
        "rung": str(gate.rung),
        "applies": gate.applies,
        "detail": gate.detail,
        "until": stamp(gate.until),
        **gate.saw,
    }


def _notification_row(arrived: tuple[str, datetime, Source, str, Notification]) -> list[Any]:
    notification_id, received_at, source, sender, notification = arrived
    return [notification_id, received_at, source, sender, *_as_it_came(notification)]


_as_it_came = attrgetter(
    "receiver",
    "group_key",
    "status",
    "external_url",
    "truncated_alerts",
    "notification_reason",
    "route_labels",
    "body",
)

LAST_CONFIG = Compiled(
    select(configs.c.hash, configs.c.body).order_by(configs.c.loaded_at.desc()).limit(1)
)
ADDING_NOTIFICATIONS = Writing(notifications, take=_notification_row)
ADDING_DECISIONS = Writing(
    decisions, converters={"gates": lambda gates: encode([_gate_row(gate) for gate in gates])}
)
