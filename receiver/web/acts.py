"""An operator's act over HTTP: who, why, once."""

import hashlib
import json
from collections.abc import Callable, Collection

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.config import Role
from receiver.flows.acts import Act, Conflict, NotFound
from receiver.web.asked import ActBody, act_body, bad, only
from receiver.web.auth import require, require_same_site
from receiver.web.decisions import whole_decision
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
    require_same_site(request)
    only(request, ())
    body = await act_body(request, allowed)
    act = Act(caller.name, body.comment, _key(request), _fingerprint(request, body))
    try:
        decision_id = await run_in_threadpool(do, act, body)
    except NotFound as error:
        raise Problem(404, str(error)) from None
    except Conflict as error:
        raise Problem(409, str(error)) from None
    service.hint()
    decision = await run_in_threadpool(whole_decision, service.store, decision_id)
    return JSONResponse(decision)


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise bad(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return key


def _fingerprint(request: Request, body: ActBody) -> str:
    """Names what was asked for, so that a key can't be used for something else."""
    said = [request.scope["path"], body.model_dump(mode="json", by_alias=True)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
