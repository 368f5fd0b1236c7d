"""How the demo asks its children over HTTP, and how it says that a step did not happen."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from prometheus_client.parser import text_string_to_metric_families

from receiver.demo.evaluation import Quality
from receiver.http import Client, NoAnswer, Request

PATIENCE_SECONDS = 5


class DemoError(Exception):
    """Why the demo could not go on, as one sentence for whoever watches."""


class NoAnswerError(Exception):
    """Nobody answered, or not what was asked for: perhaps later."""


class Peer:
    """A child that answers HTTP on loopback, never through a proxy."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        """Ask once."""
        headers = {"Content-Type": "application/json"}
        request = Request(method, self.url + path, headers=headers, body=body)
        try:
            answer = Client().send(request, seconds=PATIENCE_SECONDS)
        except NoAnswer as error:
            raise NoAnswerError(f"{self.url}{path}: {error}") from error
        if answer.status != HTTPStatus.OK:
            raise NoAnswerError(f"{self.url}{path} answered {answer.status}")
        return answer.body

    def ask_json(self, path: str, **query: str) -> Any:
        """Ask for JSON."""
        return json.loads(self.ask(f"{path}?{urlencode(query)}" if query else path))


class ModelServerPeer(Peer):
    """The model server."""

    def quality(self, user_id: str) -> Quality:
        """How good a model is now."""
        found = {}
        for family in text_string_to_metric_families(self.ask("/metrics").decode()):
            for sample in family.samples:
                if sample.labels.get("user_id") == user_id:
                    found[sample.name] = sample.value
        return Quality(found["model_mae_score"], found["model_r2_score"])

    def drift(self, user_id: str) -> None:
        """Let a model's live data drift."""
        self.ask(f"/drift?user_id={quote(user_id)}", method="POST")


class ReceiverPeer(Peer):
    """The receiver."""

    def decisions(self, **filters: str) -> list[Any]:
        """Decisions, newest first."""
        return list(self.ask_json("/decisions", **filters)["decisions"])

    def dispatches(self) -> list[Any]:
        """Dispatches, newest first."""
        return list(self.ask_json("/dispatches")["dispatches"])

    def dispatch(self, dispatch_id: str) -> Any:
        """One dispatch."""
        return self.ask_json(f"/dispatches/{quote(dispatch_id)}")
