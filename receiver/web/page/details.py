"""One thing, whole: a decision, a dispatch, a rejected body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from receiver.alertmanager import raw_alert
from receiver.core.run_ends import RunEnd
from receiver.store import page_rows, queries
from receiver.store.run_end_rows import run_ends_of
from receiver.store.store import Store
from receiver.store.tables import rejections
from receiver.web.page.annotations import NOTHING, Told, read

SHOWN_BODY = 16 * 1024


@dataclass(frozen=True, slots=True)
class WholeDecision:
    """A decision with everything that it was made from.

    Attributes:
        alert: As it came, None once forgotten.
        policy: The policy as the configuration of that time had it.
        before: The decision about the same model just before this one.

    """

    now: datetime
    row: Row[Any]
    alert: Any
    told: Told
    policy: Any
    before: Row[Any] | None
    dispatch: Row[Any] | None
    attempts: Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class WholeDispatch:
    """A dispatch with every attempt and transition, and what its run brought."""

    now: datetime
    row: Row[Any]
    attempts: Sequence[Row[Any]]
    transitions: Sequence[Row[Any]]
    end: RunEnd | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A body that we could not accept."""

    now: datetime
    row: Row[Any]
    body: str
    cut: bool


def decision(store: Store, decision_id: int) -> WholeDecision | None:
    """A decision; None if there is none."""
    with store.read() as db:
        row = queries.find_decision(db, decision_id)
        if row is None:
            return None
        body = queries.raw_body(db, row.seen_in)
        config = page_rows.stored_config(db, row.config_hash)
        dispatch_row = queries.find_dispatch(db, row.dispatch_id) if row.dispatch_id else None
        attempts = queries.attempts_of(db, row.dispatch_id) if row.dispatch_id else ()
        before, now = _before(db, row), store.now(db)
    alert = None if body is None or row.position is None else raw_alert(body, row.position)
    return WholeDecision(
        now=now,
        row=row,
        alert=alert,
        told=read(alert) if isinstance(alert, dict) else NOTHING,
        policy=_policy(config, row.policy),
        before=before,
        dispatch=dispatch_row,
        attempts=attempts,
    )


def _before(db: Connection, row: Row[Any]) -> Row[Any] | None:
    if row.model is None:
        return None
    page = queries.list_decisions(db, {"model": row.model}, before=row.id, limit=1)
    return next(iter(page.rows), None)


def _policy(config: str | None, name: str | None) -> Mapping[str, Any] | None:
    policies = json.loads(config).get("policies", []) if config and name else []
    return next((policy for policy in policies if policy.get("name") == name), None)


def dispatch(store: Store, dispatch_id: str) -> WholeDispatch | None:
    """A dispatch; None if there is none."""
    with store.read() as db:
        row = queries.find_dispatch(db, dispatch_id)
        if row is None:
            return None
        return WholeDispatch(
            now=store.now(db),
            row=row,
            attempts=queries.attempts_of(db, row.id),
            transitions=queries.transitions_of(db, row.id),
            end=run_ends_of(db, [row.id]).get(row.id),
        )


def rejection(store: Store, rejection_id: int) -> Rejection | None:
    """A rejected body; None if there is none."""
    with store.read() as db:
        row = db.execute(select(rejections).where(rejections.c.id == rejection_id)).one_or_none()
        if row is None:
            return None
        start = row.body[:SHOWN_BODY].decode("utf-8", "replace")
        return Rejection(store.now(db), row, start, cut=row.size > SHOWN_BODY)


def act_done(store: Store, decision_id: int) -> Row[Any] | None:
    """The decision that an operator's act left."""
    with store.read() as db:
        row = queries.find_decision(db, decision_id)
    return row if row is not None and row.actor is not None else None
