"""Restraints: the facts for the rungs between `cooldown` and `observed`."""

from dataclasses import dataclass
from datetime import datetime

from receiver.core.approvals import Approval
from receiver.core.budgets import Usage
from receiver.core.storms import ALONE, Gathering


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a model's present episode.

    Attributes:
        count: Those that were started, or may have been.
        without_effect: Those that ended well and settled, and the model fires all the same.

    """

    count: int = 0
    without_effect: int = 0


@dataclass(frozen=True, slots=True)
class Restraints:
    """What is known beyond pause, flight and cooldown; read only for policies that ask for it.

    Attributes:
        released_at: When an operator last released the policy's models from a storm.
        gathering: The models that began to fire together with this one.
        spent: How much of each limit of the policy's budget is used.
        approval: The question or answer that is in force in the present episode.

    """

    episode_started_at: datetime | None = None
    runs: Runs = Runs()
    released_at: datetime | None = None
    gathering: Gathering = ALONE
    spent: tuple[Usage, ...] = ()
    approval: Approval | None = None

    @property
    def approved(self) -> bool:
        """Whether a human said yes to one run."""
        return self.approval is not None and self.approval.approved is True

    @property
    def rejected(self) -> bool:
        """Whether a human said no for this episode."""
        return self.approval is not None and self.approval.approved is False
