"""Values of the intake: a matched notification before, its receipt after the commit."""

from dataclasses import dataclass, replace

from receiver.core.alerts import Notification, Source
from receiver.core.decisions import Decision
from receiver.core.policy_set import Matched, PolicySet


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification on its way in, and who sent it.

    Attributes:
        matched: Its alerts with their policies and models, found by `policy_set`; of a part, those
            that are in it.
        told_by: The source that was asked; None for what came unasked.
        begun: What became of the parts before it; None if nothing is stored yet.
        is_last: Whether no part follows.

    """

    notification: Notification
    matched: tuple[Matched, ...]
    policy_set: PolicySet
    source: Source
    sender: str
    told_by: str | None = None
    begun: "Receipt | None" = None
    is_last: bool = True

    def part(self, begun: "Receipt | None", most: int) -> "Arrival":
        """The part behind what is stored already, of so many alerts at most."""
        start = 0 if begun is None else len(begun.decisions)
        matched = self.matched[start : start + most]
        is_last = start + most >= len(self.matched)
        return replace(self, matched=matched, begun=begun, is_last=is_last)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one notification: one decision per alert, in the alerts' order.

    Attributes:
        recovered: Models that a run has helped, as this notification shows.

    """

    notification_id: str
    decisions: tuple[Decision, ...]
    recovered: tuple[str, ...] = ()

    def after(self, begun: "Receipt | None") -> "Receipt":
        """The same, with what the parts before it brought."""
        if begun is None:
            return self
        return Receipt(
            self.notification_id,
            (*begun.decisions, *self.decisions),
            (*begun.recovered, *self.recovered),
        )
