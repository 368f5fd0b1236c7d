"""Asks a running receiver over HTTP; says what is true when it can't."""

import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from receiver import __version__

TIMEOUT_SECONDS = 30
TRIES = 3
"""How often a refused connection is tried for an act: enough for a restart of the receiver."""

TRY_AGAIN_SECONDS = 1.0
LONGEST_PROBLEM = 64 * 1024
MOST_ROWS = 500
"""The API's longest page."""

FAILED, USAGE, NOT_FOUND, UNREACHABLE = 1, 2, 3, 4


class AskError(Exception):
    """The command can't be carried out; the message is for the operator."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(AskError):
    """The options don't say what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, USAGE)


class NotSentError(AskError):
    """Nothing listens there: the request surely had no effect."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The running receiver.

    Attributes:
        patience: Seconds until a refused connection is tried again.

    """

    url: str
    opener: urllib.request.OpenerDirector
    token: str | None = None
    patience: float = TRY_AGAIN_SECONDS

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at this path, read from JSON. Raises `AskError`."""
        with self._open(self._request(path, query)) as answer, _whole(self.url):
            return json.load(answer)

    def page(self, name: str, query: Mapping[str, str], limit: int | None) -> dict[str, Any]:
        """The newest of a list, or for None all its pages as one. Raises `AskError`."""
        if limit is not None:
            return dict(self.get(f"/{name}", {**query, "limit": str(limit)}))
        entries: list[Any] = []
        asked = {**query, "limit": str(MOST_ROWS)}
        while True:
            page = self.get(f"/{name}", asked)
            entries += page[name]
            if page["next_cursor"] is None:
                return {name: entries, "next_cursor": None}
            asked["cursor"] = page["next_cursor"]

    def lines(self, path: str, query: Mapping[str, str], media_type: str) -> Iterator[str]:
        """A long answer line by line, as it comes. Raises `AskError`."""
        request = self._request(path, query, {"Accept": media_type})
        with self._open(request) as answer, _whole(self.url):
            for line in answer:
                yield line.decode()

    def act(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """Do something, at most once, and read the decision that it left. Raises `AskError`."""
        request = self._request(path, None, {"Idempotency-Key": key}, json.dumps(body).encode())
        doubt = (
            "; it may have been done: see `retrain-receiver decisions --source operator`, or "
            f"repeat the command with --idempotency-key {key}, which does it once"
        )
        with self._open_patiently(request, doubt) as answer, _whole(self.url, doubt):
            return json.load(answer)

    def notify(self, body: bytes, query: Mapping[str, str]) -> Any:
        """Post a notification of our own, and read what was decided. Raises `AskError`."""
        request = self._request("/webhook", query, None, body)
        doubt = "; it may have been taken in: to run the command again does no harm"
        with self._open_patiently(request, doubt) as answer, _whole(self.url, doubt):
            return json.load(answer)

    def ready(self) -> None:
        """Ask whether notifications can be stored. Raises `AskError`."""
        with self._open(self._request("/-/ready", None)):
            pass

    def _request(
        self,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> urllib.request.Request:
        url = self.url + path + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(url, body)  # noqa: S310  peer_at allows http(s) only
        request.add_header("User-Agent", f"retrain-receiver/{__version__}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        return request

    def _open_patiently(self, request: urllib.request.Request, doubt: str) -> HTTPResponse:
        """Open; a refused connection is tried again, for then surely nothing happened."""
        for _ in range(TRIES - 1):
            try:
                return self._open(request, doubt)
            except NotSentError:
                threading.Event().wait(self.patience)
        return self._open(request, doubt)

    def _open(self, request: urllib.request.Request, doubt: str = "") -> HTTPResponse:
        try:
            answer: HTTPResponse = self.opener.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(self.url, error) from None
        except urllib.error.URLError as error:
            refused = isinstance(error.reason, ConnectionRefusedError)
            kind, left = (NotSentError, "") if refused else (AskError, doubt)
            raise kind(_unreachable(self.url, error.reason) + left, UNREACHABLE) from None
        except (OSError, HTTPException) as error:
            raise AskError(_unreachable(self.url, error) + doubt, UNREACHABLE) from None
        return answer


@contextmanager
def _whole(url: str, doubt: str = "") -> Iterator[None]:
    """Read an answer to its end, or say that it was not one."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise AskError(f"the answer of {url} was cut: {error or 'no more came'}{doubt}") from None
    except (ValueError, RecursionError):
        raise AskError(_stranger(url, "no JSON")) from None


def _problem(url: str, error: urllib.error.HTTPError) -> AskError:
    """What an error answer says, and the exit code that stands for it."""
    if error.headers.get_content_type() != "application/problem+json":
        where = error.headers.get("location")
        what = f"{error.code}, a redirect to {where}" if where else str(error.code)
        return AskError(_stranger(url, what))
    try:
        detail = str(json.loads(error.read(LONGEST_PROBLEM))["detail"])
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        detail = f"{url} answered {error.code}"
    match error.code:
        case HTTPStatus.UNAUTHORIZED:
            cure = "; give --token-file or RETRAIN_RECEIVER_TOKEN_FILE"
        case HTTPStatus.FORBIDDEN:
            cure = "; --token-file names a token of another role"
        case HTTPStatus.SERVICE_UNAVAILABLE:
            cure = "; try again soon"
        case _:
            cure = ""
    codes = {HTTPStatus.BAD_REQUEST: USAGE, HTTPStatus.NOT_FOUND: NOT_FOUND}
    return AskError(detail + cure, codes.get(HTTPStatus(error.code), FAILED))


def _unreachable(url: str, error: object) -> str:
    cure = "is it running? --server / RETRAIN_RECEIVER_URL"
    if isinstance(error, ssl.SSLCertVerificationError):
        cure = "SSL_CERT_FILE names the file with its CA"
    return f"{url} is unreachable: {error}; {cure}"


def _stranger(url: str, what: str) -> str:
    return f"{url} answers, but not as a retrain-receiver does ({what}); see --server"


def peer_at(server: str, token_file: Path | None) -> Receiver:
    """The receiver at this address. Raises `ValueError`, never with the token in it."""
    url, opener = address(server, "--server", cure="; use --token-file")
    token = None if token_file is None else token_in(token_file, "--token-file")
    return Receiver(url, opener, token)


def address(url: str, option: str, *, cure: str = "") -> tuple[str, urllib.request.OpenerDirector]:
    """An option's address, and who opens it. Raises `ValueError` that says how to write it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not url.isprintable():
        raise ValueError(f"{option} {url!r} is not an address; write http://HOST:PORT")
    if "@" in parts.netloc:
        raise ValueError(f"{option} can't hold a password{cure}")
    return url.rstrip("/"), _opener(parts.hostname or "")


def _opener(host: str) -> urllib.request.OpenerDirector:
    """Follows no redirect: the token is for the server that was named."""
    # The environment's proxy is for the outside; it can't know what listens on this machine.
    proxies: dict[str, str] | None = {} if _is_loopback(host) else None
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_in(path: Path, option: str) -> str:
    """The token that an option's file holds. Raises `ValueError`, never with the token in it."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ValueError(f"{option} {path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise ValueError(f"{option} {path} must hold one token, in ASCII, and nothing else")
    return token
