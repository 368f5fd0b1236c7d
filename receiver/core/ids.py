"""Ids that sort by time: 26 lower-case characters (a ULID in lower case)."""

from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that reads like a digit."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

ENTROPY_BYTES = 10
LENGTH = 26


def time_id(now: datetime, entropy: bytes) -> str:
    """Join the time in milliseconds (10 characters) and 80 random bits (16 characters)."""
    milliseconds = (now - EPOCH) // MILLISECOND  # exact: a float's may be one too small
    number = milliseconds << 80 | int.from_bytes(entropy[:ENTROPY_BYTES])
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
