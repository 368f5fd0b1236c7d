"""The log: nothing acknowledged is missing (G1), nothing changes once written (G6)."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from receiver.core.decisions import SKIPS
from receiver.store.store import Store
from receiver.store.tables import notifications
from receiver.store.views.paging import MOST_ROWS
from tests.simulation.history import Lived
from tests.simulation.plans import USUAL_AGES
from tests.simulation.replicas import RETENTION_PACE
from tests.simulation.violations import Violation, Violations
from tests.simulation.world import Kind, Note

ASKED_BACK, MOST_MOMENTS = timedelta(minutes=30), 3
"""The log is asked for what came so shortly before and after a clock was set back, so often."""

FORGOTTEN_WITHIN = timedelta(seconds=RETENTION_PACE) + timedelta(minutes=30)
"""What is too old is deleted at the next look, unless a process died then."""

BEFORE_ANSWER = timedelta(minutes=5)
"""So long before its acknowledgement a notification was taken in at most."""

SKIPPED = {reason.value for reason in SKIPS}

KEPT = ("id", "source", "model", "fingerprint", "status", "starts_at", "reason", "dispatch_id")


def check_log(lived: Lived, store: Store, found: Violations) -> None:
    """Read the log back, and compare it with what was said."""
    rows = all_decisions(store)
    by_id = {row.id: row for row in rows}
    of_notification: dict[str, list[Any]] = defaultdict(list)
    for row in reversed(rows):
        if row.notification_id is not None:
            of_notification[row.notification_id].append(row)
    with store._reading() as db:
        bodies: dict[str, list[str]] = defaultdict(list)
        for row in db.execute(notifications.select()):
            bodies[row.body.decode()].append(row.id)
    kept = Kept(lived)
    for note in lived.notes:
        if note.kind is Kind.DECISION:
            _unchanged(note, by_id, kept, found)
        elif note.kind is Kind.ACK and not kept.may_forget_notification(note):
            _complete(note, of_notification, bodies, found)
    _in_order(lived, found)
    _in_spans(lived, store, rows, found)
    if lived.broken is None:
        kept.check_forgotten(rows, lived, found)


class Kept:
    """What may be deleted, and what must have been, by the ages that a history keeps things for.

    By the usual ones nothing is so old: what a clock made of it that was ahead is no reason.
    """

    def __init__(self, lived: Lived) -> None:
        self._ages = lived.plan.kept
        self._forgets = self._ages != USUAL_AGES
        self._latest = max(lived.wall, *(note.wall for note in lived.notes))
        self._end = lived.wall

    def may_forget(self, reason: str, decided_at: datetime) -> bool:
        """Whether a decision may be gone."""
        return self._forgets and decided_at < self._latest - self._age(reason)

    def may_forget_notification(self, note: Note) -> bool:
        """Whether something of what was acknowledged then may be gone."""
        shortest = min(self._ages.decisions, self._ages.skips, self._ages.notifications)
        return self._forgets and note.wall < self._latest - shortest + BEFORE_ANSWER

    def check_forgotten(self, rows: list[Any], lived: Lived, found: Violations) -> None:
        """Nothing stays for good: how much was too old counts for nothing."""
        for row in rows:
            if row.decided_at < self._end - self._age(row.reason) - FORGOTTEN_WITHIN:
                said = f"decision {row.id} of {row.decided_at} is kept for ever"
                found.found.append(Violation("kept", lived.ended, said))

    def _age(self, reason: str) -> timedelta:
        return self._ages.skips if reason in SKIPPED else self._ages.decisions


def all_decisions(
    store: Store, since: datetime | None = None, until: datetime | None = None
) -> list[Any]:
    """The whole log, or that of a span, newest first."""
    rows: list[Any] = []
    before: int | None = None
    while True:
        with store.view() as view:
            page = view.decisions.page(
                {}, since=since, until=until, before=before, limit=MOST_ROWS
            )
        rows += page.rows
        if page.next_cursor is None:
            return rows
        before = int(page.next_cursor)


def _unchanged(note: Note, by_id: dict[int, Any], kept: Kept, found: Violations) -> None:
    row = by_id.get(note.data["id"])
    if row is None:
        if not kept.may_forget(note.data["reason"], note.data["decided_at"]):
            found.add("G6", note, "a decision is gone")
    elif any(getattr(row, name) != note.data[name] for name in KEPT):
        found.add("G6", note, "a decision was changed")


def _complete(
    note: Note,
    of_notification: dict[str, list[Any]],
    bodies: dict[str, list[str]],
    found: Violations,
) -> None:
    notification, receipt = note.data
    stored = [of_notification[one] for one in bodies[notification.body.decode()]]
    told = [(one.fingerprint, one.status, one.starts_at) for one in notification.alerts]
    if not any([(r.fingerprint, r.status, r.starts_at) for r in rows] == told for rows in stored):
        found.add("G1", note, "an acknowledged alert has no decision")
    if receipt is not None:
        said = [(one.id, one.reason) for one in receipt.decisions]
        held = of_notification[receipt.notification_id]
        if said != [(row.id, row.reason) for row in held]:
            found.add("G1", note, "the answer says something else than the log")


def _in_order(lived: Lived, found: Violations) -> None:
    """With one replica an id is larger than all that were committed before it."""
    last = 0
    for note in lived.notes:
        if note.kind is Kind.DECISION and lived.plan.replicas == 1:
            if note.data["id"] <= last:
                found.add("G6", note, "a decision stands before an older one")
            last = max(last, note.data["id"])


def _in_spans(lived: Lived, store: Store, rows: list[Any], found: Violations) -> None:
    """What is asked for by its time is answered by its time, whatever clocks made of the ids."""
    backs = [note for note in lived.notes if note.kind is Kind.CLOCK and note.data < 0]
    for note in backs[:MOST_MOMENTS]:
        for since, until in (
            (note.wall - ASKED_BACK, note.wall + ASKED_BACK),
            (note.wall, None),
            (None, note.wall + ASKED_BACK),
        ):
            wanted = [row.id for row in rows if _is_within(row.decided_at, since, until)]
            if [row.id for row in all_decisions(store, since, until)] != wanted:
                found.add("log", note, f"asked for {since} to {until} it shows other decisions")


def _is_within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= moment) and (until is None or moment < until)
