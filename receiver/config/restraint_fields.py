"""Types of single settings of the rungs below `cooldown`: hours, attempts, limits, costs."""

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator

from receiver.config.fields import checked_by
from receiver.core.durations import parse_duration
from receiver.core.windows import DAYS, MIDNIGHT, Hours

MOST_ATTEMPTS = 1000
MOST_BACKOFF = 100
MOST_AMOUNT = 1e12

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS = re.compile(
    r"(?:(?P<days>[a-z][a-z,-]*))?"
    r" ?(?:(?P<start>([01][0-9]|2[0-3]):[0-5][0-9])-(?P<end>([01][0-9]|2[0-3]):[0-5][0-9]|24:00))?"
)


def _attempts(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_ATTEMPTS:
        raise ValueError(f"{value!r} is not a number of runs; write 3, or another from 1 to 1000")
    return value


def _backoff(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 1 <= float(str(value)) <= MOST_BACKOFF:
        raise ValueError(f"{value!r} is not a factor; write 2, or another number from 1 to 100")
    return float(str(value))


def _location(name: str) -> str:
    try:
        zone_of(name)
    except (ValueError, OSError, KeyError):
        near = get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write one such as Europe/Berlin or UTC"
        raise ValueError(f"{name!r} is not a time zone; {hint}") from None
    return name


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name, from the system or from the package tzdata."""
    return ZoneInfo(name)


def parse_hours(text: str) -> Hours:
    """Read `mon-fri 20:00-06:00`, `sat,sun` or `20:00-06:00`. Raises `ValueError`."""
    match = _HOURS.fullmatch(text.strip().lower())
    if not text.strip() or match is None:
        raise ValueError(f"{text!r} is not a window; write mon-fri 20:00-06:00, sat,sun or daily")
    days = frozenset(range(len(DAYS)))
    if match["days"] not in (None, "daily"):
        days = frozenset(day for part in match["days"].split(",") for day in _days(part, text))
    if match["start"] is None:
        return Hours(days)
    start, end = _minutes(match["start"]), _minutes(match["end"])
    if start == end:
        raise ValueError(
            f"{text!r} begins and ends at the same time; leave the hours out for the whole day"
        )
    return Hours(days, start, end)


def _days(part: str, text: str) -> list[int]:
    """Read `mon` or `fri-mon`."""
    try:
        first, *last = [_WEEKDAYS.index(_whole(name)) for name in part.split("-")]
    except ValueError:
        first, last = 0, [0, 0]
    if len(last) > 1:
        raise ValueError(f"{part!r} in {text!r} is not a day; write {', '.join(DAYS)} or mon-fri")
    length = (last[0] - first) % len(DAYS) if last else 0
    return [(first + number) % len(DAYS) for number in range(length + 1)]


def _whole(name: str) -> str:
    return _WEEKDAYS[DAYS.index(name)] if name in DAYS else name


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return min(int(hour) * 60 + int(minute), MIDNIGHT)


def _allowed_hours(texts: list[str]) -> list[str]:
    if not texts:
        raise ValueError("is empty, so that no run could ever start; write [mon-fri 20:00-06:00]")
    return texts


def parse_run_cap(text: str) -> tuple[int, timedelta]:
    """Read `4 in 7d`. Raises `ValueError`."""
    match = re.fullmatch(r"([1-9][0-9]{0,5}) in (\S+)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number of runs in a time; write 4 in 7d")
    return int(match[1]), _some_span(match[2], text)


def parse_cost_cap(text: str) -> tuple[float, str, timedelta]:
    """Read `500 EUR in 30d`. Raises `ValueError`."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) (\S{1,20}) in (\S+)", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"{text!r} is not an amount in a time; write 500 EUR in 30d")
    return float(match[1]), match[2], _some_span(match[3], text)


def _some_span(span: str, text: str) -> timedelta:
    length = parse_duration(span)
    if not length:
        raise ValueError(f"{text!r} has no length; write a duration such as 7d")
    return length


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _amount(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < float(str(value)) <= MOST_AMOUNT:
        raise ValueError(f"{value!r} is not an amount; write a number such as 12.5")
    return float(str(value))


def _unit(text: str) -> str:
    if re.fullmatch(r"\S{1,20}", text) is None:
        raise ValueError(f"{text!r} is not a unit; write one word such as EUR or gpu-hours")
    return text


def _when_spent(value: object) -> str:
    if value not in (HOLD, ASK):
        raise ValueError(f"{value!r} is neither; write hold, or ask to let a human approve more")
    return str(value)


HOLD, ASK = "hold", "ask"

RunCaps = Annotated[list[Annotated[str, checked_by(parse_run_cap)]], BeforeValidator(_listed)]
CostCaps = Annotated[list[Annotated[str, checked_by(parse_cost_cap)]], BeforeValidator(_listed)]
Amount = Annotated[float, BeforeValidator(_amount)]
Unit = Annotated[str, AfterValidator(_unit)]
WhenSpent = Annotated[str, BeforeValidator(_when_spent)]
Attempts = Annotated[int, BeforeValidator(_attempts)]
Backoff = Annotated[float, BeforeValidator(_backoff)]
Location = Annotated[str, AfterValidator(_location)]
AllowedHours = Annotated[
    list[Annotated[str, checked_by(parse_hours)]], AfterValidator(_allowed_hours)
]
