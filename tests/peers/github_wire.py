"""The wire of the GitHub peer: what was asked, and the ways in which an answer may go wrong."""

import json
import re
import socket
import ssl
import sys
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request that reached the peer with its whole body."""

    phase: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Behaviour:
    """How one request is answered.

    `then` is what follows the decision: `answer`, `cut` (close without a word), `hang` (until the
    peer is released), `truncate` (half of the body, then close), `trickle` (one byte a moment
    until the client goes).
    """

    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    accept: bool = False
    then: str = "answer"


def answering(
    status: int, body: Any = None, *, headers: dict[str, str] | None = None, accept: bool = False
) -> Behaviour:
    """Answer so, whatever was asked; with `accept` the run is started all the same."""
    said = {"message": f"status {status}"} if body is None else body
    return Behaviour(status, said, headers or {}, accept)


HANG_BEFORE = Behaviour(then="hang")
HANG_AFTER = Behaviour(accept=True, then="hang")
CUT_BEFORE = Behaviour(then="cut")
CUT_AFTER = Behaviour(accept=True, then="cut")
TRUNCATED = Behaviour(accept=True, then="truncate")
TRICKLE = Behaviour(accept=True, then="trickle")
BAD_CREDENTIALS = answering(401, {"message": "Bad credentials"})


class Answerer(Protocol):
    """Who decides what is answered."""

    prefix: str
    released: Event

    def now(self) -> datetime:
        """Tell the peer's time."""

    def behaviour(self, asked: Asked) -> Behaviour:
        """Say how this request is to be treated."""

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Do what the real one would do."""


class PeerServer(ThreadingHTTPServer):
    """Owns the sockets, so that the end of the test ends every conversation."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], peer: Answerer, tls: ssl.SSLContext | None
    ) -> None:
        self.peer = peer
        self.tls = tls
        self.errors: list[BaseException | None] = []
        self._open: set[socket.socket] = set()
        super().__init__(address, _Conversation)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the socket."""
        self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Converse, through TLS if asked to."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            with self.tls.wrap_socket(request, server_side=True) as secure:
                super().finish_request(secure, client_address)
        except OSError:
            return  # the client did not like our certificate

    def shutdown_request(self, request: Any) -> None:
        """Forget the socket."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Keep our own faults; clients may come and go."""
        if not isinstance(sys.exception(), OSError):
            self.errors.append(sys.exception())

    def end_conversations(self) -> None:
        """Cut every connection that is still open."""
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Conversation(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: PeerServer

    def do_GET(self) -> None:
        self._converse()

    def do_POST(self) -> None:
        self._converse()

    def _converse(self) -> None:
        peer = self.server.peer
        asked = self._read()
        if asked is None:
            return
        behaviour = peer.behaviour(asked)
        status, body = peer.answer(asked) if behaviour.accept else (500, None)
        if behaviour.then in {"cut", "hang"}:
            if behaviour.then == "hang":
                peer.released.wait()
            self.close_connection = True
            return
        if behaviour.status is not None:
            status, body = behaviour.status, behaviour.body
        self._write(status, body, behaviour)

    def _read(self) -> Asked | None:
        """Read a whole request, or None if the client left before its end."""
        length = int(self.headers.get("Content-Length", "0"))
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True
            return None
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        prefix = self.server.peer.prefix
        known = parts.path.startswith(prefix)
        path = parts.path.removeprefix(prefix)
        phase = _phase(self.command, path) if known else "other"
        body = json.loads(raw) if raw else None
        return Asked(phase, self.command, path, query, headers, body)

    def _write(self, status: int, body: Any, behaviour: Behaviour) -> None:
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        peer = self.server.peer
        headers = {
            "Date": format_datetime(peer.now(), usegmt=True),
            "Content-Type": "application/json; charset=utf-8",
            **({} if status == 204 else {"Content-Length": str(len(raw))}),
            **({"Content-Length": "1000000"} if behaviour.then == "trickle" else {}),
            **behaviour.headers,
        }
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if behaviour.then == "truncate":
            self.wfile.write(raw[: len(raw) // 2])
            self.close_connection = True
        elif behaviour.then == "trickle":
            self._trickle()
        else:
            self.wfile.write(raw)

    def _trickle(self) -> None:
        """Send a byte now and then, so that no single read waits long, until the client goes."""
        self.close_connection = True
        while not self.server.peer.released.wait(0.02):
            self.wfile.write(b" ")

    def log_message(self, *_: object) -> None:
        pass


def _phase(method: str, path: str) -> str:
    patterns = {
        "dispatch": r"POST /repos/[^/]+/[^/]+/actions/workflows/[^/]+/dispatches",
        "workflow": r"GET /repos/[^/]+/[^/]+/actions/workflows/[^/]+",
        "list": r"GET /repos/[^/]+/[^/]+/actions/workflows/[^/]+/runs",
        "jobs": r"GET /repos/[^/]+/[^/]+/actions/runs/[^/]+/jobs",
        "pending": r"GET /repos/[^/]+/[^/]+/actions/runs/[^/]+/pending_deployments",
        "number": r"GET /repositories/[0-9]+",
        "repository": r"GET /repos/[^/]+/[^/]+",
        "poll": r"GET /repos/[^/]+/[^/]+/actions/runs/[^/]+",
        "token": r"POST /app/installations/[^/]+/access_tokens",
    }
    asked = f"{method} {path}"
    return next((phase for phase, p in patterns.items() if re.fullmatch(p, asked)), "other")
