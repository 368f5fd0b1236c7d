"""The error page; a 401 makes the browser ask for the token."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.store.store import StoreUnavailable
from receiver.web.page import rendering
from receiver.web.problems import COME_AGAIN, Problem

BASIC = {"WWW-Authenticate": 'Basic realm="retrain-receiver", charset="UTF-8"'}
"""Browsers ask for a password only if Basic stands alone in its header."""

Answering: TypeAlias = Callable[[Request], Awaitable[Response]]


def in_html(answer: Answering) -> Answering:
    """Tell people what is wrong in a page, and let a browser ask them for the password."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except Problem as problem:
            headers = BASIC if problem.status == HTTPStatus.UNAUTHORIZED else problem.headers
            return await _problem(problem.status, problem.detail, headers)
        except StoreUnavailable as error:
            return await _problem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"the store can't be read now: {error}", COME_AGAIN
            )
        except HTTPException as error:
            return await _problem(error.status_code, error.detail, dict(error.headers or {}))

    return answered


async def _problem(status: int, detail: str, headers: dict[str, str]) -> Response:
    title = HTTPStatus(status).phrase
    response = await rendering.page(
        "problem.html", status, title=title, code=status, detail=detail
    )
    response.headers.update(headers)
    return response
