"""Asks Prometheus and Alertmanager over HTTP; says what is true when it can't."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from receiver.cli.client import FAILED, UNREACHABLE, AskError, UsageError, address, token_in
from receiver.core.policies import shown
from receiver.http import Client, NoAnswer, Request, Response, bearer

TIMEOUT_SECONDS = 30
LARGEST_ANSWER = 64 * 1024 * 1024
LONGEST_QUOTE = 300

PROMETHEUS = "http://127.0.0.1:9090"
ALERTMANAGER = "http://127.0.0.1:9093"

PrometheusUrl = Annotated[
    str,
    typer.Option("--prometheus", envvar="PROMETHEUS_URL", metavar="URL", help="Prometheus."),
]
PrometheusToken = Annotated[
    Path | None,
    typer.Option(
        "--prometheus-token-file",
        envvar="PROMETHEUS_TOKEN_FILE",
        metavar="FILE",
        help="A file that holds a bearer token for Prometheus, where it asks for one.",
    ),
]
AlertmanagerToken = Annotated[
    Path | None,
    typer.Option(
        "--alertmanager-token-file",
        envvar="ALERTMANAGER_TOKEN_FILE",
        metavar="FILE",
        help="A file that holds a bearer token for Alertmanager, where it asks for one.",
    ),
]


@dataclass(frozen=True, slots=True)
class Sample:
    """One series' value at one moment."""

    labels: Mapping[str, str]
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A program beside the receiver.

    Attributes:
        name: For people.
        option: Which option names its address.

    """

    name: str
    option: str
    url: str
    token: str | None = field(default=None, repr=False)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at this path, read from JSON. Raises `AskError`."""
        try:
            return self._ask(path, query=query or {}).json()
        except ValueError:
            raise AskError(self._stranger("no JSON")) from None

    def post(self, path: str, body: Any) -> None:
        """Post JSON. Raises `AskError`."""
        self._ask(path, body=json.dumps(body).encode())

    def read(self, path: str) -> bytes:
        """What is at this path. Raises `AskError`."""
        return self._ask(path).body

    def _ask(
        self, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        request = Request(
            "GET" if body is None else "POST",
            self.url + path,
            query=query or {},
            headers={} if body is None else {"Content-Type": "application/json"},
            body=body,
            credentials=None if self.token is None else bearer(self.token),
        )
        try:
            answer = Client().send(request, seconds=TIMEOUT_SECONDS, largest=LARGEST_ANSWER)
        except NoAnswer as problem:
            raise AskError(self._unreachable(problem), UNREACHABLE) from None
        if not answer.is_success:
            raise AskError(self._refused(answer), FAILED)
        return answer

    def _unreachable(self, why: object) -> str:
        return f"{self.name} at {self.url} is unreachable: {why}; is it running? {self.option}"

    def _stranger(self, what: str) -> str:
        return f"{self.url} answers, but not as {self.name} does ({what}); see {self.option}"

    def _refused(self, answer: Response) -> str:
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return f"{self.name} at {self.url} asks for a token; give {self.option}-token-file"
        try:
            said = answer.json()
        except ValueError:
            return self._stranger(str(answer.status))
        if isinstance(said, dict) and "message" in said:  # Grafana's way of saying no
            return self._stranger(f"{answer.status} {shown(str(said['message']))}")
        told = said.get("error", said) if isinstance(said, dict) else said
        return f"{self.name} refuses with {answer.status}: {shown(str(told), LONGEST_QUOTE)}"


class Prometheus(Neighbour):
    """Prometheus, or what speaks its API (Thanos, Mimir, VictoriaMetrics)."""

    def samples(self, expression: str) -> list[Sample]:
        """Ask for an expression's value now. Raises `AskError`."""
        answer = self.data("/api/v1/query", {"query": expression})
        try:
            if answer["resultType"] != "vector":
                raise UsageError(f"{expression!r} is no instant vector")
            return [_sample(each) for each in answer["result"]]
        except (LookupError, TypeError, ValueError):
            raise AskError(self._stranger("no query's answer")) from None

    def data(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The data of an answer of the API. Raises `AskError`."""
        answer = self.get(path, query)
        try:
            return answer["data"]
        except (LookupError, TypeError):
            raise AskError(self._stranger("no answer of its API")) from None


class Alertmanager(Neighbour):
    """Alertmanager, which is told alerts as Prometheus would tell them."""

    def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tell it alerts. Raises `AskError`."""
        self.post("/api/v2/alerts", list(alerts))


def prometheus_at(url: str, token_file: Path | None) -> Prometheus:
    """The Prometheus that the options name. A usage error if they can't."""
    return Prometheus("Prometheus", *_placed("--prometheus", url, token_file))


def alertmanager_at(url: str, token_file: Path | None) -> Alertmanager:
    """The Alertmanager that the options name. A usage error if they can't."""
    return Alertmanager("Alertmanager", *_placed("--alertmanager", url, token_file))


def _placed(option: str, url: str, token_file: Path | None) -> tuple[str, str, str | None]:
    try:
        place = address(url, option, cure=f"; use {option}-token-file")
        token = None if token_file is None else token_in(token_file, f"{option}-token-file")
    except ValueError as error:
        raise UsageError(str(error)) from None
    return option, place, token


def _sample(each: Any) -> Sample:
    at, value = each["value"]
    return Sample(
        {str(name): str(text) for name, text in each["metric"].items() if name != "__name__"},
        float(value),
        datetime.fromtimestamp(float(at), UTC),
    )


def number_or_none(value: float | None) -> float | None:
    """For JSON, which has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
