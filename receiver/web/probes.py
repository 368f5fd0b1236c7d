"""The routes for probes, `/metrics`, reload and rejections."""

import base64
from http import HTTPStatus
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from receiver.config import ConfigError, Role
from receiver.store.log_rows import KEPT_REJECTIONS
from receiver.store.store import StoreUnavailable
from receiver.store.views.rejections import Rejection
from receiver.telemetry import registry
from receiver.web.auth import require, require_same_site
from receiver.web.params import cursor, limit, number, only
from receiver.web.problems import Problem, unavailable
from receiver.web.responses import Encoded, answer, as_json, page_answer
from receiver.web.service import Service
from receiver.web.shapes.process import RejectionJson, ReloadedJson

REJECTIONS_ASKED = ("limit", "cursor")


class Probes:
    """Routes about the process itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def healthy(self, _request: Request) -> Response:
        """The event loop runs."""
        return PlainTextResponse("healthy\n")

    async def ready(self, _request: Request) -> Response:
        """Notifications can be durably accepted. Says nothing about GitHub or Kubeflow."""
        if self._service.draining.is_set():
            return unavailable("shutting down")
        try:
            await run_in_threadpool(self._try_store)
        except StoreUnavailable as error:
            return unavailable(str(error))
        return self._allowed()

    def _allowed(self) -> Response:
        """Whether a notification's token can be known; other troubles with tokens beside it."""
        files = self._service.loaded.tokens.files
        if files is None:
            return PlainTextResponse("ready\n")
        files.look()
        problems = [problem for role in Role for problem in files.problems(role)]
        if files.none_usable(Role.WEBHOOK):
            return unavailable("; ".join(problems))
        return PlainTextResponse("\n".join(["ready", *problems, ""]))

    def _try_store(self) -> None:
        self._service.store.require_room()
        with self._service.store.begin() as tx:
            tx.pauses()

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        loaded = self._service.loaded
        if not loaded.config.server.metrics_open:
            require(request, loaded.tokens, Role.READER, Role.OPERATOR)
        if loaded.tokens.files is not None:
            loaded.tokens.files.look()
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def reload(self, request: Request) -> Response:
        """Load the configuration again; a broken file changes nothing."""
        require(request, self._service.loaded.tokens, Role.OPERATOR)
        require_same_site(request, self._service.loaded.config.server.external_url)
        try:
            needs_restart = await run_in_threadpool(self._service.reload)
        except ConfigError as error:
            problems = "; ".join(error.problems)
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"nothing was changed; {error.path.name}: {problems}",
            ) from None
        loaded = self._service.loaded
        reloaded: ReloadedJson = {
            "config_hash": loaded.config.hash,
            "warnings": [*loaded.config.warnings, *loaded.told],
            "needs_restart": needs_restart,
        }
        return answer(reloaded)

    async def rejections(self, request: Request) -> Response:
        """Bodies that we could not accept, newest first."""
        require(request, self._service.loaded.tokens, Role.OPERATOR)
        only(request, REJECTIONS_ASKED)
        rows = limit(request, KEPT_REJECTIONS)
        before = cursor(request, lambda text: number("cursor", text))
        shown = Encoded(_as_json)

        def read() -> Response:
            with self._service.store.view() as view:
                page = view.rejections.page(before=before, limit=rows, fits=shown.fits)
            return page_answer("rejections", shown.parts, page.next_cursor)

        return await run_in_threadpool(read)


def _as_json(row: Rejection) -> bytes:
    return as_json(_rejection_json(row))


def _rejection_json(row: Rejection) -> RejectionJson:
    body, encoding = _readable(row.body)
    return {
        "id": row.id,
        "received_at": row.received_at,
        "sender": row.sender,
        "status_code": row.status_code,
        "detail": row.detail,
        "size": row.size,
        "body": body,
        "encoding": encoding,
    }


def _readable(body: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
