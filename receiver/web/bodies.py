"""Reads request bodies within limits of size, time and memory of all together."""

import asyncio
from collections import deque
from http import HTTPStatus
from io import BytesIO

from starlette.requests import Request

from receiver.store.log_rows import REJECTED_BYTES
from receiver.store.store import StoreUnavailable
from receiver.web.problems import Problem

RECEIPT_SECONDS = 30.0
"""From the headers to the body's last byte. Alertmanager needs milliseconds."""

ROOM_SECONDS = 8.0
"""How long a request waits for memory; Alertmanager's own deadline is 10 s at least."""

LONGEST_LENGTH = 18  # digits: a body of an exabyte

MEMORY = 16 * 1024 * 1024
"""Bytes of bodies in memory at a time: one of Alertmanager's largest groups, and small ones beside
it. Large ones are decided one at a time, so a second would only wait here."""


class TooLarge(Problem):
    """The body is over its cap; `start` holds what was read of it."""

    def __init__(self, limit: int, start: bytes, size: int, setting: str) -> None:
        where = f" ({setting})" if setting else ""
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {limit} bytes{where}"
        )
        self.start = start
        self.size = size


class Grant:
    """So many bytes of a `Memory`, held while a body is there."""

    def __init__(self, memory: "Memory", size: int, within: float) -> None:
        self._memory, self._size, self._within = memory, size, within

    async def __aenter__(self) -> None:
        """Wait for them."""
        if not self._memory.take_now(self._size):
            await self._memory.take(self._size, self._within)

    async def __aexit__(self, *_error: object) -> None:
        """Give them back."""
        self._memory.give_back(self._size)


class Memory:
    """A budget that bodies share, given out in the order of asking."""

    def __init__(self, total: int = MEMORY) -> None:
        self._total = total
        self._left = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def room(self, size: int, within: float = ROOM_SECONDS) -> "Grant":
        """Hold so many bytes for a while. Raises `StoreUnavailable`: a 503, so it comes back."""
        return Grant(self, self.least(size), within)

    def least(self, size: int) -> int:
        """What to take for so many bytes: never more than there are, or it would never come."""
        return min(size, self._total)

    def take_now(self, size: int) -> bool:
        """Take so many bytes, unless others wait or there are not so many."""
        if self._waiting or size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Let others have so many bytes."""
        self._left += size
        self._give_out()

    async def take(self, size: int, within: float) -> None:
        """Wait for so many bytes. Raises `StoreUnavailable`."""
        turn = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(asyncio.shield(turn), within)
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done():
                self._left += size
            else:
                self._waiting.remove(entry)
            self._give_out()
            if isinstance(error, asyncio.CancelledError):
                raise
            raise StoreUnavailable("too many large notifications at a time") from None

    def _give_out(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            size, turn = self._waiting.popleft()
            self._left -= size
            turn.set_result(None)


def announced(request: Request) -> int | None:
    """How long the body says it is. Raises `Problem` 400 or 415."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not accepted here")
    length = request.headers.get("content-length")
    if length is None:
        return None
    if not (length.isascii() and length.isdigit() and len(length) <= LONGEST_LENGTH):
        raise Problem(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    return int(length)


async def read_body(request: Request, length: int | None, limit: int, setting: str = "") -> bytes:
    """The whole body, of this announced length. Raises `TooLarge`, or `Problem` 408.

    `setting` names what an operator can change about the limit.
    """
    length = length or 0
    # Of a body that says it is too large only so much is read as is worth keeping.
    most = limit if length <= limit else min(limit, REJECTED_BYTES)
    body = BytesIO()  # gives its bytes away without copying them
    size = 0
    try:
        async with asyncio.timeout(RECEIPT_SECONDS):
            async for part in request.stream():
                size += body.write(part)
                if size > most:
                    raise TooLarge(limit, body.getvalue(), max(size, length), setting)
    except TimeoutError:
        headers = {"Connection": "close"}
        detail = f"the body did not come within {RECEIPT_SECONDS:.0f} s"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, detail, headers) from None
    if length > limit:
        raise TooLarge(limit, body.getvalue(), length, setting)
    return body.getvalue()
