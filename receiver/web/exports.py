"""Exports of whole lists: streamed in parts, so many at a time."""

from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from receiver.web.problems import unavailable

MOST_EXPORTS = 32
EXPORTED_BYTES = 64 * 1024
"""Of one part. An export that is not read keeps one, and as much again in the server's buffer."""


class Exports:
    """Counts exports; those that are too many are told to come again."""

    def __init__(self, most: int = MOST_EXPORTS) -> None:
        self._left = most

    def answer(self, parts: Iterator[bytes], media_type: str) -> Response:
        """200 with all parts, one after the other, or 503."""
        return _Export(self, parts, media_type)

    def take(self) -> bool:
        """Begin one. False if too many are under way."""
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """End one."""
        self._left += 1


class _Export(StreamingResponse):
    def __init__(self, exports: Exports, parts: Iterator[bytes], media_type: str) -> None:
        super().__init__(parts, media_type=media_type)
        self._exports = exports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._exports.take():
            await unavailable("too many export at a time: ask again soon")(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._exports.give_back()
