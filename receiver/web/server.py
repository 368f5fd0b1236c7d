"""Configures uvicorn: time-outs, connection limits, and signals for the service."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from receiver.config import ConfigError
from receiver.telemetry import log
from receiver.web.protocol import PatientProtocol
from receiver.web.service import Service

KEEP_ALIVE_SECONDS = 330
"""Alertmanager keeps idle connections for 5 minutes; if we closed first, a POST could meet it."""

DRAIN_SECONDS = 20

ENDING = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """Uvicorn, which also tells the service that it is being asked to end, or to reload.

    `then` is what may wait until it listens; it runs in a thread.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, service: Service, *, then: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http=PatientProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,  # it costs nearly half of the throughput
                server_header=False,
                proxy_headers=False,  # the peer is who connects, whatever a header says
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self._service = service
        self._then = then

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; say so."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, self._reload))
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                log().info("listening", url=f"http://{host}:{port}")
        loop.run_in_executor(None, self._then)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while serving; uvicorn's own way would die of them afterwards."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in ENDING}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Not ready from now on; what was accepted is finished."""
        self._service.draining.set()
        super().handle_exit(sig, frame)

    def _reload(self) -> None:
        with suppress(ConfigError):  # said in the log; the old configuration stays in force
            self._service.reload()
