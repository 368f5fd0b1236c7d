"""Asks GitHub with the credentials of a target, and once again when a token was not accepted."""

from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic

from receiver.dispatchers.github_answers import GithubAnswer
from receiver.dispatchers.github_requests import GithubRequest, exchange
from receiver.dispatchers.github_tokens import (
    App,
    FileTokens,
    InstallationTokens,
    TokenPath,
    TokenSource,
)
from receiver.http import Client, Credentials, NotSent


class GithubClient:
    """Sends single requests. Safe for threads: requests share nothing but tokens."""

    def __init__(
        self, credentials: TokenPath | App, ca_file: Path | None, timeout: timedelta
    ) -> None:
        self._client = Client(ca_file)
        self._timeout = timeout.total_seconds()
        self._tokens: TokenSource
        if isinstance(credentials, App):
            self._tokens = InstallationTokens(credentials, self._client, self._timeout)
        else:
            self._tokens = FileTokens(credentials.path)

    @property
    def credentials(self) -> str:
        """Where its token comes from, for operators."""
        return str(self._tokens)

    def send(self, request: GithubRequest) -> GithubAnswer:
        """Send one request, and once again with a fresh token if the first one was not accepted.

        Raises `NotSent`, `InDoubt`, and `DispatchError` if there is no token.
        """
        token = self._tokens.current(request.base_url)
        answer = self._exchange(request, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            token = self._tokens.current(request.base_url, refused=token)
            answer = self._exchange(request, token)
        return answer

    def _exchange(self, request: GithubRequest, token: str) -> GithubAnswer:
        seconds = min(self._timeout, request.ends - monotonic())
        if seconds <= 0:
            raise NotSent("no time was left to ask")
        return exchange(self._client, request, Credentials("token", token), seconds)
