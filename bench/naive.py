"""The naive way: one commit per request through an ORM session in a thread pool, the same rows."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, registry
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.floor import read, run
from receiver.core.ids import time_id
from receiver.store.column_types import to_micros
from receiver.store.tables import decisions, firing_alerts, metadata, models, notifications

mapper = registry(metadata=metadata)


class Notification:
    """A row of `notifications`."""


class Decision:
    """A row of `decisions`."""


class FiringAlert:
    """A row of `firing_alerts`."""


class Model:
    """A row of `models`."""


for kind, table in (
    (Notification, notifications),
    (Decision, decisions),
    (FiringAlert, firing_alerts),
    (Model, models),
):
    mapper.map_imperatively(kind, table)


def build(path: Path) -> Starlette:
    """An application that stores what the receiver stores for a repeated alert."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 60}, pool_size=64)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    metadata.create_all(engine)
    numbers = iter(range(to_micros(datetime.now(UTC)), 1 << 53))  # noqa: TID251  a bench

    def store(body: bytes) -> list[dict[str, object]]:
        now = datetime.now(UTC)  # noqa: TID251  a bench
        message = json.loads(body)
        answers = []
        with Session(engine) as session:
            notification_id = time_id(now, str(next(numbers)).encode()[-10:])
            session.add(_row(Notification, _notification(notification_id, now, message, body)))
            for position, alert in enumerate(message["alerts"]):
                decision_id = next(numbers)
                session.add(
                    _row(Decision, _decision(decision_id, notification_id, now, alert, position))
                )
                name = alert["labels"]["user_id"]
                session.merge(_row(FiringAlert, _firing(name, now, alert)))
                session.merge(_row(Model, {"name": name, "labels": {}, "refusals": 0}))
                answers.append({"id": decision_id, "model": name})
            session.commit()
        return answers

    async def webhook(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(store, await request.body()))

    return Starlette(routes=[Route("/", read), Route("/webhook", webhook, methods=["POST"])])


def _row(kind: type, values: dict[str, object]) -> object:
    row = kind()
    for name, value in values.items():
        setattr(row, name, value)
    return row


def _notification(
    notification_id: str, now: datetime, message: dict[str, Any], body: bytes
) -> dict[str, object]:
    return {
        "id": notification_id,
        "received_at": now,
        "source": "alertmanager",
        "sender": "",
        "receiver": message["receiver"],
        "group_key": message["groupKey"],
        "status": message["status"],
        "external_url": message["externalURL"],
        "truncated_alerts": 0,
        "body": body,
    }


def _decision(
    decision_id: int, notification_id: str, now: datetime, alert: dict[str, Any], position: int
) -> dict[str, object]:
    return {
        "id": decision_id,
        "decided_at": now,
        "source": "alertmanager",
        "policy": "model-quality",
        "model": alert["labels"]["user_id"],
        "alertname": alert["labels"]["alertname"],
        "fingerprint": alert["fingerprint"],
        "status": alert["status"],
        "labels": alert["labels"],
        "reason": "duplicate",
        "outcome": "skip",
        "detail": "the same delivery was decided 12s ago; repeats within 10m count once",
        "gates": [{"rung": "duplicate", "applies": True}],
        "notification_id": notification_id,
        "seen_in": notification_id,
        "position": position,
        "config_hash": "x" * 64,
    }


def _firing(name: str, now: datetime, alert: dict[str, Any]) -> dict[str, object]:
    return {
        "fingerprint": alert["fingerprint"],
        "model": name,
        "policy": "model-quality",
        "alertname": alert["labels"]["alertname"],
        "labels": alert["labels"],
        "starts_at": now,
        "confirmed_at": now,
        "expires_at": now,
        "observing": True,
    }


if __name__ == "__main__":
    run(build(Path(sys.argv[2]) / "naive.db"), int(sys.argv[1]))
