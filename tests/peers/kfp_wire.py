"""The wire side of the KFP peer: reads requests, sends answers, right or wrong ones."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

OPERATIONS = {
    "create_run": re.compile("POST /apis/v2beta1/runs"),
    "get_run": re.compile("GET /apis/v2beta1/runs/[^/]+"),
    "list_runs": re.compile("GET /apis/v2beta1/runs"),
    "create_experiment": re.compile("POST /apis/v2beta1/experiments"),
    "list_experiments": re.compile("GET /apis/v2beta1/experiments"),
    "get_pipeline": re.compile("GET /apis/v2beta1/pipelines/names/[^/]+"),
    "list_versions": re.compile("GET /apis/v2beta1/pipelines/[^/]+/versions"),
}

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14}
"""HTTP status to the gRPC code that KFP puts into the body."""


@dataclass(frozen=True)
class Fault:
    """One wrong answer. Without arguments the connection is cut before anything is done.

    Attributes:
        status: What to answer; None cuts the connection.
        accept: Do what was asked before answering wrongly.
        body: Bytes to answer instead of KFP's error.
        act: Called after accepting and before answering: wait for an Event, kill a process.
        change: Fields to put into the right answer instead of an error.

    """

    status: int | None = None
    accept: bool = False
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    act: Callable[[], object] = lambda: None
    change: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    operation: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class KfpError(Exception):
    """An answer of KFP's that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Peer(Protocol):
    """What answers a request."""

    def respond(self, seen: Seen) -> tuple[Fault | None, dict[str, Any] | KfpError]:
        """Do what one request asks for; the fault that is due, if one is, and the right answer."""


def _operation(method: str, path: str) -> str:
    return next(
        (name for name, form in OPERATIONS.items() if form.fullmatch(f"{method} {path}")),
        "elsewhere",
    )


def handler(peer: Peer) -> type[BaseHTTPRequestHandler]:
    """Serve this peer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            seen = Seen(
                _operation(self.command, url.path),
                url.path,
                {name: values[-1] for name, values in parse_qs(url.query).items()},
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(body) if body else None,
            )
            fault, answer = peer.respond(seen)
            if fault is not None:
                fault.act()
            if fault is None or fault.change is not None:
                change = {} if fault is None else dict(fault.change or {})
                self._send_right(answer, change)
            elif fault.status is None:
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
            else:
                error = {"code": CODES.get(fault.status, 2), "message": f"fault {fault.status}"}
                body = json.dumps(error).encode() if fault.body is None else fault.body
                self._send(fault.status, body, fault.headers)

        do_POST = do_GET  # noqa: N815  the name http.server looks for

        def _send_right(self, answer: dict[str, Any] | KfpError, change: dict[str, Any]) -> None:
            if isinstance(answer, KfpError):
                error = {"code": CODES[answer.status], "message": str(answer)}
                self._send(answer.status, json.dumps(error).encode(), {})
            else:
                self._send(200, json.dumps(answer | change).encode(), {})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests look into `seen`."""

    return Handler
