"""What the checker found."""

from dataclasses import dataclass, field

from tests.simulation.world import Note

UNFORESEEN = "unforeseen error"
"""Beside the promises: an exception that ended a history."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: which, when, and how."""

    promise: str
    at: float
    text: str


@dataclass(slots=True)
class Violations:
    """All of one history."""

    found: list[Violation] = field(default_factory=list)

    def add(self, promise: str, note: Note, text: str) -> None:
        """Note one, with what happened just then."""
        self.found.append(Violation(promise, note.at, f"{text}: {note.text}"))
