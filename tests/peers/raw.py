"""A server that says byte for byte what a test tells it to, on loopback."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Self

Script = Callable[["Conversation"], None]


class Conversation:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket, released: Event) -> None:
        self.connection = connection
        self.released = released
        self.heard = b""

    def hear(self) -> bytes:
        """Read one request to its end, or as much as comes of it."""
        while b"\r\n\r\n" not in self.heard and self._more():
            pass
        head, _, body = self.heard.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length and self._more():
            body = self.heard.partition(b"\r\n\r\n")[2]
        return self.heard

    def say(self, data: bytes) -> None:
        """Send all of it."""
        self.connection.sendall(data)

    def trickle(self, byte: bytes) -> None:
        """Send it now and then, so that no single read waits long, until the client goes."""
        while not self.released.wait(0.02):
            self.say(byte)

    def hang(self) -> None:
        """Say nothing until the end of the test."""
        self.released.wait()

    def secure(self, context: ssl.SSLContext) -> None:
        """Go on with TLS."""
        self.connection = context.wrap_socket(self.connection, server_side=True)

    def _more(self) -> bool:
        data = self.connection.recv(65536)
        self.heard += data
        return bool(data)


class RawPeer:
    """The server, to be used with `with`.

    Attributes:
        conversations: All connections that were made, in order.

    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [Thread(target=self._accept)]
        self.conversations: list[Conversation] = []
        self.released = Event()
        self.port = self._listening.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for conversation in self.conversations:
            with suppress(OSError):
                conversation.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        self._listening.close()

    @property
    def heard(self) -> list[bytes]:
        """What came over each connection."""
        return [conversation.heard for conversation in self.conversations]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                conversation = Conversation(connection, self.released)
                self.conversations.append(conversation)
                self._threads.append(Thread(target=self._converse, args=[conversation]))
                self._threads[-1].start()

    def _converse(self, conversation: Conversation) -> None:
        with suppress(OSError):
            if self._tls is not None:
                conversation.secure(self._tls)
            self._script(conversation)
        conversation.connection.close()


def answering(data: bytes) -> Script:
    """Hear a request, say this, and close."""

    def script(conversation: Conversation) -> None:
        conversation.hear()
        conversation.say(data)

    return script


def relaying(conversation: Conversation) -> None:
    """Be a proxy: open the tunnel that is asked for, or pass a request on."""
    head = conversation.hear().split(b"\r\n", 1)[0].decode()
    method, target, _ = head.split(" ")
    if method != "CONNECT":
        conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy")
        return
    with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as server:
        conversation.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = Thread(target=_carry, args=[server, conversation.connection])
        back.start()
        _carry(conversation.connection, server)
        back.join()


def _carry(source: socket.socket, destination: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    with suppress(OSError):
        destination.shutdown(socket.SHUT_WR)
