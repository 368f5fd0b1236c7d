"""Paths that name a model: its name may contain slashes, sent as they are or as `%2F`."""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

# Dot segments are no part of a longer name: whatever stands between may resolve them.
SEGMENT = r"(?!\.{1,2}(?:/|$))[^/]+"
LONE_DOTS = r"\.{1,2}(?=/[a-z]+$|$)"


class NameConvertor(Convertor[str]):
    """Segments of a path with something in each."""

    regex = f"{SEGMENT}(?:/{SEGMENT})*|{LONE_DOTS}"

    def convert(self, value: str) -> str:
        """The name as it was sent; what is percent-encoded was decoded before."""
        return value

    def to_string(self, value: str) -> str:
        """The same way back."""
        return value


register_url_convertor("name", NameConvertor())


class ActRoute(Route):
    """The route of an operator's act: the last segment is the act, what stands before it the name.

    So `POST /models/team/pause/resume` resumes the model `team/pause`. A last segment that was
    sent behind a `%2F` is part of the name, and no act.
    """

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        super().__init__(path, endpoint, methods=["POST"])
        self._act = path.rpartition("/")[2]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this act."""
        found, more = super().matches(scope)
        sent = scope.get("raw_path") or scope["path"].encode()
        if unquote(sent.rpartition(b"/")[2]) != self._act:
            found, more = Match.NONE, {}
        return found, more
