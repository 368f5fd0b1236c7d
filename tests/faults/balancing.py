"""A proxy that shares connections out among replicas in turn, as a Kubernetes service does."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import Self

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Cut:
    """A connection that a replica accepted and did not answer to the end.

    Attributes:
        port: The replica's.
        connected_at: When the replica's machine accepted it, by the monotonic clock.

    """

    port: int
    connected_at: float


class Balancer:
    """To be used with `with`. A replica that refuses a connection is passed over.

    Attributes:
        url: Where it listens.
        cuts: What the replicas left without a whole answer.

    """

    def __init__(self, ports: Sequence[int]) -> None:
        self.cuts: list[Cut] = []
        self._ports = list(ports)
        self._loop = asyncio.new_event_loop()
        self._listens = Event()
        self._conversations: set[asyncio.Task[None]] = set()
        self._thread = Thread(target=self._loop.run_until_complete, args=[self._run()])

    def __enter__(self) -> Self:
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        self._ends = asyncio.Event()
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0, backlog=1024)
        host, port = server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        self._listens.set()
        await self._ends.wait()
        server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = self._loop.create_task(self._carry(reader, writer))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one conversation: the client asks once, and hangs up when it was answered."""
        with closing(writer):
            for _ in self._ports:
                port = self._ports.pop(0)
                self._ports.append(port)
                with suppress(OSError):
                    answering, asking = await asyncio.open_connection("127.0.0.1", port)
                    with closing(asking):
                        await self._converse(port, (reader, writer), (answering, asking))
                    return

    async def _converse(self, port: int, client: Streams, replica: Streams) -> None:
        connected_at, answer = monotonic(), bytearray()
        asked = asyncio.create_task(_pass_on(client[0], replica[1]))
        try:
            with suppress(OSError):
                while data := await replica[0].read(65536):
                    answer += data
                    client[1].write(data)
            if not is_whole(answer) and not asked.done():
                self.cuts.append(Cut(port, connected_at))
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.write_eof()


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer with a Content-Length is there."""
    head, found, body = bytes(answer).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(found) and length is not None and len(body) >= int(length[1])
