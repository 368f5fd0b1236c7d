"""Moments as text: RFC 3339 in UTC for machines, the time of day for sentences."""

import re
from datetime import UTC, datetime

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(text: str) -> datetime:
    """Read RFC 3339, to the microsecond, as a moment in UTC. Raises `ValueError`."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a time; write 2026-11-22T09:14:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is outside the calendar") from None


def stamp(moment: datetime | None) -> str | None:
    """Write RFC 3339 in UTC, to the microsecond."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def clock_time(moment: datetime | None, now: datetime) -> str:
    """Write a moment for a sentence: the time of day, with the date unless it is today's."""
    if moment is None:
        return "an unknown time"
    form = "%H:%M UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(form)


def read_clock_time(text: str, now: datetime) -> datetime | None:
    """Read what `clock_time` wrote then; None if it is something else. Seconds are lost."""
    for form in ("%Y-%m-%d %H:%M UTC", "%H:%M UTC"):
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return found if "%Y" in form else datetime.combine(now.date(), found.timetz())
    return None
