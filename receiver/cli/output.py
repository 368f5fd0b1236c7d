"""Prints answers: tables for people, JSON and CSV for programs."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from receiver.web.cells import cell

if TYPE_CHECKING:  # rich is loaded only where a terminal shows its tables
    import rich.console

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
}
"""By outcome, model's state, dispatch's state, run's effect."""

LEAST_WIDTH = 24
"""What a table's last column keeps on a narrow terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, the cell's text and, on a terminal, its style."""

    heading: str
    text: Callable[[Mapping[str, Any]], str]
    style: Callable[[Mapping[str, Any]], str] = lambda _row: ""


def column(heading: str, name: str, style_by: str = "") -> Column:
    """A column that shows one field, coloured by the word in the field `style_by`."""
    return Column(
        heading,
        lambda row: shown(row[name]),
        lambda row: STYLES.get(str(row.get(style_by)), ""),
    )


def moment(heading: str, name: str) -> Column:
    """A column that shows a time in UTC, to the second."""
    return Column(heading, lambda row: clock(row[name]))


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


class Screen:
    """Standard output: rich on a terminal, plain and uncut everywhere else."""

    def __init__(self) -> None:
        self._console: rich.console.Console | None = None
        if sys.stdout.isatty():
            from rich.console import Console  # noqa: PLC0415

            self._console = Console(highlight=False, markup=False, emoji=False)

    def line(self, text: str = "", style: str = "") -> None:
        """One line; it is the caller who makes strangers' text `visible`."""
        if self._console is None:
            sys.stdout.write(f"{text}\n")
        else:
            self._console.print(text, style=style or None, soft_wrap=True)

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and values, one pair a line; what has no value is left out."""
        width = max(len(name) for name, _ in pairs)
        for name, value in pairs:
            if value:
                self.line(f"{name:<{width}}  {value}")

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows under headings. Only a terminal cuts the last column where it ends."""
        cells = [[each.text(row) for each in columns] for row in rows]
        if self._console is None:
            self._plain([[each.heading for each in columns], *cells])
            return
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="bold")
        for each in columns[:-1]:
            table.add_column(each.heading, no_wrap=True)
        table.add_column(columns[-1].heading, no_wrap=True, ratio=1, min_width=LEAST_WIDTH)
        for row, texts in zip(rows, cells, strict=True):
            styled = zip(texts, columns, strict=True)
            table.add_row(*(Text(text, style=each.style(row)) for text, each in styled))
        self._console.print(table)

    def _plain(self, lines: Sequence[Sequence[str]]) -> None:
        widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
        for line in lines:
            padded = (f"{text:<{width}}" for text, width in zip(line, widths, strict=True))
            self.line("  ".join(padded).rstrip())


def print_json(answer: object) -> None:
    """What the API answered, in ASCII: a terminal obeys none of it."""
    print(json.dumps(answer, indent=2))  # noqa: T201


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A heading, then the rows; what is nested as JSON."""
    write_csv(chain([columns], ([cell(row[name]) for name in columns] for row in rows)))


def write_csv(rows: Iterable[Iterable[object]]) -> None:
    """Rows of cells, safe for a terminal as tables are: nobody knows where they end up."""
    writer = csv.writer(sys.stdout)
    for row in rows:
        writer.writerow([visible(each) if isinstance(each, str) else each for each in row])


def warn(text: str) -> None:
    """A hint beside the answer, which stays clean."""
    print(text, file=sys.stderr)  # noqa: T201
