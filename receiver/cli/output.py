"""Prints answers: tables for people, JSON and CSV for programs."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from receiver.cli.columns import STYLES, Column, clock, column, moment, shown, visible
from receiver.cli.tables import GAP, fitting
from receiver.web.cells import cell

if TYPE_CHECKING:  # rich is loaded only where a terminal shows its tables
    import rich.console

__all__ = [
    "STYLES",
    "Column",
    "Screen",
    "clock",
    "column",
    "moment",
    "print_csv",
    "print_json",
    "shown",
    "visible",
    "warn",
    "write_csv",
]


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
        """Rows under headings. On a terminal they fit it: less is shown, and what is, whole."""
        cells = [[each.text(row) for each in columns] for row in rows]
        if self._console is None:
            self._plain([[each.heading for each in columns], *cells])
            return
        places = fitting(columns, cells, self._console.width)
        if places is None:
            self._blocks(columns, rows, cells)
            return
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, expand=True, padding=(0, GAP, 0, 0), header_style="bold")
        cut = {at for at in places if columns[at].cuts}
        for at in places:
            ratio = 1 if at in cut or (not cut and at == places[-1]) else None
            table.add_column(columns[at].heading, no_wrap=True, ratio=ratio)
        for row, texts in zip(rows, cells, strict=True):
            table.add_row(*(Text(texts[at], style=columns[at].style(row)) for at in places))
        self._console.print(table)

    def _blocks(
        self,
        columns: Sequence[Column],
        rows: Sequence[Mapping[str, Any]],
        cells: Sequence[Sequence[str]],
    ) -> None:
        """One block for each row: nothing is left out or cut, lines run over."""
        width = max(len(each.heading) for each in columns)
        for row, texts in zip(rows, cells, strict=True):
            for each, text in zip(columns, texts, strict=True):
                if text:
                    self.line(f"{each.heading:<{width}}  {text}", each.style(row))
            self.line()

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
