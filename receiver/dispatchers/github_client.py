"""One request to GitHub: PyGithub's credentials and requests, on a connection of our own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from github import Auth
from github.Requester import HTTPRequestsConnectionClass, Requester, RequestsResponse
from urllib3.exceptions import HTTPError

from receiver.dispatchers.github_answers import GithubAnswer
from receiver.dispatchers.github_tokens import (
    App,
    FileTokens,
    InstallationTokens,
    TokenPath,
    TokenSource,
    innermost,
)

API_VERSION = "2022-11-28"
"""The last version that knows `return_run_details`, also spoken by every supported GHES."""

LONGEST_CONNECT = 5.0
LARGEST_ANSWER = 32 * 1024 * 1024
"""A page of 100 runs is about 2 MiB."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        path: Below `base_url`.
        ends: The moment (`time.monotonic`) at which waiting for it ends.
        body: Sent as JSON, if there is one.

    """

    verb: Literal["GET", "POST"]
    base_url: str
    path: str
    ends: float
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class NoAnswer(Exception):
    """No whole answer came; the message says why.

    Attributes:
        sent: Whether the request's body began to leave. If not, nothing can have come of it.

    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class GithubClient:
    """Sends single requests. Safe for threads: requests share nothing but tokens.

    A connection serves one request. A kept one may have died silently in a firewall, which for a
    POST looks like a lost answer; PyGithub's may not be shared between threads; and dispatches
    and polls are rare.
    """

    def __init__(
        self, credentials: TokenPath | App, ca_file: Path | None, timeout: timedelta
    ) -> None:
        self._timeout = timeout.total_seconds()
        self._verify: bool | str = True if ca_file is None else str(ca_file)
        self._tokens: TokenSource
        if isinstance(credentials, App):
            self._tokens = InstallationTokens(credentials, self._requester, self._timeout)
        else:
            self._tokens = FileTokens(credentials.path)

    @property
    def credentials(self) -> str:
        """Where its token comes from, for operators."""
        return str(self._tokens)

    def send(self, request: Request) -> GithubAnswer:
        """Send one request, and once again with a fresh token if the first one was not accepted.

        Raises `NoAnswer`, and `DispatchError` if there is no token.
        """
        token = self._tokens.current(request.base_url)
        answer = self._exchange(request, token)
        if answer.status == requests.codes.unauthorized:
            token = self._tokens.current(request.base_url, refused=token)
            answer = self._exchange(request, token)
        return answer

    def _exchange(self, request: Request, token: str) -> GithubAnswer:
        seconds = min(self._timeout, request.ends - monotonic())
        if seconds <= 0:
            raise NoAnswer("no time was left to ask", sent=False)
        connection = _Connection(request.base_url, self._verify, seconds)
        try:
            self._requester(request.base_url, Auth.Token(token)).requestJson(
                request.verb,
                request.path,
                parameters=dict(request.query),
                input=request.body,
                cnx=connection,
            )
        except (OSError, HTTPError, ValueError, _KeptFromPyGithub) as problem:
            if connection.answer is None:
                raise NoAnswer(innermost(problem), sent=connection.sent) from problem
        finally:
            connection.close()
        answer = connection.answer
        if answer is None:
            raise NoAnswer("PyGithub did not ask", sent=connection.sent)
        return replace(answer, token=token)

    def _requester(self, base_url: str, auth: Auth.Auth, timeout: int = 0) -> Requester:
        return Requester(
            auth=auth,
            base_url=base_url,
            timeout=timeout,
            user_agent="retrain-receiver",
            per_page=30,
            verify=self._verify,
            retry=None,
            pool_size=None,
            lazy=True,
            api_version=API_VERSION,
        )


class _KeptFromPyGithub(Exception):
    """PyGithub would repeat a POST after a 301, and ask for ever after a 202."""


class _Connection(HTTPRequestsConnectionClass):
    """Carries one request within `seconds`, and remembers how far it came.

    Attributes:
        sent: Whether the body began to leave; a POST without its body starts nothing.
        answer: The answer, once it was read to its end.

    """

    def __init__(self, base_url: str, verify: bool | str, seconds: float) -> None:  # noqa: FBT001
        origin = urlsplit(base_url)
        super().__init__(origin.hostname or "", origin.port, verify=verify)
        self._origin = f"{origin.scheme}://{origin.netloc}"
        self._seconds = seconds
        self.sent = False
        self.answer: GithubAnswer | None = None

    def getresponse(self) -> RequestsResponse:
        """Send what `request` was told, and read the whole answer."""
        ends = monotonic() + self._seconds
        with self.session.request(
            self.verb,
            self._origin + self.url,
            headers=self.headers,
            data=_Body(self, self.input) if isinstance(self.input, str) else None,
            timeout=(min(LONGEST_CONNECT, self._seconds), self._seconds),
            verify=self.verify,
            allow_redirects=False,
            stream=True,
        ) as response:
            text = _read(response, ends).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.answer = GithubAnswer(response.status_code, headers, text)
        if response.status_code in {requests.codes.accepted, requests.codes.moved}:
            raise _KeptFromPyGithub
        return _Reply(response, text)


class _Reply(RequestsResponse):
    """An answer that was read already."""

    def __init__(self, response: requests.Response, text: str) -> None:
        super().__init__(response)
        self._text = text

    def read(self) -> str:
        return self._text


class _Body:
    """A request's body; tells the connection when it is asked for, after all connecting."""

    def __init__(self, connection: _Connection, text: str) -> None:
        self._connection = connection
        self._bytes = text.encode()

    def __len__(self) -> int:
        return len(self._bytes)

    def __iter__(self) -> Iterator[bytes]:
        self._connection.sent = True
        yield self._bytes


def _read(response: requests.Response, ends: float) -> bytes:
    """Read the body; the socket's own time-out would let a trickle last for ever."""
    whole = bytearray()
    while chunk := response.raw.read1(65536, decode_content=True):
        whole += chunk
        if len(whole) > LARGEST_ANSWER or monotonic() > ends:
            raise requests.Timeout("the answer did not end")
    return bytes(whole)
