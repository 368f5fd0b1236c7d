"""Notifications that were posted to a wrong path: they are told the right one, and kept."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role
from receiver.core.policies import shown
from receiver.store.log_rows import REJECTED_BYTES
from receiver.web.auth import require
from receiver.web.bodies import TooLarge, announced, read_body
from receiver.web.problems import Problem, on_http_exception, problem_response
from receiver.web.webhook import WEBHOOK, Webhook

MARKS = (b'"labels"', b'"startsAt"')
"""What every alert has, whether Alertmanager posts it or Prometheus."""

FROM_ALERTMANAGER = b'"alerts"'


class Misdirected:
    """Answers where there is nothing, or nothing that can be posted to."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    async def answer(self, request: Request, error: Exception) -> Response:
        """What the path's error is answered."""
        statuses = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
        if (
            request.method == "POST"
            and isinstance(error, HTTPException)
            and error.status_code in statuses
        ):
            told = await self._told(request, error.status_code)
            if told is not None:
                return problem_response(told.status, told.detail, dict(error.headers or {}))
        return await on_http_exception(request, error)

    async def _told(self, request: Request, status: int) -> Problem | None:
        """Keep the body if alerts are in it; None for anything else, and for strangers."""
        try:
            caller = require(request, self._webhook.tokens, Role.WEBHOOK)
        except Problem:
            return None
        try:
            body = await read_body(request, announced(request), REJECTED_BYTES)
            size = len(body)
        except TooLarge as error:
            body, size = error.start, error.size
        except Problem:
            return None
        if not all(mark in body for mark in MARKS):
            return None
        path = shown(request.scope["path"])
        detail = (
            f"notifications are posted to {WEBHOOK}, not to {path}: mend `url` in Alertmanager's "
            "webhook_config"
        )
        if FROM_ALERTMANAGER not in body:
            detail = (
                f"this is what Prometheus sends to an Alertmanager; let Alertmanager post to "
                f"{WEBHOOK}, not Prometheus to {path}"
            )
        problem = Problem(status, detail)
        await self._webhook.reject(caller, problem, body, size)
        return problem
