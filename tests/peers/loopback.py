"""How a peer begins to listen, and ends."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self


class Loopback:
    """Serves HTTP on a free port of loopback, while it is used with `with`.

    Attributes:
        url: Where it listens.

    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], *, waits: bool) -> None:
        """`waits`: its end waits for the requests that are being answered."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = not waits
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
