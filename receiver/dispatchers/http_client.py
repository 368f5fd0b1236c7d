"""One request to an HTTP API: with what lets us in, signed, and what became of it."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.http_api import HttpApi, NoAddress, address
from receiver.core.signatures import signed_headers, signing_key
from receiver.dispatchers.http_answers import NOT_THERE, HttpAnswer, error_of
from receiver.http import Client, Credentials, InDoubt, NotSent, Request, basic, bearer
from receiver.secret_files import BadFile, read_secret, read_token

LARGEST_ANSWER = 4 * 1024 * 1024
"""An Argo workflow shows every step with its inputs: a megabyte is not rare."""


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """What lets us in, and what our requests are signed with: files, read for each request."""

    token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    secret_file: Path | None = None
    ca_file: Path | None = None

    def credentials(self) -> Credentials | None:
        """What is sent with each request. Raises `BadFile`."""
        if self.token_file is not None:
            return bearer(read_token(self.token_file))
        if self.password_file is not None:
            return basic(self.username or "", read_secret(self.password_file))
        return None

    def signature(self, message_id: str, body: bytes) -> dict[str, str]:
        """The headers of a signed message. Raises `BadFile`."""
        if self.secret_file is None:
            return {}
        try:
            key = signing_key(read_secret(self.secret_file))
        except BadFile:
            raise
        except ValueError as problem:
            raise BadFile(f"{str(self.secret_file)!r} {problem}") from None
        now = datetime.now(UTC)  # noqa: TID251  a signature holds the wall clock's time
        return signed_headers(key, message_id, now, body)


class HttpClient:
    """Sends requests with what lets us in. Raises `DispatchError` that says what became of each.

    Redirects are never followed: a credential goes to the configured address only.
    """

    def __init__(self, access: HttpAccess, timeout: timedelta) -> None:
        self._access = access
        self._timeout = timeout.total_seconds()

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, message_id: str
    ) -> HttpAnswer:
        """Send once, and once more if the credential was refused and its file is another now."""

        def send() -> tuple[Credentials | None, HttpAnswer]:
            with _of_files():
                credentials = self._access.credentials()
                signed = self._access.signature(message_id, body)
            return credentials, self._send("POST", url, {**headers, **signed}, credentials, body)

        used, answer = send()
        if answer.status == HTTPStatus.UNAUTHORIZED:
            with _of_files():
                replaced = self._access.credentials() != used
            if replaced:
                return send()[1]
        return answer

    def get(self, url: str) -> dict[str, Any] | None:
        """Read a JSON object; None if the target says that there is none."""
        answer = self._get(url)
        content = answer.content
        if answer.is_success and content is not None:
            return content
        if answer.status in NOT_THERE:
            return None
        raise error_of(answer)

    def check(self, api: HttpApi, place: Mapping[str, str]) -> str:
        """See that `check_url` answers 2xx; the address. Raises `DispatchError` otherwise."""
        url = filled(lambda: address(api.check_url or "", place, {}))
        answer = self._get(url)
        if not answer.is_success:
            raise error_of(answer)
        return url

    def _get(self, url: str) -> HttpAnswer:
        with _of_files():
            credentials = self._access.credentials()
        return self._send("GET", url, {}, credentials, None)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        credentials: Credentials | None,
        body: bytes | None,
    ) -> HttpAnswer:
        asked = Request(
            method,
            url,
            headers={"Accept": "application/json", **headers},
            body=body,
            credentials=credentials,
        )
        host = urlsplit(url).netloc
        try:
            answer = Client(self._access.ca_file).send(
                asked, seconds=self._timeout, largest=LARGEST_ANSWER
            )
        except NotSent as problem:
            said = f"cannot connect to {host}: {problem}"
            raise DispatchError(said, Failure.UNAVAILABLE) from problem
        except InDoubt as problem:
            said = f"{host} gave no whole answer: {problem}"
            raise DispatchError(said, Failure.UNKNOWN) from problem
        return HttpAnswer(
            answer.status, answer.headers, answer.body, host, _secrets_of(credentials)
        )


def _secrets_of(credentials: Credentials | None) -> tuple[str, ...]:
    """What must not come back in a sentence: a password also as it was before it was packed."""
    if credentials is None:
        return ()
    if credentials.scheme != "Basic":
        return (credentials.secret,)
    password = base64.b64decode(credentials.secret).decode().partition(":")[2]
    return (credentials.secret, password)


def filled(fill: Callable[[], str]) -> str:
    """An address, if its labels and ids make one. Raises `DispatchError` (refused)."""
    try:
        return fill()
    except NoAddress as problem:
        said = f"the target's address can't be made: {problem}"
        raise DispatchError(said, Failure.REFUSED) from problem


@contextmanager
def _of_files() -> Iterator[None]:
    """A credential that can't be read now may be there later; nothing was asked for."""
    try:
        yield
    except BadFile as problem:
        raise DispatchError(str(problem), Failure.UNAVAILABLE) from problem
