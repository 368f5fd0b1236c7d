"""Columns of tables: heading, text, style, and what becomes of them where room is short."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STYLES = {
    "trigger": "bold green",
    "hold": "yellow",
    "skip": "dim",
    "note": "cyan",
    "attention": "bold red",
    "waiting": "bold yellow",
    "running": "cyan",
    "paused": "yellow",
    "held": "yellow",
    "firing": "red",
    "quiet": "green",
    "parked": "bold red",
    "refused": "bold red",
    "failed": "red",
    "unknown": "yellow",
    "succeeded": "green",
    "recovered": "green",
    "no_effect": "yellow",
    "rejected": "yellow",
    "given_up": "red",
    "delivered": "green",
    "ok": "green",
    "failing": "bold red",
}
"""By outcome, model's state, dispatch's state, run's effect."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, the cell's text and, on a terminal, its style.

    Attributes:
        rank: Where room is short the columns of the highest rank are left out; 0: never.
        cuts: Whether its text may be cut; ids and states never are.

    """

    heading: str
    text: Callable[[Mapping[str, Any]], str]
    style: Callable[[Mapping[str, Any]], str] = lambda _row: ""
    rank: int = 0
    cuts: bool = False


def column(
    heading: str, name: str, style_by: str = "", *, rank: int = 0, cuts: bool = False
) -> Column:
    """A column that shows one field, coloured by the word in the field `style_by`."""
    return Column(
        heading,
        lambda row: shown(row[name]),
        lambda row: STYLES.get(str(row.get(style_by)), ""),
        rank,
        cuts,
    )


def moment(heading: str, name: str, *, rank: int = 0) -> Column:
    """A column that shows a time in UTC, to the second."""
    return Column(heading, lambda row: clock(row[name]), rank=rank)


def clock(stamp: str | None) -> str:
    """`2026-11-22T09:14:00.123456Z` as `2026-11-22 09:14:00`."""
    return "" if stamp is None else visible(stamp[:19].replace("T", " "))


def shown(value: object) -> str:
    """A field's value on one line, safe for a terminal."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return visible(", ".join(f"{name}={each}" for name, each in value.items()))
    return visible(str(value))


def visible(text: str) -> str:
    """Strangers' text with what a terminal would obey (escapes, bidi, line ends) made visible."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
