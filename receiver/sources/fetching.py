"""GETs from another program's API; every other answer than a 200 is told with its cure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from receiver import http
from receiver.core.sources import SourceDown
from receiver.secret_files import BadFile, read_token

SECONDS = 20.0
"""For each request: four of them end well within the lease of whoever asks."""

LARGEST = 96 * 1024 * 1024
"""50,000 alerts with long annotations."""


class Fetch(Protocol):
    """Gets what is at a path. Raises `SourceDown`."""

    def __call__(self, path: str) -> bytes:
        """The body of a 200; a path may have a query."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Another program's API, and what lets us in. Its files are read anew for each request.

    Attributes:
        url: Without a slash at its end.
        username: With `password_file`, for Basic authentication.

    """

    url: str
    token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    client: Callable[[Path | None], http.Client] = field(default=http.Client, repr=False)

    def __call__(self, path: str) -> bytes:
        """Get it. Raises `SourceDown`."""
        return self.within(path, seconds=SECONDS, largest=LARGEST)

    def within(self, path: str, *, seconds: float, largest: int) -> bytes:
        """Get it, if it comes so soon and is so small. Raises `SourceDown`."""
        request = http.Request("GET", self.url + path, credentials=self._credentials())
        try:
            answer = self.client(self.ca_file).send(request, seconds=seconds, largest=largest)
        except http.NoAnswer as problem:
            raise SourceDown(
                f"{self._host} does not answer: {problem}{self._hint(problem)}"
            ) from problem
        if answer.status == HTTPStatus.OK:
            return answer.body
        raise SourceDown(f"{self._host} answered {answer.status}{_cure(answer)}")

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc

    def _hint(self, problem: http.NoAnswer) -> str:
        """Many a server that speaks TLS hangs up without a word on who does not."""
        hung_up = isinstance(problem.reason, ConnectionError) and isinstance(problem, http.InDoubt)
        plain = self.url.startswith("http:")
        return f"; if {http.WRITE_HTTPS}" if hung_up and plain else ""

    def _credentials(self) -> http.Credentials | None:
        if self.token_file is not None:
            return http.bearer(_secret(self.token_file))
        if self.password_file is not None:
            return http.basic(self.username or "", _secret(self.password_file))
        return None


def _cure(answer: http.Response) -> str:
    """What to do about a status that is no 200."""
    if http.wants_tls(answer):
        return f": {http.WRITE_HTTPS}"
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        to = urlsplit(answer.headers.get("location", "")).netloc
        where = f" and leads to {to}" if to else ""
        return (
            f"{where}: a log-in page or a moved address, which is not followed; write the "
            "address of the API itself, and the token or basic that lets us in"
        )
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ": it does not let us in; write token_file or basic, and look at what it holds"
    if answer.status == HTTPStatus.NOT_FOUND:
        return ": its API is not there; with a path prefix write http://HOST/PREFIX"
    return ": look at its own log"


def _secret(path: Path) -> str:
    """Read a secret anew, so that it can be replaced. Raises `SourceDown`."""
    try:
        return read_token(path)
    except BadFile as error:
        raise SourceDown(str(error)) from None
