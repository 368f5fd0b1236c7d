"""A proxy on a UNIX socket that cuts the connection at a word of the client's."""

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self


class CuttingProxy:
    """Stands between a client and a server.

    Attributes:
        folder: Where its socket lies, under the name of the server's.
        armed: Whether the next connection that says the word is cut; cutting disarms it.
        cuts: How many were cut.

    """

    def __init__(self, server: Path, word: bytes, *, after: bool) -> None:
        """`after`: the server hears the word, and its answer is lost."""
        self._server, self._word, self._after = server, word, after
        self.armed, self.cuts = False, 0
        self._peers: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / self._server.name))
        self._listening.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._listening)
        self._threads[0].join()
        for peer in self._peers:
            _end(peer)
        for thread in self._threads[1:]:
            thread.join()
        for peer in [self._listening, *self._peers]:
            peer.close()
        self._temporary.cleanup()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                self._peers += [client, server]
                server.connect(str(self._server))
                cut = threading.Event()
                for carry in (self._ask, self._answer):
                    self._threads.append(
                        threading.Thread(target=carry, args=[client, server, cut])
                    )
                    self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        """Carry the client's words to the server, up to the one."""
        with suppress(OSError):
            while data := client.recv(65536):
                if self.armed and self._word in data:
                    self.armed, self.cuts = False, self.cuts + 1
                    cut.set()
                    if self._after:
                        server.sendall(data)
                    break
                server.sendall(data)
        _end(client)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)  # what it heard it carries out

    def _answer(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if not cut.is_set():
                    client.sendall(data)
        _end(client)


def _end(peer: socket.socket) -> None:
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
