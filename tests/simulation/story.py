"""Tells the story of a history: what happened, in order, and what should not have."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from tests.simulation.history import Lived
from tests.simulation.violations import Violation
from tests.simulation.world import Note


def tell(lived: Lived, violations: Sequence[Violation]) -> Iterator[str]:
    """One line for each thing that happened; a promise that broke stands where it broke."""
    yield f"seed {lived.plan.seed}; true time, deciding clock, who, what"
    broken = list(violations)
    for note in lived.notes:
        while broken and broken[0].at < note.at:
            yield told(broken.pop(0))
        yield line(note)
    yield from (told(violation) for violation in broken)
    yield f"{len(violations)} promises broken" if violations else "every promise was kept"


def line(note: Note) -> str:
    """One thing that happened."""
    at = elapsed(note.at)
    return f"{at} {note.wall:%d %H:%M:%S} {note.who:<10} {note.kind:<8} {note.text}"


def told(violation: Violation) -> str:
    """A promise that broke."""
    return f"{elapsed(violation.at)} !!! {violation.promise} is broken: {violation.text}"


def elapsed(seconds: float) -> str:
    """Hours, minutes, seconds since the history began."""
    whole = timedelta(seconds=int(seconds))
    hours, rest = divmod(int(whole.total_seconds()), 3600)
    return f"{hours:3}h{rest // 60:02}m{rest % 60:02}s"
