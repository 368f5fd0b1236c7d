"""Reads request bodies, bounded."""

from http import HTTPStatus

from starlette.requests import Request

from receiver.web.problems import Problem


class TooLarge(Problem):
    """The body is over its cap; `start` holds what was read of it."""

    def __init__(self, limit: int, start: bytes, size: int, setting: str) -> None:
        where = f" ({setting})" if setting else ""
        super().__init__(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is over {limit} bytes{where}"
        )
        self.start = start
        self.size = size


async def read_body(request: Request, limit: int, *, setting: str = "") -> bytes:
    """The whole body. Raises `TooLarge`, or `Problem` 415 for a compressed one.

    `setting` names what an operator can change about the limit.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not accepted here")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLarge(limit, b"".join(parts), size, setting)
    return b"".join(parts)
