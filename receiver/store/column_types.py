"""Column types that mean the same on both engines."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, Boolean, ColumnElement, Dialect, Text, TypeDecorator

from receiver.core.claims import Claim
from receiver.json_text import decode, encode

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


REMEMBERED = 1024
"""Moments whose conversion is remembered: what one commit wrote says the same few again and again,
and to look one up takes a fifth of the time."""


@lru_cache(REMEMBERED)
def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (moment - EPOCH) // MICROSECOND


@lru_cache(REMEMBERED)
def from_micros(micros: int) -> datetime:
    """The opposite of `to_micros`."""
    return EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """A moment as microseconds since 1970: exact, small and the same on both engines."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Database to Python."""
        return None if value is None else from_micros(value)


class Span(TypeDecorator[timedelta]):
    """A length of time in microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else value // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:  # noqa: ARG002
        """Database to Python."""
        return None if value is None else timedelta(microseconds=value)


class Word(TypeDecorator[str]):
    """A word of ours, such as a reason: members of our enums are stored as what they say."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else str(value)


class Plain(TypeDecorator[str]):
    """Strangers' text that any engine can store: no NUL, no lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else storable(value)


def storable(value: str) -> str:
    """PostgreSQL refuses NUL, SQLite's driver refuses lone surrogates: show both as U+FFFD."""
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


class Json(TypeDecorator[Any]):
    """JSON in ASCII: strangers' labels survive exactly, NUL and surrogates included."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Database to Python."""
        return None if value is None else decode(value)


class Claims(TypeDecorator[tuple[Claim, ...]]):
    """Who says that an alert fires, as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Python to database."""
        return None if value is None else claims_to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Database to Python."""
        return None if value is None else claims_of_text(value)


def claims_to_text(claims: Sequence[Claim]) -> str:
    """Moments as microseconds."""
    return encode([[c.url, to_micros(c.starts_at), to_micros(c.said_at)] for c in claims])


def claims_of_text(text: str) -> tuple[Claim, ...]:
    """The opposite of `claims_to_text`."""
    return tuple(Claim(u, from_micros(begin), from_micros(at)) for u, begin, at in decode(text))


Converter: TypeAlias = Callable[[Any], Any]

TO_DATABASE: Mapping[type, Converter] = {
    Instant: to_micros,
    Span: lambda span: span // MICROSECOND,
    Word: str,
    Plain: storable,
    Json: encode,
    Claims: claims_to_text,
}
FROM_DATABASE: Mapping[type, Converter] = {
    Instant: from_micros,
    Span: lambda micros: timedelta(microseconds=micros),
    Json: decode,
    Claims: claims_of_text,
    Boolean: bool,
}
"""The same conversions for statements that run on the driver. None stays None."""


def places(
    columns: Iterable[ColumnElement[Any]],
    converters: Mapping[type, Converter],
    special: Mapping[str, Converter] | None = None,
) -> list[tuple[int, Converter]]:
    """Which columns need converting, and how."""
    found = []
    for place, column in enumerate(columns):
        converter = (special or {}).get(getattr(column, "name", "")) or converters.get(
            type(column.type)
        )
        if converter is not None:
            found.append((place, converter))
    return found


def convert(rows: Sequence[list[Any]], where: Iterable[tuple[int, Converter]]) -> None:
    """Convert the values that need it."""
    for place, converter in where:
        for row in rows:
            if (value := row[place]) is not None:
                row[place] = converter(value)
