"""Errors as RFC 9457 problems: one line, no secrets; Alertmanager writes them to its log."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from receiver.core.policies import shown
from receiver.store.store import StoreUnavailable
from receiver.telemetry import log
from receiver.web.shapes.process import ProblemJson

COME_AGAIN = {"Retry-After": "5"}
"""A wish for when to come back, in seconds; it goes with a 503."""

PLAIN = "about:blank"
"""RFC 9457: the status says what kind of problem it is; there are no kinds of our own."""


class Problem(Exception):
    """An answer that says what is wrong and what would help."""

    def __init__(
        self,
        status: int,
        detail: str,
        headers: dict[str, str] | None = None,
        errors: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.errors = tuple(errors)


def problem_response(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: Sequence[str] = (),
) -> Response:
    """One line of `application/problem+json`; `errors` are the parts of a longer `detail`."""
    body: ProblemJson = {
        "type": PLAIN,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [{"detail": one} for one in errors]
    return Response(
        json.dumps(body),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


async def on_problem(_request: Request, error: Exception) -> Response:
    """A problem that a route raised."""
    if not isinstance(error, Problem):
        raise error
    return problem_response(error.status, error.detail, error.headers, error.errors)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """No such path, or no such method there."""
    if not isinstance(error, HTTPException):
        raise error
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {shown(request.scope['path'])}; see /openapi.json"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not allowed here"
    return problem_response(error.status_code, detail, dict(error.headers or {}))


async def on_store_unavailable(_request: Request, error: Exception) -> Response:
    """Nothing was stored: 503, never 429, for Alertmanager soon retries 5xx only."""
    log().warning("store_unavailable", loop="web", detail=str(error))
    return unavailable(f"the store can't commit now: {error}")


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """The client hung up before it had said all: nobody reads this answer."""
    return problem_response(HTTPStatus.BAD_REQUEST, "the request ended early")


async def on_bug(_request: Request, error: Exception) -> Response:
    """Anything else is a bug: the log has it, the answer does not."""
    log().error("request_failed", exc_info=error)
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the log")


def unavailable(detail: str) -> Response:
    """503, and when to come back."""
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, detail, COME_AGAIN)


HANDLERS = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    StoreUnavailable: on_store_unavailable,
    ClientDisconnect: on_disconnect,
    Exception: on_bug,
}


async def answer_to(request: Request, error: Exception) -> Response:
    """What a route's error is answered."""
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    return await handler(request, error)
