"""Builds the timeline from the log; repeats of a model within an episode become one entry."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from receiver.core.decisions import Reason
from receiver.core.run_ends import RunEnd
from receiver.store.views.decisions import StoredDecision

NEVER_FOLDED = frozenset({Reason.TRIGGERED.value, Reason.OPERATOR.value})
"""Each of these did something of its own."""


@dataclass(slots=True)
class StoryLine:
    """One line of the story: a decision, and the like ones of the same model before it.

    Attributes:
        newest: The latest of them, which is shown.
        older: The others, newest first.

    """

    newest: StoredDecision
    older: list[StoredDecision] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many decisions it stands for."""
        return 1 + len(self.older)

    @property
    def oldest(self) -> StoredDecision:
        """The first of them."""
        return self.older[-1] if self.older else self.newest

    @property
    def alertnames(self) -> list[str]:
        """The alerts that they were about."""
        return sorted({row.alertname for row in [self.newest, *self.older] if row.alertname})


@dataclass(frozen=True, slots=True)
class RunEndLine:
    """One line of the story: a run ended."""

    end: RunEnd


def weave(
    lines: Sequence[StoryLine], ends: Iterable[RunEnd], since: datetime | None
) -> Sequence[StoryLine | RunEndLine]:
    """Put the ends of runs between the decisions, newest first; those since then."""
    told = [RunEndLine(end) for end in ends if since is None or end.ended_at >= since]
    return sorted([*lines, *told], key=_moment, reverse=True)


def _moment(line: StoryLine | RunEndLine) -> datetime:
    return line.end.ended_at if isinstance(line, RunEndLine) else line.newest.decided_at


def fold(rows: Iterable[StoredDecision]) -> Sequence[StoryLine]:
    """Fold decisions, newest first.

    A run of like decisions about one model ends where something else was decided about it: the
    end of an episode (`resolved`, `expired`) too.
    """
    entries: list[StoryLine] = []
    open_entries: dict[str, StoryLine] = {}
    for row in rows:
        subject = row.model or f"\0{row.alertname}"
        entry = open_entries.get(subject)
        if entry is not None and _alike(entry.newest, row):
            entry.older.append(row)
            continue
        entry = open_entries[subject] = StoryLine(row)
        entries.append(entry)
    return entries


def _alike(one: StoredDecision, other: StoredDecision) -> bool:
    return one.reason not in NEVER_FOLDED and (one.reason, one.policy, one.dispatch_id) == (
        other.reason,
        other.policy,
        other.dispatch_id,
    )
