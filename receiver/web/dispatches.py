"""GET /dispatches, and what an operator can do about one."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.config import Role
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.run_ends import RunEnd
from receiver.core.times import stamp
from receiver.flows.operator import dispatches
from receiver.store.views.dispatches import DISPATCH_FILTERS, Attempt, Transition
from receiver.store.views.view import View
from receiver.web.auth import require
from receiver.web.operator_acts import perform
from receiver.web.params import cursor, filters, limit, only
from receiver.web.problems import Problem
from receiver.web.service import Service

ASKED = (*DISPATCH_FILTERS, "limit", "cursor")

COLUMNS = (
    "id",
    "model",
    "policy",
    "target",
    "kind",
    "state",
    "detail",
    "attempt",
    "run_id",
    "run_url",
    "created_at",
    "due_at",
    "sent_at",
    "ended_at",
    "decision_id",
    "alertname",
    "ordered",
    "place",
    "inputs",
)


class Dispatches:
    """The routes of the outbox."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page, newest first."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        wanted = filters(request, DISPATCH_FILTERS, {"state": DispatchState})
        before, rows = cursor(request), limit(request)

        def read() -> dict[str, Any]:
            with self._service.store.view() as view:
                page = view.dispatches.page(wanted, before=before, limit=rows)
                shown = dispatches_json(view, page.rows)
            return {"dispatches": shown, "next_cursor": page.next_cursor}

        return JSONResponse(await run_in_threadpool(read))

    async def one(self, request: Request) -> Response:
        """One dispatch, with every attempt and transition."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())
        dispatch_id = request.path_params["id"]

        def read() -> dict[str, Any] | None:
            with self._service.store.view() as view:
                row = view.dispatches.find(dispatch_id)
                if row is None:
                    return None
                return {
                    **dispatches_json(view, [row])[0],
                    "attempts": [_json(one) for one in view.dispatches.attempts(row.id)],
                    "transitions": [_json(one) for one in view.dispatches.transitions(row.id)],
                }

        found = await run_in_threadpool(read)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such dispatch, or it was forgotten")
        return JSONResponse(found)

    async def retry(self, request: Request) -> Response:
        """Look for the run once more, else send again."""
        dispatch_id = request.path_params["id"]
        return await perform(
            self._service,
            request,
            lambda act, _body: dispatches.retry(
                self._service.store, self._service.loaded.policy_set, act, dispatch_id
            ),
        )

    async def abandon(self, request: Request) -> Response:
        """Give it up on our side."""
        dispatch_id = request.path_params["id"]
        return await perform(
            self._service,
            request,
            lambda act, _body: dispatches.abandon(
                self._service.store, self._service.loaded.policy_set, act, dispatch_id
            ),
        )


def dispatches_json(view: View, rows: Sequence[Dispatch]) -> list[dict[str, Any]]:
    """Dispatches as the lists show them, with what became of their runs."""
    ends = view.dispatches.ends([row.id for row in rows])
    return [
        {
            **{name: _shown(getattr(row, name)) for name in COLUMNS},
            **run_end_json(ends.get(row.id), view.now),
        }
        for row in rows
    ]


def run_end_json(end: RunEnd | None, now: datetime) -> dict[str, Any]:
    """What became of a run; nothing but nulls before its end."""
    if end is None:
        return dict.fromkeys(("effect", "recovered_at", "verdict", "metrics", "report_detail"))
    return {
        "effect": end.effect(now).value,
        "recovered_at": stamp(end.recovered_at),
        "verdict": end.verdict.value if end.verdict else None,
        "metrics": dict(end.metrics),
        "report_detail": end.report_detail,
    }


def _json(row: Attempt | Transition) -> dict[str, Any]:
    return {field.name: _shown(getattr(row, field.name)) for field in fields(row)}


def _shown(value: object) -> object:
    return stamp(value) if isinstance(value, datetime) else value
