"""Our own log as a history: what we were told fired, from its beginning to its end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from receiver.backtest.histories import BadHistory, Firing, History, PastRun, history_of
from receiver.core.alerts import AlertStatus
from receiver.core.decisions import Reason
from receiver.core.run_ends import Effect, RunEnd
from receiver.store.store import Store
from receiver.store.views.decisions import StoredDecision
from receiver.store.views.paging import MOST_ROWS

ENDS = frozenset({Reason.RESOLVED.value, Reason.EXPIRED.value})

HELPED = {Effect.RECOVERED: True, Effect.NO_EFFECT: False, Effect.REJECTED: False}
"""Other effects tell nothing about whether a run would help."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a decision says about when an alert fired."""

    decided_at: datetime
    reason: str
    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime | None


@dataclass(slots=True)
class _Open:
    """An alert as far as the log was read."""

    labels: Mapping[str, str]
    began: datetime | None
    firings: list[Firing]


def history_from_log(entries: Iterable[LogEntry], runs: Iterable[PastRun] = ()) -> History:
    """The firings that decisions speak of, oldest decision first. Raises `BadHistory`."""
    alerts: dict[str, _Open] = {}
    since = until = None
    for entry in entries:
        since, until = since or entry.decided_at, entry.decided_at
        if entry.fingerprint and entry.starts_at is not None and entry.labels:
            _follow(alerts, entry, entry.starts_at)
    if since is None or until is None:
        raise BadHistory("the log has no decisions; look at `retention.decisions`, or wait")
    found = [
        (one.labels, [*one.firings, *([Firing(one.began, None)] if one.began else [])])
        for one in alerts.values()
    ]
    began = min((f.began for _, firings in found for f in firings), default=since)
    note = (
        "our log knows an alert's end when it was told: up to group_interval late, and not at all "
        "if nobody said `resolved` before alert_expiry; what ended because a run helped is taken "
        "to end by itself"
    )
    return history_of(min(since, began), until, found, [note], runs)


def _follow(alerts: dict[str, _Open], entry: LogEntry, starts_at: datetime) -> None:
    known = alerts.setdefault(entry.fingerprint, _Open(entry.labels, None, []))
    if entry.reason in ENDS:
        # A `resolved` that we hear of first: the receiver began, or the log was cut, in between.
        began = known.began or (starts_at if not known.firings else None)
        if began is not None and entry.decided_at > began:
            known.firings.append(Firing(began, entry.decided_at))
        known.began = None
    elif known.began is None and entry.reason != Reason.OPERATOR.value:
        last = known.firings[-1].ended if known.firings else None
        known.began = starts_at if last is None else max(starts_at, last)


def history_in_store(store: Store, since: datetime, most: int | None = None) -> History:
    """The history that the database remembers, or its newest `most` decisions tell.

    Raises `BadHistory`.
    """
    entries, cut = _entries(store, since, most)
    history = history_from_log(reversed(entries), _runs(store, since))
    if not cut:
        return history
    note = f"only the newest {most:,} decisions of the log were read: older ones are left out"
    return replace(history, notes=(*history.notes, note))


def _entries(store: Store, since: datetime, most: int | None) -> tuple[list[LogEntry], bool]:
    """Decisions newest first, as the log is read; and whether older ones were left out.

    What is kept of each is little: the labels of an alert are the same each time.
    """
    found: list[LogEntry] = []
    labels: dict[str, Mapping[str, str]] = {}
    before: int | None = None
    read = 0
    while True:
        limit = MOST_ROWS if most is None else min(MOST_ROWS, most - read)
        with store.view() as view:
            page = view.decisions.page({}, since=since, before=before, limit=limit)
        found += [_entry(row, labels) for row in page.rows if _tells(row)]
        read += len(page.rows)
        if page.next_cursor is None or read == most:
            return found, page.next_cursor is not None
        before = int(page.next_cursor)


def _tells(row: StoredDecision) -> bool:
    """Whether a row says something that the rows before it did not."""
    return row.status == AlertStatus.RESOLVED.value or row.reason not in {
        Reason.DUPLICATE.value,
        Reason.OPERATOR.value,
        Reason.INVALID.value,
    }


def _entry(row: StoredDecision, known: dict[str, Mapping[str, str]]) -> LogEntry:
    labels = known.setdefault(row.fingerprint, row.labels) if row.labels else {}
    return LogEntry(row.decided_at, row.reason, row.fingerprint, labels, row.starts_at)


def _runs(store: Store, since: datetime) -> list[PastRun]:
    with store.view() as view:
        now = view.now
        return [past_run(end, sent_at, now) for end, sent_at in view.dispatches.ended_since(since)]


def past_run(end: RunEnd, sent_at: datetime | None, now: datetime) -> PastRun:
    """A run that ended, as a model of runs learns from it."""
    took = None if sent_at is None else end.ended_at - sent_at
    helped = HELPED.get(end.effect(now))
    return PastRun(end.policy, end.model, end.created_at, took, helped)
