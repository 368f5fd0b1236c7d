"""The routes of the HTTP application."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver.web.announcements import Announcements
from receiver.web.decisions import Decisions
from receiver.web.dispatches import Dispatches
from receiver.web.events import Events
from receiver.web.misdirected import Misdirected
from receiver.web.models import Models
from receiver.web.operator_acts import ON_DISPATCHES, ON_MANY, ON_MODELS, endpoint
from receiver.web.pacing import Paced
from receiver.web.policies import Policies
from receiver.web.probes import Probes
from receiver.web.problems import HANDLERS
from receiver.web.responses import answer
from receiver.web.routing import ActRoute
from receiver.web.service import Service
from receiver.web.targets import Targets
from receiver.web.webhook import WEBHOOK, Webhook

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


WEBHOOKS = (WEBHOOK, f"{WEBHOOK}/")
"""Where notifications are taken; a slash too much is a usual slip, and no redirect may mend it."""


class Hardened:
    """Adds the headers that keep browsers from guessing, caching or framing answers.

    A route that says one of them itself knows better.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                names = {name for name, _ in said}
                message["headers"] = said + [one for one in HEADERS if one[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def describe(_request: Request) -> Response:
    """GET /openapi.json; the document is made when somebody first asks."""
    return answer(await run_in_threadpool(_described))


@cache
def _described() -> dict[str, Any]:
    from receiver.web.openapi import openapi  # noqa: PLC0415  a start need not wait for it

    return openapi()


class Pages:
    """The operators' page, loaded when somebody first looks: a start need not wait for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._router: Router | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if self._router is None:
            self._router = await run_in_threadpool(self._load)
        await self._router(scope, receive, send)

    def _load(self) -> Router:
        from receiver.web.page.routes import routes_of  # noqa: PLC0415

        return Router(routes_of(self._service), redirect_slashes=False)


class Routed(Starlette):
    """The routes; what is posted to the webhook goes to it without their middlewares."""

    def __init__(self, webhook: Webhook, routes: Sequence[BaseRoute]) -> None:
        handlers = {**HANDLERS, HTTPException: Misdirected(webhook).answer}
        super().__init__(routes=routes, exception_handlers=handlers)
        self.router.redirect_slashes = False  # Alertmanager follows a redirect as GET, bodiless
        self._webhook = webhook
        self._paced = Paced(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["path"] in WEBHOOKS and scope["method"] == "POST":
            await self._webhook(scope, receive, send)
        else:
            await self._paced(scope, receive, send)


def build_app(service: Service) -> ASGIApp:
    """The ASGI application."""
    webhook = Webhook(service)
    decisions = Decisions(service)
    models = Models(service)
    dispatches = Dispatches(service)
    probes = Probes(service)
    pages = Pages(service)
    routes = [
        # Both answer the other methods with 405; the second is what people write by mistake.
        Route(WEBHOOK, webhook, methods=["POST"]),
        Route(f"{WEBHOOK}/", webhook, methods=["POST"], include_in_schema=False),
        Route("/decisions", decisions.list),
        Route("/decisions/{id}", decisions.one),
        Route("/models", models.list),
        Route("/models/{model:name}", models.one),
        *(
            ActRoute(f"/models/{{model:name}}/{word}", endpoint(service, act, "model"))
            for word, act in ON_MODELS.items()
        ),
        *(ActRoute(f"/{word}", endpoint(service, act)) for word, act in ON_MANY.items()),
        Route("/dispatches", dispatches.list),
        Route("/dispatches/{id}", dispatches.one),
        *(
            ActRoute(f"/dispatches/{{id}}/{word}", endpoint(service, act, "id"))
            for word, act in ON_DISPATCHES.items()
        ),
        Route("/policies", Policies(service).list),
        Route("/targets", Targets(service).list),
        Route("/announcements", Announcements(service).list),
        Route("/rejections", probes.rejections),
        Route("/-/healthy", probes.healthy),
        Route("/-/ready", probes.ready),
        Route("/-/reload", probes.reload, methods=["POST", "PUT"]),
        Route("/metrics", probes.metrics),
        Route("/openapi.json", describe),
        Route("/events", Events(service).__call__),
        Route("/", pages, include_in_schema=False),
        Route("/ui", pages, include_in_schema=False),
        Route("/ui/{path:path}", pages, include_in_schema=False),
    ]
    return Hardened(Routed(webhook, routes))
