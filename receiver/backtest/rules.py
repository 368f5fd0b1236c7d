"""Rules: what decides about alerts in a replay. The ladder is one; the naive rules are others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from receiver.core.alerts import Alert
from receiver.core.decisions import Decision


@dataclass(frozen=True, slots=True)
class Order:
    """A rule wants one run of a model."""

    id: str
    model: str
    policy: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says to what happened.

    Attributes:
        orders: Runs that begin now.
        decisions: As the audit log would have them; the naive rules write none.
        holds: Models whose hold is called otherwise from now on, and how.

    """

    orders: Sequence[Order] = ()
    decisions: Sequence[Decision] = ()
    holds: Sequence[tuple[str, str]] = ()


class Rule(Protocol):
    """Decides about alerts. Time only goes forward."""

    def hear(self, alerts: Sequence[Alert], now: datetime) -> Answer:
        """Alertmanager sends these."""

    def wakes_at(self) -> datetime | None:
        """When it wants to look again by itself."""

    def wake(self, now: datetime) -> Answer:
        """It is that time."""

    def end(self, order: Order, began: datetime, ended: datetime) -> datetime:
        """A run ends; when the rule learns of it."""

    def learn(self, order: Order, began: datetime, now: datetime) -> Answer:
        """The rule learns that a run has ended."""
