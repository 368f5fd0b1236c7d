"""A GitHub that treats each model in a way of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

from tests.peers.github import GithubPeer, PeerRun
from tests.peers.github_wire import Asked, Behaviour


class Picky(GithubPeer):
    """Behaves as told for a model's first dispatch requests, and well after that.

    Attributes:
        unlisted: Models whose runs stay out of the listing until `list_runs()`.

    """

    def __init__(self, behaviours: Mapping[str, Sequence[Behaviour]] | None = None) -> None:
        super().__init__()
        self.unlisted: set[str] = set()
        self._goes_on = Event()
        self._goes_on.set()
        self._behaviours = {model: list(those) for model, those in (behaviours or {}).items()}

    def treat(self, model: str, *behaviours: Behaviour) -> None:
        """Answer the next requests for runs of this model so."""
        with self.changed:
            self._behaviours.setdefault(model, []).extend(behaviours)

    def mend(self, model: str) -> None:
        """Be well again."""
        with self.changed:
            self._behaviours.pop(model, None)

    def behaviour(self, asked: Asked) -> Behaviour:
        """Say how this request is to be treated, and remember it."""
        usual = super().behaviour(asked)
        if asked.phase != "dispatch":
            return usual
        with self.changed:
            wanted = self._behaviours.get(asked.body["inputs"]["user_id"])
            return wanted.pop(0) if wanted else usual

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Do not answer dispatch requests before what this gives is called."""
        self._goes_on.clear()
        try:
            yield self._goes_on.set
        finally:
            self._goes_on.set()

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Do what GitHub would do, when it goes on."""
        if asked.phase == "dispatch":
            self._goes_on.wait()
        return super().answer(asked)

    def posts_of(self, model: str) -> int:
        """Count how often a run of the model was asked for."""
        asked = self.requests("dispatch")
        return sum(each.body["inputs"]["user_id"] == model for each in asked)

    def runs_of(self, model: str) -> list[PeerRun]:
        """List the model's runs, oldest first."""
        with self.changed:
            return [run for run in self.runs if run.inputs["user_id"] == model]

    def _start(self, title: str, ref: str, inputs: dict[str, str], **changes: Any) -> PeerRun:
        if inputs["user_id"] in self.unlisted:
            changes = {**changes, "listed": False}
        return super()._start(title, ref, inputs, **changes)
