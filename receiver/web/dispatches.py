"""GET /dispatches: the orders to start runs, and what became of each."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.policies import shown
from receiver.core.run_ends import RunEnd
from receiver.store.views.dispatches import DISPATCH_FILTERS, Attempt, Transition
from receiver.store.views.view import View
from receiver.web.auth import require_reader
from receiver.web.params import all_at_once, bad, cursor, filters, limit, moment, only
from receiver.web.problems import Problem
from receiver.web.responses import Encoded, answer, as_json
from receiver.web.service import Service
from receiver.web.shapes.dispatches import (
    AttemptJson,
    DispatchesJson,
    DispatchJson,
    RunEndJson,
    StoredDispatchJson,
    TransitionJson,
    WholeDispatchJson,
)

ASKED = (*DISPATCH_FILTERS, "since", "until", "limit", "cursor")
WORDS = {"state": DispatchState}


class Dispatches:
    """The routes of the outbox."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page, newest first."""
        tenant = require_reader(request, self._service.loaded.tokens).tenant
        now = self._service.clock.now()
        _, wanted, since, until, rows = all_at_once(
            partial(only, request, ASKED),
            partial(filters, request, DISPATCH_FILTERS, WORDS),
            partial(moment, request, "since", now),
            partial(moment, request, "until", now),
            partial(limit, request),
        )
        before = cursor(request)

        def read() -> DispatchesJson:
            with self._service.store.view(tenant) as view:
                fits = Encoded(_as_json).fits
                page = view.dispatches.page(
                    wanted, before=before, limit=rows, fits=fits, since=since, until=until
                )
                shown = dispatches_json(view, page.rows)
            return {"dispatches": shown, "next_cursor": page.next_cursor}

        return answer(await run_in_threadpool(read))

    async def one(self, request: Request) -> Response:
        """One dispatch, with its attempts and transitions: the last of them, and by cursor all."""
        tenant = require_reader(request, self._service.loaded.tokens).tenant
        only(request, ("cursor",))
        dispatch_id, before = request.path_params["id"], cursor(request, _steps) or (None, None)

        def read() -> WholeDispatchJson | None:
            with self._service.store.view(tenant) as view:
                found = view.dispatches.find(dispatch_id)
                if found is None:
                    return None
                tried = view.dispatches.attempts(dispatch_id, before=before[0])
                moved = view.dispatches.transitions(dispatch_id, before=before[1])
                return {
                    **dispatches_json(view, [found])[0],
                    "attempts": [_attempt_json(one) for one in tried],
                    "transitions": [_transition_json(one) for one in moved],
                    "next_cursor": _earlier(tried, moved),
                }

        found = await run_in_threadpool(read)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such dispatch, or it was forgotten")
        return answer(found)


def dispatches_json(view: View, rows: Sequence[Dispatch]) -> list[DispatchJson]:
    """Dispatches as the lists show them, with what became of their runs."""
    ends = view.dispatches.ends([row.id for row in rows])
    return [{**_stored_json(row), **run_end_json(ends.get(row.id), view.now)} for row in rows]


def _earlier(tried: Sequence[Attempt], moved: Sequence[Transition]) -> str | None:
    """Where what came before is found; both are numbered from 1 on."""
    first = [steps[0].number if steps else 1 for steps in (tried, moved)]
    return None if first == [1, 1] else f"{first[0]}-{first[1]}"


def _steps(text: str) -> tuple[int, int]:
    """The numbers that a cursor stands for. Raises `Problem` 400."""
    found = re.fullmatch("([0-9]{1,9})-([0-9]{1,9})", text)
    if found is None:
        raise bad(f"cursor {shown(text)} is not one of ours")
    return int(found[1]), int(found[2])


def _stored_json(row: Dispatch) -> StoredDispatchJson:
    return {
        "id": row.id,
        "model": row.model,
        "policy": row.policy,
        "target": row.target,
        "kind": row.kind,
        "state": row.state,
        "detail": row.detail,
        "attempt": row.attempt,
        "run_id": row.run_id,
        "run_url": row.run_url,
        "created_at": row.created_at,
        "due_at": row.due_at,
        "sent_at": row.sent_at,
        "failing_since": row.failing_since,
        "ended_at": row.ended_at,
        "decision_id": row.decision_id,
        "alertname": row.alertname,
        "ordered": row.ordered,
        "place": row.place,
        "inputs": row.inputs,
    }


def _as_json(row: Dispatch) -> bytes:
    return as_json(_stored_json(row))


def run_end_json(end: RunEnd | None, now: datetime) -> RunEndJson:
    """What became of a run; nothing but nulls before its end."""
    return {
        "effect": end.effect(now) if end else None,
        "recovered_at": end.recovered_at if end else None,
        "verdict": end.verdict if end else None,
        "metrics": dict(end.metrics) if end else None,
        "report_detail": end.report_detail if end else None,
    }


def _attempt_json(row: Attempt) -> AttemptJson:
    return {
        "number": row.number,
        "begun_at": row.begun_at,
        "ended_at": row.ended_at,
        "failure": row.failure,
        "status_code": row.status_code,
        "detail": row.detail,
    }


def _transition_json(row: Transition) -> TransitionJson:
    return {
        "number": row.number,
        "at": row.at,
        "state": row.state,
        "detail": row.detail,
        "actor": row.actor,
    }
