"""Values of the intake: a matched notification before, its receipt after the commit."""

from dataclasses import dataclass

from receiver.core.alerts import Notification, Source
from receiver.core.decisions import Decision
from receiver.core.policy_set import Matched, PolicySet


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification on its way in, and who sent it.

    Attributes:
        matched: Its alerts with their policies and models, found by `policy_set`.
        told_by: The source that was asked; None for what came unasked.

    """

    notification: Notification
    matched: tuple[Matched, ...]
    policy_set: PolicySet
    source: Source
    sender: str
    told_by: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one notification: one decision per alert, in the alerts' order.

    Attributes:
        recovered: Models that a run has helped, as this notification shows.

    """

    notification_id: str
    decisions: tuple[Decision, ...]
    recovered: tuple[str, ...] = ()
