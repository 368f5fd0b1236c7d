"""Parses one entry of `alerts` into an `Alert`; a broken one becomes an alert with a problem."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema

from receiver.alertmanager.tolerant import clean_all, members_by_name, readable, readables
from receiver.core.alerts import LABELS_BYTES, VALUE, Alert, AlertStatus
from receiver.core.fingerprints import fingerprint_of
from receiver.core.numbers import finite_or_none, numbers_of, read_number
from receiver.core.policies import shown
from receiver.json_text import encode


class AllStrings:
    """Tells pydantic to stop at the first member that is no string.

    Otherwise a million wrong ones leave a million complaints. Its own `FailFast` can't be joined
    to None, and before 2.14 it is for lists only; older ones ignore what we say here.
    """

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Describe a mapping of strings."""
        return cast("CoreSchema", {**handler(source), "fail_fast": True})


Texts = Annotated[dict[str, str], AllStrings]
"""Labels or annotations."""


Annotations = Annotated[Texts, AfterValidator(numbers_of)]
"""Annotations; only numbers are kept. The rest is half of what a usual alert takes in memory."""


def _the_only_number(values: object) -> float | None:
    """The number of an alert that Grafana manages, if there is one only.

    Of several it can't be told which is the metric and which a threshold's yes or no: then the
    annotation `value` says it.
    """
    if not isinstance(values, dict) or len(values) != 1:
        return None
    (number,) = values.values()
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return finite_or_none(number) if is_number else None


Values = Annotated[Any, AfterValidator(_the_only_number)]
"""What Grafana calls the numbers of an alert's queries, by their names."""

STATUSES = {str(status): status for status in AlertStatus}

TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,30})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
LAST_YEAR = 9999
"""Such a time leaves the calendar as soon as a span is added or its zone changes."""

FINGERPRINT = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}")

WIDEST = 12
"""Bytes that a character takes in ASCII at most: two escapes of six."""

MOST_GROWTH = 3
"""By so much text grows at most when it is written in ASCII: a character of two or four bytes."""

LONGEST_ALERTNAME = 200  # of an alert whose labels are cut

MANY_MEMBERS = 10_000
LEAST_BYTES = 16
"""Alertmanager needs 26 to 70 bytes for a member. Read in one go, 10 MB of tiny ones would become
up to 1 GB of objects."""


@dataclass(slots=True, config=ConfigDict(populate_by_name=True))
class Entry:
    """An entry of `alerts`: the fields that we read.

    A pydantic model takes 1 KB more: a group of 20,000 is read in one go.
    """

    status: str | None = None
    labels: Texts | None = None
    annotations: Annotations | None = None
    starts_at: str | None = Field(default=None, validation_alias="startsAt")
    ends_at: str | None = Field(default=None, validation_alias="endsAt")
    fingerprint: str | None = None
    values: Values = None


ENTRY = TypeAdapter(Entry)


def read_alert(
    entry: Entry, position: int, problem: str | None = None, *, long: bool = False
) -> Alert:
    """Turn an entry into an alert; the first thing that is wrong with it is its problem.

    `long` says that its labels may be over their bound; most bodies are too short for that.
    """
    problems = [] if problem is None else [problem]
    size = _size_over_bound(entry.labels) if long and entry.labels else 0
    if size:
        problems.append(f"its labels take {size:,} bytes as JSON, more than {LABELS_BYTES:,}")
    status = STATUSES.get(entry.status or "")
    if status is None:
        problems.append(_unusable("status", entry.status, "not firing or resolved"))
    starts_at = _time_or_problem("startsAt", entry.starts_at, problems)
    if starts_at is None and status is AlertStatus.FIRING and not problems:
        problems.append("startsAt is year 1, which means never, but it fires")
    ends_at = None
    if entry.ends_at is not None:
        ends_at = _time_or_problem("endsAt", entry.ends_at, problems)
    if entry.labels is None:
        problems.append("labels are missing")
    fingerprint = entry.fingerprint or ""
    if fingerprint and FINGERPRINT.fullmatch(fingerprint) is None:
        problems.append(_unusable("fingerprint", fingerprint, "not 1 to 128 plain characters"))
        fingerprint = ""
    if not problems:
        # Scripts and adapters give many alerts one fingerprint, which would then be one alert.
        fingerprint = fingerprint_of(entry.labels or {})
    annotations = entry.annotations or {}
    return Alert(
        status=status,
        labels=_only_alertname(entry.labels) if size and entry.labels else entry.labels or {},
        starts_at=starts_at,
        ends_at=None if status is AlertStatus.FIRING else ends_at,
        fingerprint=fingerprint,
        value=read_number(annotations[VALUE]) if VALUE in annotations else entry.values,
        numbers=_other_numbers(annotations),
        position=position,
        problem=problems[0] if problems else None,
        cut=size > 0,
    )


def _other_numbers(annotations: Mapping[str, str]) -> Mapping[str, float] | None:
    if not annotations.keys() - {VALUE}:
        return None
    read = {name: read_number(text) for name, text in annotations.items() if name != VALUE}
    return {name: number for name, number in read.items() if number is not None}


def may_be_over(text: bytes) -> bool:
    """Whether labels in this text may be over their bound."""
    return len(text) * MOST_GROWTH > LABELS_BYTES


def _size_over_bound(labels: Mapping[str, str]) -> int:
    """How many bytes labels take as JSON; 0 within the bound."""
    characters = sum(map(len, labels)) + sum(map(len, labels.values()))
    if characters * WIDEST + len(labels) * len('"":"",') < LABELS_BYTES:
        return 0
    size = len(encode(labels))
    return size if size > LABELS_BYTES else 0


def _only_alertname(labels: Mapping[str, str]) -> dict[str, str]:
    """Only the alertname of labels that are over their bound, so that people know which it was."""
    return {"alertname": labels.get("alertname", "")[:LONGEST_ALERTNAME]}


def read_alone(text: bytes, outlined: bytes, position: int, *, gather: bool) -> Alert:
    """Read an alert from a text that holds nothing else, with its outline. Raises nothing.

    Of a broken one, `gather` whatever can be read: that takes a hundred times as long.
    """
    if crowded(outlined):
        return read_alert(Entry(), position, "it has far more members than Alertmanager sends")
    try:
        alert = read_alert(ENTRY.validate_json(text), position, long=may_be_over(text))
        return without_nul(text, alert)
    except ValidationError as error:
        entry = _gather(text, outlined) if gather else Entry()
        return read_alert(entry, position, _complaint(error), long=may_be_over(text))


def without_nul(text: bytes, alert: Alert) -> Alert:
    """Replace NUL, which PostgreSQL can't store, if the text behind the alert has any."""
    if rb"\u0000" not in text:
        return alert
    return replace(alert, labels=clean_all(alert.labels))


def crowded(text: bytes) -> bool:
    """Whether a text has far more members than Alertmanager sends."""
    commas = text.count(b",")
    return commas > MANY_MEMBERS and commas * LEAST_BYTES > len(text)


def _gather(text: bytes, outlined: bytes) -> Entry:
    """Read what can be read of a broken entry."""
    spans = members_by_name(text, outlined)

    def text_of(name: str) -> str | None:
        return readable(text[spans[name]]) if name in spans else None

    def texts_of(name: str) -> dict[str, str] | None:
        return readables(text[spans[name]], outlined[spans[name]]) if name in spans else None

    return Entry(
        status=text_of("status"),
        labels=texts_of("labels"),
        annotations=texts_of("annotations"),
        starts_at=text_of("startsAt"),
        ends_at=text_of("endsAt"),
        fingerprint=text_of("fingerprint"),
    )


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "json_invalid":
        return f"it can't be read: {first['msg']}"
    if not place:
        return "it is not an object"
    if len(place) > 1:
        return f"{place[0]}: the value of {shown(place[1])} is not a string"
    return f"{place[0]} is not {'a string' if first['type'] == 'string_type' else 'an object'}"


def _time_or_problem(name: str, text: str | None, problems: list[str]) -> datetime | None:
    try:
        return _read_time(text or "")
    except ValueError:
        problems.append(_unusable(name, text, "not a time"))
        return None


@lru_cache(maxsize=1024)  # alerts that one evaluation of a rule found began at the same moment
def _read_time(text: str) -> datetime | None:
    """Read a moment in UTC, None for Go's "never". Raises `ValueError`."""
    if TIME.fullmatch(text) is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    if moment.year == LAST_YEAR:
        raise ValueError(text)
    return None if moment.year == 1 else moment.astimezone(UTC)


def _unusable(name: str, text: str | None, why: str) -> str:
    return f"{name} is missing" if text is None else f"{name} is {why}: {shown(text)}"
