"""The log: nothing acknowledged is missing (G1), nothing changes once written (G6)."""

from collections import defaultdict
from typing import Any

from receiver.store.store import Store
from receiver.store.tables import notifications
from receiver.store.views.paging import MOST_ROWS
from tests.simulation.history import Lived
from tests.simulation.violations import Violations
from tests.simulation.world import Kind, Note

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
    for note in lived.notes:
        if note.kind is Kind.DECISION:
            _unchanged(note, by_id, found)
        elif note.kind is Kind.ACK:
            _complete(note, of_notification, bodies, found)
    _in_order(lived, found)


def all_decisions(store: Store) -> list[Any]:
    """The whole log, newest first."""
    rows: list[Any] = []
    before: int | None = None
    while True:
        with store.view() as view:
            page = view.decisions.page({}, before=before, limit=MOST_ROWS)
        rows += page.rows
        if page.next_cursor is None:
            return rows
        before = int(page.next_cursor)


def _unchanged(note: Note, by_id: dict[int, Any], found: Violations) -> None:
    row = by_id.get(note.data["id"])
    if row is None:
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
