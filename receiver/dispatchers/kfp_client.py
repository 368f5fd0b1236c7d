"""One request to a KFP server: the generated client's, sent by our own client."""

import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

import kfp_server_api

from receiver.core.dispatches import DispatchError, Failure
from receiver.http import USER_AGENT, Client, InDoubt, NotSent, Request, Response

NOT_FOUND = 5
"""gRPC's code in the body of KFP's own 404. A proxy's 404 has none, and proves nothing."""


@dataclass(frozen=True, slots=True)
class KfpAnswer(Response):
    """What a KFP server, or something in front of it, answered."""

    def getheader(self, name: str, default: str | None = None) -> str | None:
        """Look a header up; the generated client asks for one."""
        return self.headers.get(name.lower(), default)

    @property
    def is_not_found(self) -> bool:
        """Whether KFP itself says that there is no such thing."""
        says_so = (self.content or {}).get("code") == NOT_FOUND
        return self.status == HTTPStatus.NOT_FOUND and says_so


class KfpClient(kfp_server_api.ApiClient):  # type: ignore[misc]
    """The generated client with another transport.

    Its own ignores a time limit that is no integer, follows redirects with the POST, keeps
    connections that may have died silently, and takes a login page for a run.
    """

    def __init__(
        self, configuration: Any, ca_file: Path | None, timeout: timedelta, together: timedelta
    ) -> None:
        super().__init__(configuration)
        self.user_agent = USER_AGENT
        self._client = Client(ca_file)
        self._timeout = timeout.total_seconds()
        self._ends = monotonic() + together.total_seconds()

    def request(  # noqa: PLR0917  called by the generated code
        self,
        method: str,
        url: str,
        query_params: Any = None,
        headers: Any = None,
        post_params: Any = None,  # noqa: ARG002  the generated code names it
        body: Any = None,
        _preload_content: bool = True,  # noqa: FBT001, FBT002  the generated code names it
        _request_timeout: Any = None,
    ) -> KfpAnswer:
        """Send one request. What did not leave is unavailable, what may have left is unknown."""
        host = urlsplit(url).netloc
        seconds = min(self._timeout, self._ends - monotonic())
        if seconds <= 0:
            raise DispatchError(f"{host} is too slow", Failure.UNAVAILABLE)
        asked = Request(
            method,
            f"{url}?{urlencode(query_params)}" if query_params else url,
            headers=headers or {},
            body=None if body is None else json.dumps(body, allow_nan=False).encode(),
        )
        try:
            answer = self._client.send(asked, seconds=seconds)
        except NotSent as problem:
            raise DispatchError(
                f"cannot connect to {host}: {problem}", Failure.UNAVAILABLE
            ) from problem
        except InDoubt as problem:
            raise DispatchError(
                f"{host} gave no whole answer: {problem}", Failure.UNKNOWN
            ) from problem
        return KfpAnswer(answer.status, answer.headers, answer.body)
