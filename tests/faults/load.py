"""Notifications from several senders at once, and what each of them was answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from threading import Event, Lock, Thread
from typing import Any, Self

from tests.posts import entry, post
from tests.processes import Api, now
from tests.serving import Answer
from tests.waiting import pause

SENDERS = 4
NAMES = ("HighModelMAE", "LowModelR2")


@dataclass(frozen=True)
class Acknowledged:
    """A notification that was answered with 2xx."""

    notification_id: str
    decisions: Sequence[dict[str, Any]]
    alerts: Sequence[dict[str, Any]]


class Load:
    """Sends until the end of its `with` block, whether or not anybody listens.

    Every alert carries a label `batch` that says how many alerts its notification has. A sender
    that got no answer repeats the same body a few times, as Alertmanager does.

    Attributes:
        acknowledged: What was answered with 2xx.
        refused: Every other answer that came.
        unanswered: How many requests got no whole answer.

    """

    def __init__(self, api: Api, seed: str, models: Sequence[str]) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.refused: list[Answer] = []
        self.unanswered = 0
        self._api, self._models = api, models
        self._ends, self._lock = Event(), Lock()
        self._at_next_answer: Callable[[], None] | None = None
        self._beginnings: dict[tuple[str, str], str] = {}
        self._senders = [
            Thread(target=self._send_on, args=(number, seeded(f"{seed}/{number}")))
            for number in range(SENDERS)
        ]

    def __enter__(self) -> Self:
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for sender in self._senders:
            sender.join()

    def at_next_answer(self, act: Callable[[], None]) -> None:
        """Call this at the very moment when the next 2xx arrives."""
        self._at_next_answer = act

    def ends_of_all(self) -> list[dict[str, Any]]:
        """Resolve everything that was ever told to fire."""
        return [
            entry(model, name=name, starts_at=began, status="resolved", ends_at=now())
            for (model, name), began in self._beginnings.items()
        ]

    def _send_on(self, number: int, random: Random) -> None:
        count = 0
        while not self._ends.is_set():
            count += 1
            alerts = self._alerts(number, count, random)
            for _ in range(random.choice((1, 3))):
                answer = self._api.try_ask("POST", "/webhook", post(*alerts))
                if answer is not None:
                    self._note(answer, alerts)
                    break
                with self._lock:
                    self.unanswered += 1
                pause(0.02)
            pause(random.uniform(0, 0.03))

    def _alerts(self, number: int, count: int, random: Random) -> list[dict[str, Any]]:
        """A notification whose alerts tell by their value which it is, and by how many it has.

        A label would make each of them another alert.
        """
        size = random.choice((1, 1, 2, 5))
        batch = f"0.{number % 100:02}{count % 100_000:05}{size}"
        pairs = random.sample([(m, n) for m in self._models for n in NAMES], size)
        return [self._alert(pair, batch, random) for pair in pairs]

    def _alert(self, pair: tuple[str, str], batch: str, random: Random) -> dict[str, Any]:
        """Fire again, mostly with the same beginning; or end, and later begin anew."""
        ends = random.random() < 0.1
        with self._lock:
            began = self._beginnings.setdefault(pair, now())
            if ends:
                self._beginnings[pair] = now()
        end = {"status": "resolved", "ends_at": now()} if ends else {}
        model, name = pair
        return entry(model, name=name, starts_at=began, value=batch, **end)

    def _note(self, answer: Answer, alerts: Sequence[dict[str, Any]]) -> None:
        if answer.status != 200:
            self.refused.append(answer)
            return
        act, self._at_next_answer = self._at_next_answer, None
        if act is not None:
            act()
        said = answer.json()
        self.acknowledged.append(Acknowledged(said["notification_id"], said["decisions"], alerts))


def seeded(seed: str) -> Random:
    """Make chances that come again with the same seed."""
    return Random(seed)  # noqa: S311  nothing here is a secret
