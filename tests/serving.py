"""Receivers that answer HTTP: one here whose time the test moves, and real processes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

import uvicorn
from starlette.types import ASGIApp

from receiver.config import load_config
from receiver.flows.intake.committer import Committer
from receiver.flows.intake.taking_in import take_in
from receiver.web.app import build_app
from receiver.web.protocol import PatientProtocol
from receiver.web.service import Service
from receiver.wiring import loaded
from tests.histories import History

DEADLINE_SECONDS = 90
"""A process that is not ready by then never will be, even on a busy machine."""

NO_AUTH = """\
storage: {min_free: 0}
targets:
  pipeline:
    kfp:
      endpoint: http://127.0.0.1:9
      pipeline: retrain
      parameters: {user_id: "{user_id}"}
policies:
  - name: drift
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
"""
"""A configuration whose target nobody answers for; its name is the one that `History` works."""


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """What a problem says, which is one line of `application/problem+json`."""
        assert self.headers.get_content_type() == "application/problem+json"
        assert b"\n" not in self.body
        problem = self.json()
        assert problem["status"] == self.status
        return str(problem["detail"])


def refusal(answer: Answer, status: int) -> str:
    """The one sentence that says why something was not done."""
    assert answer.status == status
    return answer.detail


@dataclass(frozen=True)
class Peer:
    """A receiver that listens at `url`; every request has a connection of its own."""

    url: str

    def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Answer:
        """Get what is there."""
        return self.ask("GET", path + (f"?{urlencode(query)}" if query else ""), **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        """Post JSON, or bytes as they are: from an iterator in chunks, without their length."""
        return self.ask("POST", path, body=body, **more)

    def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        password: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once; redirects are not followed. `token` goes as Bearer, `password` as Basic."""
        if body is not None and not isinstance(body, bytes | Iterator):
            body = json.dumps(body).encode()
        said = dict(headers or {})
        if token is not None:
            said["Authorization"] = f"Bearer {token}"
        if password is not None:
            said["Authorization"] = "Basic " + b64encode(f"me:{password}".encode()).decode()
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, body, said)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Served(Peer):
    """A receiver in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serve(folder: Path, config: str = NO_AUTH) -> Iterator[Served]:
    """Run `retrain-receiver serve` on a free port from its readiness to the block's end."""
    file, log = folder / "receiver.yaml", folder / "serve.log"
    file.write_text(config)
    command = [sys.executable, "-m", "receiver", "serve", "--config", str(file)]
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield _ready(process, log)
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _ready(process: subprocess.Popen[bytes], log: Path) -> Served:
    """Wait until the process listens and can accept notifications."""
    ends = monotonic() + DEADLINE_SECONDS
    while monotonic() < ends:
        url = _listening(log)
        if url is not None:
            served = Served(url, process, log)
            assert served.get("/-/ready").status == 200
            return served
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the receiver does not serve: {log.read_text()}")


def _listening(log: Path) -> str | None:
    for line in log.read_text().splitlines():
        if '"listening"' in line and line.endswith("}"):
            return str(json.loads(line)["url"])
    return None


@dataclass(frozen=True)
class Hosted(Peer):
    """A receiver in this process."""

    service: Service


@contextmanager
def host(history: History, folder: Path, config: str = NO_AUTH) -> Iterator[Hosted]:
    """Answer HTTP from a history's store: no loop works, and time moves as the test says."""
    file = folder / "receiver.yaml"
    file.write_text(config)
    service = service_on(history, file)
    service.committer.start(lambda: None)
    try:
        with listening(build_app(service)) as url:
            yield Hosted(url, service)
    finally:
        service.backtests.close()
        service.committer.stop()


def service_on(history: History, file: Path) -> Service:
    """What the routes need, on a history's store and clock; it decides by this file from now."""
    read = loaded(load_config(file))
    history.policy_set = read.policy_set
    return Service(
        store=history.store,
        clock=history.clock,
        committer=Committer(lambda arrivals: take_in(history.store, arrivals)),
        loaded=read,
        reload=list,
        hint=lambda: None,
    )


class _Server(uvicorn.Server):
    """Says when it listens, and ends at once; uvicorn itself looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def main_loop(self) -> None:
        """Serve until `end` is called."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self.listens.set()
        await self._ended.wait()

    def end(self) -> None:
        """Stop serving; for other threads."""
        self._loop.call_soon_threadsafe(self._ended.set)


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Serve an application from a thread. Its URL."""
    server = _Server(
        uvicorn.Config(
            app,
            port=0,
            http=PatientProtocol,
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
        )
    )
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    assert server.listens.wait(DEADLINE_SECONDS)
    try:
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.end()
        thread.join()
