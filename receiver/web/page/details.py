"""The detail pages: a decision, a dispatch, a rejected body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from receiver.alertmanager import raw_alert
from receiver.core.dispatches import Dispatch
from receiver.core.run_ends import RunEnd
from receiver.core.tenants import Tenant
from receiver.store.store import Store
from receiver.store.views.decisions import StoredDecision, WholeDecision
from receiver.store.views.dispatches import Attempt, Transition
from receiver.store.views.rejections import Rejection
from receiver.store.views.view import View
from receiver.web.page.annotations import NOTHING, Told, read
from receiver.web.page.labels import pretty

SHOWN_BODY = 16 * 1024
SHOWN_ALERT = 64 * 1024

SHOWN_STEPS = 100
"""Attempts and transitions: while its target is away a dispatch makes one every few minutes."""


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """A decision with everything that it was made from.

    Attributes:
        alert: The beginning of it as it came, as JSON; None once forgotten.
        cut: Whether there is more of it.
        policy: The policy as the configuration of that time had it.
        before: The decision about the same model just before this one.
        known: Whether there is that model: one of test alerts, or forgotten, has no page.

    """

    now: datetime
    row: WholeDecision
    alert: str | None
    cut: bool
    told: Told
    policy: Any
    before: StoredDecision | None
    dispatch: Dispatch | None
    attempts: Sequence[Attempt]
    known: bool


@dataclass(frozen=True, slots=True)
class ShownDispatch:
    """A dispatch with its last attempts and transitions, and what its run brought."""

    now: datetime
    row: Dispatch
    attempts: Sequence[Attempt]
    transitions: Sequence[Transition]
    end: RunEnd | None
    known: bool


@dataclass(frozen=True, slots=True)
class ShownRejection:
    """A body that we could not accept."""

    now: datetime
    row: Rejection
    body: str
    cut: bool


def decision(store: Store, decision_id: int, tenant: Tenant | None = None) -> ShownDecision | None:
    """A decision; None if there is none, or not of the tenant."""
    with store.view(tenant) as view:
        row = view.decisions.find(decision_id)
        if row is None:
            return None
        body = view.decisions.raw_body(row.seen_in)
        config = view.decisions.config(row.config_hash)
        ordered = view.dispatches.find(row.dispatch_id) if row.dispatch_id else None
        attempts = _attempts(view, row.dispatch_id)
        before, now = view.decisions.before(row), view.now
        known = bool(view.models.known([row.model]))
    alert = None if body is None or row.position is None else raw_alert(body, row.position)
    text = alert if isinstance(alert, str) or alert is None else pretty(alert)
    return ShownDecision(
        now=now,
        row=row,
        alert=None if text is None else text[:SHOWN_ALERT],
        cut=text is not None and len(text) > SHOWN_ALERT,
        told=read(alert) if isinstance(alert, dict) else NOTHING,
        policy=_policy(config, row.policy),
        before=before,
        dispatch=ordered,
        attempts=attempts,
        known=known,
    )


def _attempts(view: View, dispatch_id: str | None) -> Sequence[Attempt]:
    return view.dispatches.attempts(dispatch_id, SHOWN_STEPS) if dispatch_id else ()


def _policy(config: str | None, name: str | None) -> Mapping[str, Any] | None:
    policies = json.loads(config).get("policies", []) if config and name else []
    return next((policy for policy in policies if policy.get("name") == name), None)


def dispatch(store: Store, dispatch_id: str, tenant: Tenant | None = None) -> ShownDispatch | None:
    """A dispatch; None if there is none, or not of the tenant."""
    with store.view(tenant) as view:
        row = view.dispatches.find(dispatch_id)
        if row is None:
            return None
        return ShownDispatch(
            now=view.now,
            row=row,
            attempts=_attempts(view, row.id),
            transitions=view.dispatches.transitions(row.id, SHOWN_STEPS),
            end=view.dispatches.ends([row.id]).get(row.id),
            known=bool(view.models.known([row.model])),
        )


def rejection(store: Store, rejection_id: int) -> ShownRejection | None:
    """A rejected body; None if there is none."""
    with store.view() as view:
        row = view.rejections.find(rejection_id)
        if row is None:
            return None
        start = row.body[:SHOWN_BODY].decode("utf-8", "replace")
        return ShownRejection(view.now, row, start, cut=row.size > SHOWN_BODY)


def act_done(
    store: Store, decision_id: int, tenant: Tenant | None = None
) -> StoredDecision | None:
    """The decision that an operator's act left."""
    with store.view(tenant) as view:
        row = view.decisions.find(decision_id)
    return row if row is not None and row.actor is not None else None
