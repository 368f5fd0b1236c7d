"""One request to a KFP server: the generated client's, on a connection of our own."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import certifi
import kfp_server_api

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.policies import shown

NOT_FOUND = 5
"""gRPC's code in the body of KFP's own 404. A proxy's 404 has none, and proves nothing."""

LONGEST_CONNECT = 5.0
LARGEST_ANSWER = 32 * 1024 * 1024
LONGEST_QUOTE = 200


@dataclass(frozen=True, slots=True)
class KfpAnswer:
    """What a KFP server, or something in front of it, answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def getheader(self, name: str, default: str | None = None) -> str | None:
        """Look a header up; the generated client asks for one."""
        return self.headers.get(name.lower(), default)

    @property
    def content(self) -> dict[str, Any] | None:
        """The JSON object in the body, None if the body is anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def is_not_found(self) -> bool:
        """Whether KFP itself says that there is no such thing."""
        return self.status == 404 and (self.content or {}).get("code") == NOT_FOUND  # noqa: PLR2004


class KfpClient(kfp_server_api.ApiClient):  # type: ignore[misc]
    """The generated client with another transport.

    Its own ignores a time limit that is no integer, follows redirects with the POST, keeps
    connections that may have died silently, and takes a login page for a run.
    """

    def __init__(
        self, configuration: Any, ca_file: Path | None, timeout: timedelta, together: timedelta
    ) -> None:
        super().__init__(configuration)
        self.user_agent = "retrain-receiver"
        self._ca_file = ca_file
        self._timeout = timeout.total_seconds()
        self._ends = monotonic() + together.total_seconds()

    def request(  # noqa: PLR0917  called by the generated code
        self,
        method: str,
        url: str,
        query_params: Any = None,
        headers: Any = None,
        post_params: Any = None,  # noqa: ARG002  the generated code names it
        body: Any = None,
        _preload_content: bool = True,  # noqa: FBT001, FBT002  the generated code names it
        _request_timeout: Any = None,
    ) -> KfpAnswer:
        """Send one request on a connection of its own.

        Before the connection stands nothing was sent: unavailable. From then on a failure leaves
        open what the server did: unknown.
        """
        place = urlsplit(url)
        path = place.path + (f"?{urlencode(query_params)}" if query_params else "")
        sent = None if body is None else json.dumps(body, allow_nan=False)
        seconds = min(self._timeout, self._ends - monotonic())
        if seconds <= 0:
            raise DispatchError(f"{place.netloc} is too slow", Failure.UNAVAILABLE)
        ends = monotonic() + seconds
        connection = self._connect(place, min(seconds, LONGEST_CONNECT))
        try:
            if connection.sock is not None:
                connection.sock.settimeout(max(ends - monotonic(), 0.001))
            connection.request(method, path, sent, {**headers, "Connection": "close"})
            with connection.getresponse() as response:
                return KfpAnswer(
                    response.status,
                    {name.lower(): value for name, value in response.getheaders()},
                    _read(response, ends),
                )
        except (OSError, HTTPException, ValueError) as error:
            raise DispatchError(
                f"{place.netloc} gave no whole answer: {words(error)}", Failure.UNKNOWN
            ) from error
        finally:
            connection.close()

    def _connect(self, place: SplitResult, seconds: float) -> HTTPConnection:
        connection = HTTPConnection(place.hostname or "", place.port, timeout=seconds)
        if place.scheme == "https":
            connection = HTTPSConnection(
                place.hostname or "", place.port, timeout=seconds, context=self._trust()
            )
        try:
            connection.connect()
        except (OSError, ValueError, HTTPException) as error:
            connection.close()
            raise DispatchError(
                f"cannot connect to {place.netloc}: {words(error)}", Failure.UNAVAILABLE
            ) from error
        return connection

    def _trust(self) -> ssl.SSLContext:
        trusted = str(self._ca_file or certifi.where())
        try:
            return ssl.create_default_context(cafile=trusted)
        except OSError as error:
            raise DispatchError(
                f"cannot use the certificates in {trusted}: {words(error)}", Failure.UNAVAILABLE
            ) from error


def _read(response: HTTPResponse, ends: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(65536):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise HTTPException("the answer is too large")
        if monotonic() > ends:
            raise TimeoutError("timed out")
    return bytes(body)


def words(error: Exception) -> str:
    """Quote an error, escaped and short enough for a sentence."""
    return shown(str(error) or type(error).__name__, LONGEST_QUOTE)
