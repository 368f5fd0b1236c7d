"""Ids that sort by time: 26 lower-case characters (a ULID in lower case)."""

from datetime import UTC, datetime, timedelta
from functools import reduce

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that reads like a digit."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

ENTROPY_BYTES = 10
LENGTH = 26

PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
SHIFTS = range(5 * (LENGTH - 2), -1, -10)
"""Two characters at a time: every notification gets an id."""


def time_id(now: datetime, entropy: bytes) -> str:
    """Join the time in milliseconds (10 characters) and 80 random bits (16 characters)."""
    milliseconds = (now - EPOCH) // MILLISECOND  # exact: a float's may be one too small
    number = milliseconds << 80 | int.from_bytes(entropy[:ENTROPY_BYTES])
    return "".join([PAIRS[number >> shift & 1023] for shift in SHIFTS])


def moment_of(text: str) -> datetime | None:
    """The time that an id begins with, in milliseconds; None if it is none of ours."""
    try:
        digits = [ALPHABET.index(letter) for letter in text[: LENGTH - 16]]
        return EPOCH + MILLISECOND * reduce(lambda number, digit: number << 5 | digit, digits, 0)
    except (ValueError, OverflowError):
        return None
