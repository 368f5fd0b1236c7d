"""POST /webhook: answers 2xx only after the commit."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from receiver.alertmanager import parse_notification
from receiver.config import Role
from receiver.core.alerts import BadNotification, Source
from receiver.core.decisions import Decision
from receiver.flows.intake.arrivals import Arrival, Receipt
from receiver.flows.intake.taking_in import arrive, try_out
from receiver.json_text import encode
from receiver.store.store import StoreUnavailable
from receiver.telemetry import log, rejected, webhook_answers, webhook_duration
from receiver.web.answers import Answers
from receiver.web.auth import Caller, Tokens, require
from receiver.web.bodies import Memory, TooLarge, announced, read_body
from receiver.web.problems import COME_AGAIN, Problem, answer_to
from receiver.web.responses import JSON
from receiver.web.service import Service
from receiver.web.shapes.notifications import BriefDecisionJson, ReceiptJson

WEBHOOK = "/webhook"

LARGE = 256 * 1024
"""Bodies from here on are parsed in a thread and decided one at a time: they take much memory."""


class Webhook:
    """What Alertmanager posts to: an ASGI application that stands before the routes.

    Starlette's middlewares and its router take longer for a request than parsing one alert does.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._large = asyncio.Semaphore(1)
        self._memory = Memory()
        self._answers = Answers()

    @property
    def tokens(self) -> Tokens:
        """Who may post."""
        return self._service.loaded.tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, count and time one request."""
        began = perf_counter()
        request = Request(scope, receive)
        try:
            response = accepted(await self._receipt(request))
        except Exception as error:  # noqa: BLE001  each kind has its answer, as on every route
            response = await answer_to(request, error)
        webhook_answers(response.status_code).inc()
        webhook_duration.observe(perf_counter() - began)
        await response(scope, receive, send)

    async def _receipt(self, request: Request) -> Receipt:
        source, dry_run = _asked(request)
        plain = source is Source.ALERTMANAGER and not dry_run
        service = self._service
        caller = require(request, service.loaded.tokens, Role.WEBHOOK if plain else Role.OPERATOR)
        if service.draining.is_set():
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "shutting down: send it again", COME_AGAIN
            )
        limit = service.loaded.config.server.max_body
        try:
            length = announced(request)
            async with self._memory.room(min(length or limit, limit)):
                body = await read_body(request, length, limit, "server.max_body")
                return await self._take_in(body, caller, source, dry_run=dry_run)
        except TooLarge as error:
            await self.reject(caller, error, error.start, error.size)
            raise
        except BadNotification as error:
            problem = Problem(HTTPStatus.BAD_REQUEST, str(error))
            await self.reject(caller, problem, body, len(body))
            raise problem from None

    async def _take_in(
        self, body: bytes, caller: Caller, source: Source, *, dry_run: bool
    ) -> Receipt:
        def parse() -> Arrival:
            policy_set = self._service.loaded.policy_set
            return arrive(parse_notification(body), policy_set, source=source, sender=caller.name)

        if len(body) < LARGE:
            return await self._decide(parse(), dry_run=dry_run)
        async with self._large:
            return await self._decide(await run_in_threadpool(parse), dry_run=dry_run)

    async def _decide(self, arrival: Arrival, *, dry_run: bool) -> Receipt:
        if dry_run:
            return await run_in_threadpool(try_out, self._service.store, arrival)
        # The commit is finished even if the client hangs up: the future is not ours to cancel.
        return await self._answers.of(self._service.committer.submit(arrival))

    async def reject(self, caller: Caller, problem: Problem, body: bytes, size: int) -> None:
        """Keep what we could not accept, so that an operator can see it."""
        rejected.labels(str(problem.status)).inc()
        log().warning(
            "notification_rejected", sender=caller.name, status=problem.status, detail=str(problem)
        )

        def keep() -> None:
            with self._service.store.begin() as tx:
                tx.add_rejection(
                    at=tx.now(),
                    sender=caller.name,
                    status_code=problem.status,
                    detail=problem.detail,
                    body=body,
                    size=size,
                )

        try:
            await run_in_threadpool(keep)
        except StoreUnavailable as error:
            log().warning("rejection_not_kept", detail=str(error))


def _asked(request: Request) -> tuple[Source, bool]:
    """What the query asks for. Raises `Problem` 400."""
    if not request.scope["query_string"]:  # Alertmanager's have none
        return Source.ALERTMANAGER, False
    query = request.query_params
    source = query.get("source", Source.ALERTMANAGER.value)
    if source not in {Source.ALERTMANAGER.value, Source.POLL.value}:
        raise Problem(HTTPStatus.BAD_REQUEST, "source can be alertmanager or poll")
    dry_run = query.get("dry_run", "false")
    if dry_run not in {"true", "false"}:
        raise Problem(HTTPStatus.BAD_REQUEST, "dry_run can be true or false")
    return Source(source), dry_run == "true"


def accepted(receipt: Receipt) -> Response:
    """The answer to a notification: one decision per alert, in the alerts' order."""
    said: ReceiptJson = {
        "notification_id": receipt.notification_id,
        "decisions": _brief(receipt.decisions),
    }
    return Response(encode(said), media_type=JSON)


def _brief(decisions: Sequence[Decision]) -> list[BriefDecisionJson]:
    return [
        {
            "id": decision.id,
            "model": decision.model,
            "alertname": decision.alertname,
            "reason": str(decision.reason),
            "outcome": str(decision.outcome),
            "dispatch_id": decision.dispatch_id,
        }
        for decision in decisions
    ]
