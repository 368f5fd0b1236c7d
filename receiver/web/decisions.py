"""GET /decisions: the audit log."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.alertmanager import raw_alert
from receiver.core.alerts import AlertStatus, Source, value_is
from receiver.core.decisions import Outcome, Reason
from receiver.core.tenants import Tenant
from receiver.core.times import stamp
from receiver.store.store import Store
from receiver.store.views.decisions import DECISION_FILTERS, StoredDecision
from receiver.store.views.paging import MOST_ROWS, Page
from receiver.web.auth import require_reader
from receiver.web.cells import cell
from receiver.web.exports import EXPORTED_BYTES, Exports
from receiver.web.params import all_at_once, cursor, filters, limit, moment, number, only
from receiver.web.problems import Problem
from receiver.web.responses import JSON, Encoded, as_json, as_line, page_answer
from receiver.web.service import Service
from receiver.web.shapes.decisions import (
    DecisionJson,
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
        self._exports = Exports()

    async def list(self, request: Request) -> Response:
        """A page, newest first; NDJSON and CSV stream them all."""
        service = self._service
        tenant = require_reader(request, service.loaded.tokens).tenant
        now = service.clock.now()
        _, wanted, since, until, rows = all_at_once(
            partial(only, request, ASKED),
            partial(filters, request, DECISION_FILTERS, WORDS),
            partial(moment, request, "since", now),
            partial(moment, request, "until", now),
            partial(limit, request),
        )
        asked: dict[str, Any] = {
            "filters": wanted,
            "since": since,
            "until": until,
            "before": cursor(request, lambda text: number("cursor", text)),
        }
        accept = request.headers.get("accept", "")
        if NDJSON in accept:
            return self._exports.answer(as_ndjson(service.store, asked, tenant), NDJSON)
        if CSV in accept:
            return self._exports.answer(as_csv(service.store, asked, tenant), CSV)
        shown = Encoded(_as_json)
        page = await run_in_threadpool(_page, service.store, asked, tenant, rows, shown.fits)
        return page_answer("decisions", shown.parts, page.next_cursor)

    async def one(self, request: Request) -> Response:
        """One decision, with its gates and the raw alert."""
        service = self._service
        tenant = require_reader(request, service.loaded.tokens).tenant
        only(request, ())
        decision_id = number("decision", request.path_params["id"])
        async with service.raw_alerts:
            found = await run_in_threadpool(_whole_as_json, service.store, decision_id, tenant)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no decision {decision_id}, or it was forgotten"
            )
        return Response(found, media_type=JSON)


def _page(
    store: Store,
    asked: Mapping[str, Any],
    tenant: Tenant | None,
    rows: int,
    fits: Callable[[StoredDecision], bool],
) -> Page[StoredDecision]:
    with store.view(tenant) as view:
        return view.decisions.page(limit=rows, fits=fits, **asked)


def _whole_as_json(store: Store, decision_id: int, tenant: Tenant | None) -> bytes | None:
    found = whole_decision(store, decision_id, tenant)
    return None if found is None else as_json(found)


def whole_decision(
    store: Store, decision_id: int, tenant: Tenant | None = None
) -> WholeDecisionJson | None:
    """A decision with its gates and the raw alert; None if there is none, or not of the tenant."""
    with store.view(tenant) as view:
        row = view.decisions.find(decision_id)
        if row is None:
            return None
        body = view.decisions.raw_body(row.seen_in)
    alert = None if body is None or row.position is None else raw_alert(body, row.position)
    gates = cast("Sequence[GateJson]", row.gates)  # as they were stored
    return {**decision_json(row), "gates": gates, "alert": alert}


def everything(
    store: Store,
    asked: Mapping[str, Any],
    tenant: Tenant | None,
    write: Callable[[StoredDecision], bytes],
) -> Iterator[bytes]:
    """All that matches, newest first and as it is written, in parts.

    Each part is a view of its own, so that a slow reader of a long export holds up nobody; it
    waits for its reader as text, which is a tenth of what the rows would take.
    """
    before: int | None = asked["before"]
    while True:
        part, cursor = _part(store, {**asked, "before": before}, tenant, write)
        yield part
        if cursor is None:
            return
        before = int(cursor)
        del part


def _part(
    store: Store,
    asked: Mapping[str, Any],
    tenant: Tenant | None,
    write: Callable[[StoredDecision], bytes],
) -> tuple[bytes, str | None]:
    written = Encoded(write, EXPORTED_BYTES)
    page = _page(store, asked, tenant, MOST_ROWS, written.fits)
    return b"".join(written.parts), page.next_cursor


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
        "value_is": value_is(row.status, row.value),
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


def _as_json(row: StoredDecision) -> bytes:
    return as_json(decision_json(row))


def as_ndjson(
    store: Store, asked: Mapping[str, Any], tenant: Tenant | None = None
) -> Iterator[bytes]:
    """One JSON object a line."""
    return everything(store, asked, tenant, lambda row: as_line(decision_json(row)))


def as_csv(
    store: Store, asked: Mapping[str, Any], tenant: Tenant | None = None
) -> Iterator[bytes]:
    """A table with a heading; labels as JSON."""
    yield _csv_line(FIELDS["decisions"])
    yield from everything(store, asked, tenant, lambda row: _csv_line(map(_cell, _values(row))))


def _values(row: StoredDecision) -> Iterable[object]:
    return decision_json(row).values()


def _csv_line(values: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode(errors="replace")


def _cell(value: object) -> object:
    return stamp(value) if isinstance(value, datetime) else cell(value)
