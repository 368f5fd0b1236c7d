"""Where tokens for GitHub come from: a file, or an installation of a GitHub App."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from github import Auth, BadAttributeException, GithubException
from github.Requester import Requester
from jwt.exceptions import PyJWTError

from receiver.core.dispatches import Failure
from receiver.core.policies import shown
from receiver.dispatchers.github_answers import REFUSALS, GithubAnswer, error

PERMISSIONS = {"actions": "write", "metadata": "read"}
LONGEST_WAIT = 10.0


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
        token = _read_secret(self._path)
        if not token.isascii() or any(not c.isprintable() or c == " " for c in token):
            raise error(f"{self._path} does not hold one token", Failure.UNAVAILABLE)
        return token


class InstallationTokens:
    """Keeps one installation token per server; PyGithub renews it before it expires."""

    def __init__(
        self, app: App, requester: Callable[[str, Auth.Auth, int], Requester], timeout: float
    ) -> None:
        self._app = app
        self._requester = requester
        self._timeout = min(timeout, LONGEST_WAIT)
        self._lock = Lock()
        self._known: dict[str, tuple[str, Auth.AppInstallationAuth]] = {}

    def __str__(self) -> str:
        return f"installation {self._app.installation_id} of GitHub App {self._app.id}"

    def current(self, base_url: str, *, refused: str | None = None) -> str:
        """Give the known token, or ask for one if there is none or the key file changed."""
        private_key = _read_secret(self._app.private_key_file)
        # PyGithub's auth object is not safe for threads; the others wait as long as one may ask.
        if not self._lock.acquire(timeout=self._timeout):
            raise error(f"GitHub is slow to give {self} a token", Failure.UNAVAILABLE)
        try:
            known_key, known = self._known.pop(base_url, (None, None))
            if known is None or known_key != private_key or refused == self._ask(known):
                known = self._installation(base_url, private_key)
            token = self._ask(known)
            self._known[base_url] = (private_key, known)
            return token
        finally:
            self._lock.release()

    def _installation(self, base_url: str, private_key: str) -> Auth.AppInstallationAuth:
        auth = Auth.AppAuth(self._app.id, private_key)
        try:
            auth.create_jwt()
        except (PyJWTError, ValueError, TypeError) as problem:
            raise error(
                f"{self._app.private_key_file} does not hold a plain RSA private key (PEM)",
                Failure.UNAVAILABLE,
            ) from problem
        requester = self._requester(base_url, auth, math.ceil(self._timeout))
        return auth.get_installation_auth(self._app.installation_id, PERMISSIONS, requester)

    def _ask(self, known: Auth.AppInstallationAuth) -> str:
        try:
            token = known.token
        except GithubException as problem:
            answer = GithubAnswer(problem.status, problem.headers or {}, json.dumps(problem.data))
            final = answer.status in REFUSALS and not answer.limits_rate
            raise error(
                f"GitHub gives {self} no token ({answer.status}): {answer.quoted}",
                Failure.REFUSED if final else Failure.UNAVAILABLE,
                answer,
            ) from problem
        # A RuntimeError is a redirect elsewhere, a TypeError a token without an end.
        except (OSError, ValueError, RuntimeError, TypeError, BadAttributeException) as problem:
            raise error(
                f"GitHub gives {self} no token: {innermost(problem)}", Failure.UNAVAILABLE
            ) from problem
        if not isinstance(token, str):
            raise error(f"GitHub answers {self} without a token", Failure.UNAVAILABLE)
        return token


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, ValueError) as problem:
        raise error(
            f"{path} can't be read: {innermost(problem)}", Failure.UNAVAILABLE
        ) from problem
    if not secret:
        raise error(f"{path} is empty", Failure.UNAVAILABLE)
    return secret


def innermost(problem: BaseException) -> str:
    """Quote the innermost error; the outer ones repeat the address and hide it."""
    while inner := problem.__cause__ or problem.__context__:
        problem = inner
    return shown(str(problem) or type(problem).__name__, 160)
