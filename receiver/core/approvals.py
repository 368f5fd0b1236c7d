"""Approvals: a question to a human about one model, and the answer."""

from dataclasses import dataclass, replace
from datetime import datetime

from receiver.core.dispatches import DispatchState
from receiver.core.models import LatestDispatch

UNUSED = frozenset({DispatchState.REFUSED, DispatchState.SUPERSEDED})
"""Ends of a dispatch that surely started no run: the approval it used is there again."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A question about a model, and a human's answer.

    Attributes:
        episode_started_at: The episode that it is about; in the next one it says nothing.
        rung: The rung that asked.
        expires_at: Until when it can be answered, and once approved be used. None: while the
            episode lasts.
        approved: None while nobody has answered.
        dispatch_id: The dispatch that used it up.

    """

    model: str
    episode_started_at: datetime
    rung: str
    asked_at: datetime
    expires_at: datetime | None = None
    approved: bool | None = None
    answered_at: datetime | None = None
    actor: str | None = None
    comment: str | None = None
    dispatch_id: str | None = None

    @property
    def answer(self) -> str | None:
        """The answer in a word."""
        return {None: None, True: "approved", False: "rejected"}[self.approved]

    def used_by(self, dispatch_id: str) -> "Approval":
        """The same, after a dispatch was ordered: one approval is one run."""
        return replace(self, dispatch_id=dispatch_id)


def in_force(
    approval: Approval | None,
    episode_started_at: datetime | None,
    latest: LatestDispatch | None,
    now: datetime,
) -> Approval | None:
    """The question or answer, if it still says something about the present episode."""
    if approval is None or approval.episode_started_at != episode_started_at:
        return None
    if approval.expires_at is not None and approval.expires_at <= now:
        return None
    if approval.dispatch_id is None:
        return approval
    mine = latest is not None and latest.id == approval.dispatch_id
    return approval if mine and latest is not None and latest.state in UNUSED else None
