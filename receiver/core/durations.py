"""Durations as Prometheus writes them: `30s`, `1h30m`, `2d`."""

import re
from datetime import timedelta
from functools import lru_cache

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
"""From long to short; a compound duration names them in this order."""

LONGEST = timedelta(days=36_500)
"""A hundred years: any moment plus a duration must stay a moment."""

_DURATION = re.compile("".join(rf"(?:([0-9]{{1,18}}){unit})?" for unit in UNITS))


def parse_duration(text: object) -> timedelta:
    """Read a duration such as `30m`, `6h`, `2d` or `1h30m`. Raises `ValueError`."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if text == "0":
        return timedelta(0)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration; write 30m, 6h or 2d")
    span = timedelta(0)
    for unit, number in zip(UNITS.values(), match.groups(), strict=True):
        # Compared before it is multiplied: timedelta itself overflows.
        if int(number or 0) > (LONGEST - span) / unit:
            raise ValueError(f"{text!r} is longer than 100 years; write 30m, 6h or 2d")
        span += int(number or 0) * unit
    return span


def format_duration(span: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same again, to the millisecond."""
    rest, parts = max(span, timedelta(0)), []
    for name, unit in UNITS.items():
        number, rest = divmod(rest, unit)
        if number and name != "w":
            parts.append(f"{number}{name}")
        elif number:
            rest += number * unit
    return "".join(parts) or "0s"


@lru_cache(1024)  # alerts that one notification brought are told the same
def show_duration(span: timedelta) -> str:
    """Write a duration for a sentence, in at most two units: `2d4h`, `3h12m`, `12m30s`, `45s`.

    What is left over is cut off, so that the text never claims more time than there is.
    """
    seconds = int(abs(span).total_seconds())
    sign = "-" if span < timedelta(0) and seconds else ""
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        parts = ((days, "d"), (hours, "h"))
    elif hours:
        parts = ((hours, "h"), (minutes, "m"))
    else:
        parts = ((minutes, "m"), (seconds % 60, "s"))
    return sign + ("".join(f"{number}{unit}" for number, unit in parts if number) or "0s")
