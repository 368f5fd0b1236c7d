"""Delivers announcements to subscribers: at least once, with retries, until they are given up."""

from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core.announcements import Announcement, AnnouncementState, NotDelivered, next_try
from receiver.core.ports import Announcer
from receiver.store.store import Store
from receiver.telemetry import announcement_tries, log

LEASE = timedelta(minutes=2)
"""Longer than any sending, which promises to end within one."""


ROLLING = timedelta(minutes=10)
"""How long replicas may have different configurations in a rolling update: one of them may know
a subscriber that the others don't."""


def announce_next(store: Store, subscriber: str, announcer: Announcer | None) -> bool:
    """Send the next due announcement to a subscriber. False when none was.

    Without an announcer the subscriber is gone from the configuration: nobody waits for it long.
    """
    with store.begin() as tx:
        now = tx.now()
        announcement = tx.claim_announcement(subscriber, now=now, lease=LEASE)
    if announcement is None:
        return False
    _close(store, announcement, _send(announcer, announcement, now))
    return True


def _send(
    announcer: Announcer | None, announcement: Announcement, now: datetime
) -> NotDelivered | None:
    if announcer is None:
        gone = f"subscriber {announcement.subscriber} is gone from the configuration"
        return NotDelivered(gone, hopeless=now - announcement.at > ROLLING)
    try:
        announcer.send(announcement, now)
    except NotDelivered as problem:
        return problem
    return None


def _close(store: Store, announcement: Announcement, error: NotDelivered | None) -> None:
    with store.begin() as tx:
        now = tx.now()
        again = None if error is None else next_try(announcement.tries, error, now)
        changed = replace(
            announcement,
            due_at=again or now,
            ended_at=None if again else now,
            detail="" if error is None else str(error),
            status_code=None if error is None else error.status_code,
        )
        if error is None:
            changed = replace(changed, state=AnnouncementState.DELIVERED)
        elif again is None:
            changed = replace(changed, state=AnnouncementState.GIVEN_UP)
        if not tx.save_announcement(changed):
            return  # our lease ended while it hung, and somebody else has sent it meanwhile
    _tell(changed)


def _tell(changed: Announcement) -> None:
    failed = changed.state is AnnouncementState.PENDING
    result = "failed" if failed else changed.state.value
    announcement_tries.labels(changed.subscriber, result).inc()
    about = {
        "announcement_id": changed.id,
        "subscriber": changed.subscriber,
        "kind": changed.kind.value,
        "model": changed.model,
        "tries": changed.tries,
    }
    if changed.state is AnnouncementState.DELIVERED:
        log().info("announcement_delivered", **about)
    elif failed:
        log().warning("announcement_failed", detail=changed.detail, **about)
    else:
        log().error("announcement_given_up", detail=changed.detail, **about)
