"""The button that backtests our own log, and the report that it leaves."""

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.config import Role
from receiver.web.auth import require, require_same_site
from receiver.web.page.error_page import in_html
from receiver.web.page.rendering import HEADERS
from receiver.web.params import form_fields, only
from receiver.web.problems import Problem
from receiver.web.service import Service

PATH = "/ui/backtest"

POLICIES = "/ui/policies"

REPORT_POLICY = (
    "default-src 'none'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""The report is one file: its own style and nothing else, neither script nor address."""


class Backtesting:
    """Begins a backtest, and shows the report of the last."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Both have one path."""
        return [
            Route(PATH, in_html(self._begin), methods=["POST"]),
            Route(PATH, in_html(self._report)),
        ]

    async def _begin(self, request: Request) -> Response:
        service = self._service
        require(request, service.loaded.tokens, Role.OPERATOR)
        require_same_site(request, service.loaded.config.server.external_url)
        only(request, ())
        await form_fields(request, ())
        # Asked twice, one runs: the page says since when.
        await run_in_threadpool(
            service.backtests.begin, service.store.url, service.loaded.policy_set, service.clock
        )
        return RedirectResponse(f"{POLICIES}#backtest", HTTPStatus.SEE_OTHER)

    async def _report(self, request: Request) -> Response:
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())
        found = await run_in_threadpool(self._service.backtests.report)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "this process keeps no report of a backtest: an operator can run one on the page "
                "of the policies",
            )
        text, style = found
        headers = {**HEADERS, "Content-Security-Policy": REPORT_POLICY.format(style=style)}
        return Response(text, headers=headers, media_type="text/html; charset=utf-8")
