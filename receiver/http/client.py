"""Sends one request, once, and ends within its time whatever the other side does."""

import logging
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import TypeVar

from urllib3.connection import HTTPConnection, HTTPException
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from receiver.http.messages import (
    InDoubt,
    NotSent,
    Request,
    Response,
    innermost,
    is_success,
    words,
)
from receiver.http.routes import route_to
from receiver.http.tls_cures import tls_cure

LONGEST_CONNECT = 5.0
"""Seconds for each address of a name, and for the TLS handshake."""

LARGEST_BODY = 32 * 1024 * 1024
CHUNK = 64 * 1024
CLOSED = -1
"""The number of a file that is none."""

# It would write addresses, which may be secrets, beside headers that it can't parse. Not its
# parent: the generated client of KFP sets that one's level.
logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL + 1)

FAULTS = (OSError, HTTPError, HTTPException, ValueError)
"""What the network, the other side and an unspeakable request end with."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Client:
    """Asks other programs. Safe for threads: requests share nothing.

    No redirect is followed and nothing is repeated. A connection serves one request: a kept one
    may have died silently in a firewall, which for a POST looks like a lost answer.

    Attributes:
        ca_file: Authorities to trust instead of the usual ones.

    """

    ca_file: Path | None = None

    def send(self, request: Request, *, seconds: float, largest: int = LARGEST_BODY) -> Response:
        """Send, and read the whole answer. Raises `NotSent` or `InDoubt`.

        Args:
            request: What is asked.
            seconds: For all of it: name look-up, connection, TLS, sending, headers and body.
            largest: A body of more bytes, also once it is unpacked, is no answer.

        """
        exchange = _Exchange(request, self.ca_file, seconds)

        def whole() -> Response:
            answer = exchange.ask()
            return Response(answer.status, _headers(answer), _read(answer, largest))

        try:
            return exchange.within(whole)
        finally:
            exchange.end()

    @contextmanager
    def open(self, request: Request, *, seconds: float) -> Iterator["Answer"]:
        """Send, and give the answer as soon as its headers are there. Raises as `send` does."""
        exchange = _Exchange(request, self.ca_file, seconds)
        try:
            yield Answer(exchange, exchange.within(exchange.ask), seconds)
        finally:
            exchange.end()


class Answer:
    """An answer whose body is still to be read.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.

    """

    def __init__(self, exchange: "_Exchange", answer: HTTPResponse, seconds: float) -> None:
        self._exchange = exchange
        self._answer = answer
        self._seconds = seconds
        self.status = answer.status
        self.headers = _headers(answer)

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return is_success(self.status)

    def read(self, *, largest: int = LARGEST_BODY) -> Response:
        """Read the whole body within what is left of the request's time. Raises `InDoubt`."""
        body = self._exchange.within(lambda: _read(self._answer, largest))
        return Response(self.status, self.headers, body)

    def lines(self) -> Iterator[bytes]:
        """Read line by line, for as long as more comes. Raises `InDoubt` once nothing does.

        An export may take any time: not the whole, but each wait ends after the request's time.
        """
        self._exchange.wait_each(self._seconds)
        try:
            yield from self._answer
        except FAULTS as problem:
            raise self._exchange.failure(problem) from problem


class _Exchange:
    """One request on a connection of its own, which can be ended at any moment.

    The work is done on a thread of its own, for a look-up of a name can't be given an end, and a
    socket's time-out counts anew with each byte: a trickle would last for ever.
    """

    def __init__(self, request: Request, ca_file: Path | None, seconds: float) -> None:
        self._request = request
        self._ca_file = ca_file
        self._seconds = max(seconds, 0.001)  # a time-out of 0 would mean: don't wait at all
        self._ends = monotonic() + seconds
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._wire: socket.socket | None = None
        self._open: list[HTTPConnection | HTTPResponse] = []
        self._sent = self._ended = self._busy = False

    def within(self, call: Callable[[], T]) -> T:
        """Wait for this part of the exchange until the time is over. Raises `NoAnswer`."""
        left = self._ends - monotonic()
        if left <= 0:
            raise self.failure(TimeoutError())
        self._busy = True
        future: Future[T] = Future()
        Thread(target=self._carry_out, args=(call, future), name="http", daemon=True).start()
        try:
            return future.result(left)
        except FAULTS as problem:
            # Ended first, so that what was not sent by now never will be.
            self.end()
            raise self.failure(problem) from problem
        finally:
            del future  # else it and its exception keep each other

    def ask(self) -> HTTPResponse:
        """Connect, send, and wait for the answer's headers."""
        place = self._request.place()
        headers = self._request.sent_headers()
        connect_seconds = min(LONGEST_CONNECT, self._seconds)
        route = route_to(place, self._ca_file, connect_seconds)
        connection = route.connection
        self._open.append(connection)
        connection.connect()
        self._begin_to_send(connection.sock)
        connection.timeout = self._seconds
        # Whoever refuses a body may close before it is sent, and still says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                self._request.method,
                route.target,
                self._request.body,
                {**headers, **route.headers},
                preload_content=False,
            )
        answer = connection.getresponse()
        self._open.append(answer)
        return answer

    def end(self) -> None:
        """Close the connection; from another thread than the one that uses it, cut it."""
        with self._lock:
            self._ended = True
            if not self._busy:
                self._close()
            elif self._wire is not None:
                with suppress(OSError):
                    self._wire.shutdown(socket.SHUT_RDWR)

    def wait_each(self, seconds: float) -> None:
        """Let each wait for more take so long."""
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def failure(self, problem: BaseException) -> NotSent | InDoubt:
        """What is true now that there is no answer."""
        reason = innermost(problem)
        kind = InDoubt if self._sent else NotSent
        said = "timed out" if isinstance(reason, TimeoutError) else words(reason)
        cure = tls_cure(reason)
        return kind(f"{said}; {cure}" if cure else said, reason)

    def _begin_to_send(self, connected: socket.socket) -> None:
        """From here on the other side may have got something, unless the time was over before."""
        with self._lock:
            self._socket = connected
            # Can be shut down whatever kind of TLS lies above it.
            self._wire = socket.socket(fileno=os.dup(connected.fileno()))
            if self._ended:
                raise TimeoutError
            self._sent = True

    def _carry_out(self, call: Callable[[], T], future: "Future[T]") -> None:
        try:
            result = call()
        except BaseException as problem:  # noqa: BLE001  raised again where it is waited for
            self._rest()
            future.set_exception(problem)
        else:
            self._rest()
            future.set_result(result)
        finally:
            del future  # else it and its exception keep each other

    def _rest(self) -> None:
        """Leave the connection to whoever asked, or close it if they are gone."""
        with self._lock:
            self._busy = False
            if self._ended:
                self._close()

    def _close(self) -> None:
        for each in self._open:
            each.close()
        if isinstance(self._socket, socket.socket):
            # An answer that broke off keeps it open for as long as its exception is kept.
            fd = self._socket.detach()
            if fd != CLOSED:
                os.close(fd)
        if self._wire is not None:
            self._wire.close()


def _headers(answer: HTTPResponse) -> dict[str, str]:
    """By lower-case name; those of one name joined."""
    return {name.lower(): answer.headers[name] for name in answer.headers}


def _read(answer: HTTPResponse, largest: int) -> bytes:
    body = bytearray()
    while chunk := answer.read1(CHUNK):
        body += chunk
        if len(body) > largest:
            raise InDoubt(f"the answer is larger than {largest} bytes")
    return bytes(body)
