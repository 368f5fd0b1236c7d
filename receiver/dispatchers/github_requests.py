"""One request to GitHub's REST API, and its whole answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from receiver.dispatchers.github_answers import GithubAnswer
from receiver.http import Client, Credentials, Request

API_VERSION = "2022-11-28"
"""The last version that knows `return_run_details`, also spoken by every supported GHES."""


@dataclass(frozen=True, slots=True)
class GithubRequest:
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


def exchange(
    client: Client, request: GithubRequest, credentials: Credentials, seconds: float
) -> GithubAnswer:
    """Send it once. Raises `NotSent` or `InDoubt` if no whole answer came within `seconds`."""
    headers = {"X-GitHub-Api-Version": API_VERSION}
    body = None
    if request.body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(request.body, allow_nan=False).encode()
    answer = client.send(
        Request(
            request.verb,
            request.base_url + request.path,
            query=request.query,
            headers=headers,
            body=body,
            credentials=credentials,
        ),
        seconds=seconds,
    )
    text = answer.body.decode("utf-8", "replace")
    return GithubAnswer(answer.status, answer.headers, text, credentials.secret)
