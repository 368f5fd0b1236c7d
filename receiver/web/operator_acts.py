"""Reads an operator's act from a request: actor, comment, idempotency key."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.config import Role
from receiver.flows.operator.acts import Act, Conflict, NotFound
from receiver.web.auth import require, require_same_site
from receiver.web.decisions import whole_decision
from receiver.web.params import ActBody, act_body, bad, only
from receiver.web.problems import Problem
from receiver.web.service import Service

LONGEST_KEY = 255


async def perform(
    service: Service,
    request: Request,
    do: Callable[[Act, ActBody], int],
    allowed: Collection[str] = ("comment",),
) -> Response:
    """Check who asks and what, do it, and answer with the decision that it left."""
    caller = require(request, service.loaded.tokens, Role.OPERATOR)
    require_same_site(request, service.loaded.config.server.external_url)
    only(request, ())
    body = await act_body(request, allowed)
    said = body.model_dump(mode="json", by_alias=True)
    act = Act(caller.name, body.comment, _key(request), fingerprint_of(request, said))
    decision_id = await carry_out(service, lambda: do(act, body))
    decision = await run_in_threadpool(whole_decision, service.store, decision_id)
    return JSONResponse(decision)


async def carry_out(service: Service, do: Callable[[], int]) -> int:
    """Do it and wake the workers. The decision's id. Raises `Problem` 404, 409."""
    try:
        decision_id = await run_in_threadpool(do)
    except NotFound as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
    except Conflict as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    service.hint()
    return decision_id


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise bad(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return key


def fingerprint_of(request: Request, said: Mapping[str, Any]) -> str:
    """Names what was asked for, so that a key can't be used for something else."""
    asked = [request.scope["path"], dict(said)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
