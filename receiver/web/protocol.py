"""HTTP/1.1 with a deadline for a request's line and headers."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_SECONDS = 10.0
"""From a connection's opening, or a request's first byte, to its last header."""

HEADERS_BYTES = 64 * 1024

TAKING_SECONDS = 120.0
"""How long a client may take nothing of an answer. What it did not take waits in our memory."""

LAST_HEADERS_SECONDS = 1.0
"""How long a connection that just opened may take to make its request when the server ends."""


class PatientProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, whose patience has an end.

    Uvicorn itself waits for ever for a client that connects and says nothing, or says its headers
    one byte a minute; enough of them take every file descriptor.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None
        self._received = 0
        self._ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_headers()

    def on_message_begin(self) -> None:
        """Wait for this request's headers; an idle connection between two requests may stay."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect_headers()

    def on_headers_complete(self) -> None:
        """The application sees the rest, and has deadlines of its own."""
        self._stop_waiting()
        super().on_headers_complete()
        if self._ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Read, unless the headers have no end."""
        if self._deadline is not None:
            self._received += len(data)
        super().data_received(data)
        if self._deadline is not None and self._received > HEADERS_BYTES:
            self._hang_up()

    def shutdown(self) -> None:
        """End after the request that is being made, or is about to be.

        Uvicorn would reset a connection that was opened before the signal and whose request, a
        moment later, is on its way: a client that is balanced here loses it for nothing.
        """
        if self._deadline is None:
            super().shutdown()
            return
        self._ending = True
        self._deadline.cancel()
        self._deadline = self.loop.call_later(LAST_HEADERS_SECONDS, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection."""
        self._stop_waiting()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for the client to take what was written."""
        super().pause_writing()
        self._taken()
        self._taking = self.loop.call_later(TAKING_SECONDS, self._hang_up)

    def resume_writing(self) -> None:
        """It did."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _expect_headers(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(HEADERS_SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._stop_waiting()
        self.transport.abort()
