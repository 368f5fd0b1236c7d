"""Asks a running receiver over HTTP; says what is true when it can't."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from receiver.http import Answer, Client, InDoubt, NoAnswer, NotSent, Request, bearer
from receiver.secret_files import read_piped

TIMEOUT_SECONDS = 30
TRIES = 3
"""How often a refused connection is tried for an act: enough for a restart of the receiver."""

TRY_AGAIN_SECONDS = 1.0
LARGEST_ANSWER = 64 * 1024 * 1024
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
class ReceiverClient:
    """The running receiver.

    Attributes:
        patience: Seconds until a refused connection is tried again.

    """

    url: str
    client: Client
    token: str | None = field(default=None, repr=False)
    patience: float = TRY_AGAIN_SECONDS

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at this path, read from JSON. Raises `AskError`."""
        with self._open(self._request(path, query)) as answer, _whole(self.url):
            return answer.read(largest=LARGEST_ANSWER).json()

    def page(self, name: str, query: Mapping[str, str], limit: int | None) -> dict[str, Any]:
        """The newest of a list, or for None all its pages as one. Raises `AskError`."""
        entries: list[Any] = []
        besides: dict[str, Any] = {}
        asked = dict(query)
        while True:
            left = MOST_ROWS if limit is None else limit - len(entries)
            page = self.get(f"/{name}", {**asked, "limit": str(left)})
            besides = besides or page  # what only the first page tells
            entries += page[name]  # fewer than asked for, if they are large
            if page["next_cursor"] is None or len(entries) == limit:
                return {**besides, name: entries, "next_cursor": page["next_cursor"]}
            asked["cursor"] = page["next_cursor"]

    def lines(self, path: str, query: Mapping[str, str], media_type: str) -> Iterator[str]:
        """A long answer line by line, as it comes. Raises `AskError`."""
        request = self._request(path, query, {"Accept": media_type})
        with self._open(request) as answer, _whole(self.url):
            for line in answer.lines():
                yield line.decode()

    def act(self, path: str, body: Mapping[str, Any], key: str) -> Any:
        """Do something, at most once, and read the decision that it left. Raises `AskError`."""
        request = self._request(path, None, {"Idempotency-Key": key}, json.dumps(body).encode())
        doubt = (
            "; it may have been done: see `retrain-receiver decisions --source operator`, or "
            f"repeat the command with --idempotency-key {key}, which does it once"
        )
        return self._ask_patiently(request, doubt)

    def notify(self, body: bytes, query: Mapping[str, str]) -> Any:
        """Post a notification of our own, and read what was decided. Raises `AskError`."""
        request = self._request("/webhook", query, None, body)
        doubt = "; it may have been taken in: to run the command again does no harm"
        return self._ask_patiently(request, doubt)

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
    ) -> Request:
        described = {} if body is None else {"Content-Type": "application/json"}
        return Request(
            "GET" if body is None else "POST",
            self.url + path,
            query=query or {},
            headers={**described, **(headers or {})},
            body=body,
            credentials=None if self.token is None else bearer(self.token),
        )

    def _ask_patiently(self, request: Request, doubt: str) -> Any:
        """Ask; a refused connection is tried again, for then surely nothing happened."""
        for _ in range(TRIES - 1):
            try:
                return self._ask(request, doubt)
            except NotSentError:
                threading.Event().wait(self.patience)
        return self._ask(request, doubt)

    def _ask(self, request: Request, doubt: str = "") -> Any:
        with self._open(request, doubt) as answer, _whole(self.url, doubt):
            return answer.read(largest=LARGEST_ANSWER).json()

    @contextmanager
    def _open(self, request: Request, doubt: str = "") -> Iterator[Answer]:
        try:
            with self.client.open(request, seconds=TIMEOUT_SECONDS) as answer:
                if not answer.is_success:
                    raise _problem(self.url, answer)
                yield answer
        except NotSent as problem:
            refused = isinstance(problem.reason, ConnectionRefusedError)
            kind = NotSentError if refused else AskError
            raise kind(_unreachable(self.url, problem), UNREACHABLE) from None
        except InDoubt as problem:
            raise AskError(_unreachable(self.url, problem) + doubt, UNREACHABLE) from None


@contextmanager
def _whole(url: str, doubt: str = "") -> Iterator[None]:
    """Read an answer to its end, or say that it was not one."""
    try:
        yield
    except InDoubt as problem:
        raise AskError(f"the answer of {url} was cut: {problem}{doubt}") from None
    except ValueError:
        raise AskError(_stranger(url, "no JSON")) from None


def _problem(url: str, answer: Answer) -> AskError:
    """What an error answer says, and the exit code that stands for it."""
    status = answer.status
    if answer.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        where = answer.headers.get("location")
        what = f"{status}, a redirect to {where}" if where else str(status)
        return AskError(_stranger(url, what))
    try:
        detail = _on_terminals(str(answer.read(largest=LONGEST_PROBLEM).json()["detail"]))
    except (InDoubt, ValueError, LookupError, TypeError):
        detail = f"{url} answered {status}"
    match status:
        case HTTPStatus.UNAUTHORIZED:
            cure = "; give --token-file or RETRAIN_RECEIVER_TOKEN_FILE"
        case HTTPStatus.FORBIDDEN:
            cure = "; --token-file names a token of another role"
        case HTTPStatus.SERVICE_UNAVAILABLE:
            cure = "; try again soon"
        case _:
            cure = ""
    codes: Mapping[int, int] = {HTTPStatus.BAD_REQUEST: USAGE, HTTPStatus.NOT_FOUND: NOT_FOUND}
    return AskError(detail + cure, codes.get(status, FAILED))


def _unreachable(url: str, problem: NoAnswer) -> str:
    cure = "is it running? --server / RETRAIN_RECEIVER_URL"
    if isinstance(problem.reason, ssl.SSLCertVerificationError):
        cure = "SSL_CERT_FILE names the file with its CA"
    return f"{url} is unreachable: {problem}; {cure}"


def _stranger(url: str, what: str) -> str:
    return f"{url} answers, but not as a retrain-receiver does ({what}); see --server"


def peer_at(server: str, token_file: Path | None) -> ReceiverClient:
    """The receiver at this address. Raises `ValueError`, never with the token in it."""
    url = address(server, "--server", cure="; use --token-file")
    token = None if token_file is None else token_in(token_file, "--token-file")
    return ReceiverClient(url, Client(), token)


def address(url: str, option: str, *, cure: str = "") -> str:
    """An option's address. Raises `ValueError` that says how to write it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not url.isprintable():
        raise ValueError(f"{option} {url!r} is not an address; write http://HOST:PORT")
    if "@" in parts.netloc:
        raise ValueError(f"{option} can't hold a password{cure}")
    return url.rstrip("/")


def token_in(path: Path, option: str) -> str:
    """The token that an option's file holds. Raises `ValueError`, never with the token in it."""
    try:
        token = read_piped(path).decode("utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{option} {path} can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError(f"{option} {path} must hold one token, in ASCII, and nothing else")
    return token


ON_TERMINALS = {
    "see GET /models": "see `retrain-receiver models`",
    "give policy and labels, for example "
    '{"policy": "model-quality", "labels": {"user_id": "42"}}': (
        "name it, for example with --policy model-quality --label user_id=42"
    ),
    "give policy and labels for": "write --policy and --label for",
}
"""What the API's sentences call in HTTP's words, as the command line calls it."""


def _on_terminals(detail: str) -> str:
    for said, here in ON_TERMINALS.items():
        detail = detail.replace(said, here)
    return detail
