"""Alertmanager's name for a set of labels: FNV-1a, 64 bits, over sorted names and values."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

BEGINNING = 0xCBF29CE484222325
PRIME = 0x100000001B3
MASK = 0xFFFFFFFFFFFFFFFF

REMEMBERED = 8192
LONGEST = 128
REMEMBERED_SETS = 2048
LONGEST_SET = 1024
"""What is remembered is bounded: strangers' values must not fill the memory."""

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, sorted."""


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """The fingerprint of an alert with these labels; most alerts are repeated."""
    length = sum(map(len, labels)) + sum(map(len, labels.values()))
    hashed = _remembered_hash if length <= LONGEST_SET else _hash
    return hashed(tuple(sorted(labels.items())))


def _hash(labels: Labels) -> str:
    """The hash of these labels.

    The same names and values come again and again, and a byte costs as much as a look-up. FNV only
    ever changes the lowest byte of its state before it multiplies, so what a label does to a state
    depends on that byte alone: `state * PRIME ** length`, plus what the label makes of the byte.
    """
    state = BEGINNING
    for name, value in labels:
        low = state & 0xFF
        short = len(name) + len(value) <= LONGEST
        factor, added = (_remembered if short else _effect)(name, value, low)
        state = (state - low) * factor + added & MASK
    return f"{state:016x}"


def _effect(name: str, value: str, low: int) -> tuple[int, int]:
    """What one label does to a state that ends with this byte: by what it multiplies, and adds."""
    state = low
    # JSON can say halves of a character, which no hash is defined for: any will do.
    text = b"\xff".join(part.encode(errors="surrogatepass") for part in (name, value, ""))
    for byte in text:
        state = (state ^ byte) * PRIME & MASK
    return pow(PRIME, len(text), MASK + 1), state


_remembered_hash = lru_cache(REMEMBERED_SETS)(_hash)
_remembered = lru_cache(REMEMBERED)(_effect)
