"""Where tokens for GitHub come from: a file, or an installation of a GitHub App."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from receiver.core.dispatches import Failure
from receiver.dispatchers.github_answers import GithubAnswer, error
from receiver.dispatchers.github_requests import GithubRequest, exchange
from receiver.dispatchers.refusals import REFUSALS
from receiver.http import Client, NoAnswer, bearer
from receiver.secret_files import BadFile, read_key, read_token

PERMISSIONS = {"actions": "write", "metadata": "read"}
LONGEST_WAIT = 10.0

PROOF_BEGINS = timedelta(minutes=-1)
PROOF_ENDS = timedelta(minutes=5)
"""GitHub's advice: from a minute ago, for its clock may be behind, to at most ten minutes."""

TOO_SHORT = timedelta(seconds=20)
"""What is left of a token's life must be enough for a request on its way."""


@dataclass(frozen=True, slots=True)
class TokenPath:
    """A file that holds a personal access token, and whose content may change."""

    path: Path


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App's installation."""

    id: str
    installation_id: int
    private_key_file: Path


class TokenSource(Protocol):
    """Where tokens come from; `str()` of it names the place for operators."""

    def current(self, base_url: str, *, refused: str | None = None) -> str:
        """Give a token for this server, and not the one it `refused` if there is another."""


class FileTokens:
    """Reads the token file for every request: rotation needs no signal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return f"the token in {self._path}"

    def current(self, base_url: str, *, refused: str | None = None) -> str:  # noqa: ARG002
        """Read the file anew."""
        return _read(self._path, read_token)


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """A token that was given for a private key, and when it ends."""

    private_key: str
    token: str
    ends_at: datetime


class InstallationTokens:
    """Keeps one installation token per server, and renews it before it expires."""

    def __init__(self, app: App, client: Client, timeout: float) -> None:
        self._app = app
        self._client = client
        self._timeout = min(timeout, LONGEST_WAIT)
        self._lock = Lock()
        self._known: dict[str, InstallationToken] = {}

    def __str__(self) -> str:
        return f"installation {self._app.installation_id} of GitHub App {self._app.id}"

    def current(self, base_url: str, *, refused: str | None = None) -> str:
        """Give the known token, or ask for one if there is none or the key file changed."""
        private_key = _read(self._app.private_key_file, read_key)
        # One asks for all; the others wait as long as one may ask.
        if not self._lock.acquire(timeout=self._timeout):
            raise error(f"GitHub is slow to give {self} a token", Failure.UNAVAILABLE)
        try:
            known = self._known.pop(base_url, None)
            if known is None or not _serves(known, private_key, refused):
                answer = self._ask(base_url, private_key)
                token, ends_at = self._token_in(answer), _end_in(answer)
                if ends_at is None:
                    return token  # good for now, and not kept: nobody knows for how long
                known = InstallationToken(private_key, token, ends_at)
            self._known[base_url] = known
            return known.token
        finally:
            self._lock.release()

    def _ask(self, base_url: str, private_key: str) -> GithubAnswer:
        request = GithubRequest(
            "POST",
            base_url,
            f"/app/installations/{self._app.installation_id}/access_tokens",
            monotonic() + self._timeout,
            body={"permissions": PERMISSIONS},
        )
        proof = bearer(self._proof(private_key))
        try:
            return exchange(self._client, request, proof, self._timeout)
        except NoAnswer as problem:
            raise error(
                f"GitHub gives {self} no token: {problem}", Failure.UNAVAILABLE
            ) from problem

    def _proof(self, private_key: str) -> str:
        """Sign that we are the App."""
        import jwt  # noqa: PLC0415  with what it signs it takes 15 MiB, which a token file needs not

        now = _now()
        claims = {"iat": now + PROOF_BEGINS, "exp": now + PROOF_ENDS, "iss": str(self._app.id)}
        try:
            return jwt.encode(claims, private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError) as problem:
            raise error(
                f"{self._app.private_key_file} does not hold a plain RSA private key (PEM)",
                Failure.UNAVAILABLE,
            ) from problem

    def _token_in(self, answer: GithubAnswer) -> str:
        if answer.status == HTTPStatus.CREATED:
            token = answer.content.get("token")
            if isinstance(token, str):
                return token
            raise error(f"GitHub answers {self} without a token", Failure.UNAVAILABLE)
        final = answer.status in REFUSALS and not answer.limits_rate
        raise error(
            f"GitHub gives {self} no token ({answer.status}): {answer.quoted}",
            Failure.REFUSED if final else Failure.UNAVAILABLE,
            answer,
        )


def _serves(known: InstallationToken, private_key: str, refused: str | None) -> bool:
    """Whether a token can be used for another request."""
    lives = known.ends_at - _now() > TOO_SHORT
    return lives and known.private_key == private_key and known.token != refused


def _end_in(answer: GithubAnswer) -> datetime | None:
    ends_at: Any = answer.content.get("expires_at")
    try:
        return datetime.fromisoformat(ends_at).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  proofs and tokens end on the wall clock


def _read(path: Path, read: Callable[[Path], str]) -> str:
    try:
        return read(path)
    except BadFile as problem:
        raise error(str(problem), Failure.UNAVAILABLE) from problem
