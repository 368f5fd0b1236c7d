"""Announcements: messages to subscribers, their states and the waits between retries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What an announcement is about. Stored and sent: never rename one."""

    TRIGGERED = "triggered"  # a run was ordered
    PARKED = "parked"  # a human must look at a dispatch
    REFUSED = "refused"  # the target said no for good
    APPROVAL = "approval"  # a human must say yes first
    EXHAUSTED = "exhausted"  # retrained often, and it still fires
    TARGET_FAILING = "target_failing"  # a target starts nothing or shows no run: told once
    RECOVERED = "recovered"  # the model's last alert was resolved after a run


class AnnouncementState(StrEnum):
    """Where an announcement stands. Stored and shown: never rename one."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who is told what.

    Attributes:
        about: The kinds it wants.
        policies: The policies whose models it wants to hear about; None for all.

    """

    name: str
    about: frozenset[Kind] = frozenset(Kind)
    policies: frozenset[str] | None = None

    def wants(self, kind: Kind, policy: str | None) -> bool:
        """Whether it is told about this."""
        return kind in self.about and (self.policies is None or policy in self.policies)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing told to one subscriber.

    Attributes:
        id: 26 lower-case characters; the receiver knows a repeat by it.
        at: When it happened.
        data: What is told about it; JSON.
        tries: How often it was sent, or tried to.
        claim: Number of the claim; closing writes of an older claim change nothing.
        detail: Why the last try failed.

    """

    id: str
    subscriber: str
    kind: Kind
    model: str
    policy: str | None
    at: datetime
    data: Mapping[str, str | float | bool | None]
    due_at: datetime
    state: AnnouncementState = AnnouncementState.PENDING
    tries: int = 0
    claim: int = 0
    detail: str = ""
    status_code: int | None = None
    ended_at: datetime | None = None


class NotDelivered(Exception):
    """The subscriber did not say yes; the message is one sentence, without secrets.

    Attributes:
        status_code: The HTTP status, if it answered.
        retry_after: How long it asked us to wait, if it did.
        hopeless: It said that it never will (410 Gone).

    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        retry_after: timedelta | None = None,
        hopeless: bool = False,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retry_after = retry_after
        self.hopeless = hopeless


_SECONDS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)

WAITS = tuple(timedelta(seconds=seconds) for seconds in _SECONDS)
"""Between tries, as Standard Webhooks advises: ten tries within three and a half days."""


def next_try(tries: int, error: NotDelivered, now: datetime) -> datetime | None:
    """When to try again after so many tries failed; None if never.

    The subscriber's own wish counts if it is longer, up to a day.
    """
    if error.hopeless or tries > len(WAITS):
        return None
    wait = WAITS[tries - 1]
    return now + max(wait, min(error.retry_after or wait, WAITS[-1]))
