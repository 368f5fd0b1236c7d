"""A subscriber on loopback that remembers what it was told, and misbehaves as told."""

import base64
import hashlib
import hmac
import json
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Condition, Event
from typing import Any

from tests.peers.loopback import Loopback

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass(frozen=True)
class Told:
    """One POST as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def verified(self, secret: str = SECRET) -> bool:
        """Whether the signature is right: the standard's own words, not our code."""
        key = base64.b64decode(secret.split("_", 1)[1])
        parts = (self.headers["webhook-id"], self.headers["webhook-timestamp"])
        signed = b".".join([*(part.encode() for part in parts), self.body])
        right = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return f"v1,{right}" in self.headers["webhook-signature"].split(" ")


@dataclass(frozen=True)
class Manner:
    """How one POST is answered: `answer`, `cut`, `hang`, `trickle` (headers), `drip` (body)."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    then: str = "answer"
    act: Callable[[], object] = lambda: None


class SubscriberPeer(Loopback):
    """The server, to be used with `with`.

    Attributes:
        told: Every POST, in order.

    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.released = Event()
        self.changed = Condition()
        self._next: deque[Manner] = deque()
        self._always = Manner()
        super().__init__(_handler(self), waits=False)

    def __exit__(self, *_: object) -> None:
        self.released.set()
        super().__exit__()

    def answer_next(self, *manners: Manner) -> None:
        """Treat the next POSTs so, one each."""
        with self.changed:
            self._next.extend(manners)

    def answer_always(self, manner: Manner) -> None:
        """Treat every POST so."""
        with self.changed:
            self._always = manner

    def wait_until(self, holds: Callable[[], bool], timeout: float = 60) -> bool:
        """Wait until what was told has made it true."""
        with self.changed:
            return self.changed.wait_for(holds, timeout)

    def manner(self, told: Told) -> Manner:
        """Remember a POST; how it is to be answered."""
        with self.changed:
            self.told.append(told)
            self.changed.notify_all()
            return self._next.popleft() if self._next else self._always


def _handler(peer: SubscriberPeer) -> type[BaseHTTPRequestHandler]:
    """Conversations with this peer."""
    return type("Handler", (_Conversation,), {"peer": peer})


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    peer: SubscriberPeer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        manner = self.peer.manner(Told(self.path, headers, body))
        manner.act()
        self.close_connection = True
        try:
            self._answer(manner)
        except OSError:
            return  # the client did not wait

    do_GET = do_POST  # noqa: N815  whoever followed a redirect would come so

    def _answer(self, manner: Manner) -> None:
        if manner.then == "hang":
            self.peer.released.wait()
        if manner.then in {"hang", "cut"}:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if manner.then == "trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self._drip()
            return
        self.send_response(manner.status)
        for name, value in manner.headers.items():
            self.send_header(name, value)
        length = 1_000_000 if manner.then == "drip" else len(manner.body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(manner.body)
        if manner.then == "drip":
            self._drip()

    def _drip(self) -> None:
        """Send a byte now and then, so that no single read waits long, until the client goes."""
        while not self.peer.released.wait(0.02):
            self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        pass
