"""What is asked, what is answered, and what is true when no whole answer came."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from receiver import __version__
from receiver.core.policies import shown

LONGEST_QUOTE = 200
USER_AGENT = f"retrain-receiver/{__version__}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An `Authorization` header, which is never shown."""

    scheme: str
    secret: str = field(repr=False)


def bearer(token: str) -> Credentials:
    """A token, as RFC 6750 sends it."""
    return Credentials("Bearer", token)


def basic(user: str, password: str) -> Credentials:
    """A user and a password, as RFC 7617 sends them."""
    return Credentials("Basic", base64.b64encode(f"{user}:{password}".encode()).decode())


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. The address may be a secret: only its host is ever told.

    Attributes:
        query: Appended to the address.
        credentials: Sent to the address's own server, and nowhere else.

    """

    method: str
    url: str = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    credentials: Credentials | None = None

    def place(self) -> SplitResult:
        """Where it goes. Raises `NotSent` for what is no address or can't stand in a request."""
        try:
            place = urlsplit(self.url)
            usable = place.scheme in {"http", "https"} and place.hostname and place.port != 0
        except ValueError:
            usable = False
        if not usable or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise NotSent("the address can't be understood; write https://HOST/PATH")
        if "@" in place.netloc:
            raise NotSent(f"the address at {place.hostname} can't hold a password")
        query = "&".join(filter(None, [place.query, urlencode(self.query)]))
        return place._replace(path=place.path or "/", query=query, fragment="")

    def sent_headers(self) -> dict[str, str]:
        """All headers that are sent. Raises `NotSent` if one can't be, without quoting it."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **self.headers}
        if self.credentials is not None:
            headers["Authorization"] = f"{self.credentials.scheme} {self.credentials.secret}"
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise NotSent(f"the header {name} can't be sent: it must be one line of ASCII")
        return {**headers, "Connection": "close"}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer.

    Attributes:
        status: Compares with `HTTPStatus`; a stranger may send one that is none of these.
        headers: By lower-case name.

    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return is_success(self.status)

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` if it is something else, however deep it nests."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("the answer nests too deep") from None

    @property
    def content(self) -> dict[str, Any] | None:
        """The JSON object in the body; None if that is anything else, as a login page is."""
        try:
            found = self.json()
        except ValueError:
            return None
        return found if isinstance(found, dict) else None


def is_success(status: int) -> bool:
    """Whether a status is a 2xx."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def is_redirect(status: int) -> bool:
    """Whether a status is a 3xx."""
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST


def is_server_error(status: int) -> bool:
    """Whether a status is a 5xx, or a stranger's higher one."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR


class NoAnswer(Exception):
    """No whole answer came; the message says why, without the address and without secrets.

    Attributes:
        reason: The innermost error, where there is one.

    """

    def __init__(self, message: str, reason: BaseException | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class NotSent(NoAnswer):
    """Nothing of the request left us: it surely had no effect."""


class InDoubt(NoAnswer):
    """The request may have been carried out; its answer did not come, or not whole."""


def innermost(problem: BaseException) -> BaseException:
    """The error below all others, which repeat the address and hide it."""
    while inner := problem.__cause__ or problem.__context__:
        problem = inner
    return problem


def words(problem: BaseException) -> str:
    """What an error says, short enough for a sentence, and escaped where it is not plain."""
    text = str(problem) or type(problem).__name__
    plain = text.isascii() and text.isprintable() and len(text) <= LONGEST_QUOTE
    return text if plain else shown(text, LONGEST_QUOTE)
