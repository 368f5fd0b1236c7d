"""Paces answers: few are made at a time, and what waits for slow clients stays within a budget."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver.web.bodies import Memory
from receiver.web.problems import unavailable

MAKERS = 2
"""Answers that are made at a time. One takes a few MiB meanwhile, and more than the machine has
cores finish no sooner."""

UNSENT = 16 * 1024 * 1024
"""Bytes of whole answers that wait for their clients."""

PART = 64 * 1024
"""As much as the server keeps for a client before it waits for it. What is no longer needs no room
of the budget, so that slow clients of long answers never keep short ones from being told."""

AT_ONCE = ("/-/healthy", "/-/ready", "/metrics")
"""Probes and the scrape wait for nobody; their answers are short."""


class Paced:
    """Stands before the routes that are read; what is posted passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._makers = asyncio.Semaphore(MAKERS)
        self._unsent = Memory(UNSENT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["method"] not in {"GET", "HEAD"} or scope["path"] in AT_ONCE:
            await self._app(scope, receive, send)
            return
        await self._makers.acquire()
        answer = PacedAnswer(self._makers, self._unsent, send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            answer.end()


class PacedAnswer:
    """One answer: in the making until its first bytes are there, then on its way in parts."""

    def __init__(self, makers: asyncio.Semaphore, unsent: Memory, send: Send) -> None:
        self._makers, self._unsent, self._send = makers, unsent, send
        self._making = True
        self._start: Message | None = None
        self._held = 0
        self._refused = False

    async def send(self, message: Message) -> None:
        """Keep the start until the first bytes are there: only then it is known how many."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._made()
        if self._start is not None:
            await self._begin(self._start, len(message.get("body", b"")))
        if not self._refused:
            await self._in_parts(message)

    def end(self) -> None:
        """Let others be made and sent."""
        self._made()
        self._unsent.give_back(self._held)

    def _made(self) -> None:
        if self._making:
            self._making = False
            self._makers.release()

    async def _begin(self, start: Message, size: int) -> None:
        self._start = None
        if size > PART:
            size = self._unsent.least(size)
            if not self._unsent.take_now(size):
                self._refused = True
                await self._refuse()
                return
            self._held = size
        await self._send(start)

    async def _refuse(self) -> None:
        response = unavailable("too many large answers wait for their clients: ask again soon")
        headers = response.raw_headers
        status = response.status_code
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})

    async def _in_parts(self, message: Message) -> None:
        """The server waits before each part until the client has taken most of those before."""
        body, more = message.get("body", b""), message.get("more_body", False)
        for at in range(0, max(1, len(body)), PART):
            last = at + PART >= len(body)
            part = body if last and at == 0 else bytes(body[at : at + PART])
            await self._send(
                {"type": "http.response.body", "body": part, "more_body": more or not last}
            )
