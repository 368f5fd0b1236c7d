"""GET /decisions: the audit log."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from receiver.alertmanager import raw_alert
from receiver.config import Role
from receiver.core.alerts import AlertStatus, Source
from receiver.core.decisions import Outcome, Reason
from receiver.core.times import stamp
from receiver.store.store import Store
from receiver.store.views.decisions import DECISION_FILTERS, StoredDecision
from receiver.store.views.paging import MOST_ROWS, Page
from receiver.web.auth import require
from receiver.web.cells import cell
from receiver.web.params import cursor, filters, limit, moment, number, only
from receiver.web.problems import Problem
from receiver.web.responses import answer, as_line
from receiver.web.service import Service
from receiver.web.shapes.decisions import (
    DecisionJson,
    DecisionsJson,
    GateJson,
    WholeDecisionJson,
)
from receiver.web.shapes.lists import FIELDS

WORDS = {"status": AlertStatus, "reason": Reason, "outcome": Outcome, "source": Source}

ASKED = (*DECISION_FILTERS, "since", "until", "limit", "cursor")

NDJSON = "application/x-ndjson"
CSV = "text/csv"


class Decisions:
    """The routes of the audit log."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page, newest first; NDJSON and CSV stream them all."""
        service = self._service
        require(request, service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        now = service.clock.now()
        asked: dict[str, Any] = {
            "filters": filters(request, DECISION_FILTERS, WORDS),
            "since": moment(request, "since", now),
            "until": moment(request, "until", now),
            "before": cursor(request, lambda text: number("cursor", text)),
        }
        rows = limit(request)
        accept = request.headers.get("accept", "")
        if NDJSON in accept:
            lines = as_ndjson(everything(service.store, asked))
            return StreamingResponse(lines, media_type=NDJSON)
        if CSV in accept:
            return StreamingResponse(as_csv(everything(service.store, asked)), media_type=CSV)
        page = await run_in_threadpool(_page, service.store, asked, rows)
        shown: DecisionsJson = {
            "decisions": [decision_json(row) for row in page.rows],
            "next_cursor": page.next_cursor,
        }
        return answer(shown)

    async def one(self, request: Request) -> Response:
        """One decision, with its gates and the raw alert."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())
        decision_id = number("decision", request.path_params["id"])
        found = await run_in_threadpool(whole_decision, self._service.store, decision_id)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no decision {decision_id}, or it was forgotten"
            )
        return answer(found)


def _page(store: Store, asked: Mapping[str, Any], rows: int) -> Page[StoredDecision]:
    with store.view() as view:
        return view.decisions.page(limit=rows, **asked)


def whole_decision(store: Store, decision_id: int) -> WholeDecisionJson | None:
    """A decision with its gates and the raw alert; None if there is none."""
    with store.view() as view:
        row = view.decisions.find(decision_id)
        if row is None:
            return None
        body = view.decisions.raw_body(row.seen_in)
    alert = None if body is None or row.position is None else raw_alert(body, row.position)
    gates = cast("Sequence[GateJson]", row.gates)  # as they were stored
    return {**decision_json(row), "gates": gates, "alert": alert}


def everything(store: Store, asked: Mapping[str, Any]) -> Iterator[Sequence[StoredDecision]]:
    """All that matches, newest first, page by page.

    Each page is a view of its own, so that a slow reader of a long export holds up nobody.
    """
    before: int | None = asked["before"]
    while True:
        page = _page(store, {**asked, "before": before}, MOST_ROWS)
        yield page.rows
        if page.next_cursor is None:
            return
        before = int(page.next_cursor)


def decision_json(row: StoredDecision) -> DecisionJson:
    """A decision as the lists show it."""
    return {
        "id": row.id,
        "decided_at": row.decided_at,
        "source": row.source,
        "policy": row.policy,
        "model": row.model,
        "alertname": row.alertname,
        "fingerprint": row.fingerprint,
        "status": row.status,
        "starts_at": row.starts_at,
        "labels": row.labels,
        "value": row.value,
        "reason": row.reason,
        "outcome": row.outcome,
        "detail": row.detail,
        "next_check_at": row.next_check_at,
        "dispatch_id": row.dispatch_id,
        "notification_id": row.notification_id,
        "config_hash": row.config_hash,
        "actor": row.actor,
        "comment": row.comment,
    }


def as_ndjson(pages: Iterable[Sequence[StoredDecision]]) -> Iterator[bytes]:
    """One JSON object a line."""
    return (b"".join(as_line(decision_json(row)) for row in rows) for rows in pages)


def as_csv(pages: Iterable[Sequence[StoredDecision]]) -> Iterator[str]:
    """A table with a heading; labels as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(FIELDS["decisions"])
    for rows in pages:
        for row in rows:
            writer.writerow(_cell(value) for value in decision_json(row).values())
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: object) -> object:
    return stamp(value) if isinstance(value, datetime) else cell(value)
