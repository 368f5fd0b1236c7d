"""Fits tables to a terminal: columns go by rank, ids stay whole, or each row is a block."""

from collections.abc import Sequence

from receiver.cli.columns import Column

GAP = 2

LEAST_WIDTH = 24
"""What a column that may be cut keeps."""

NARROW = 60
"""With fewer columns on the terminal a record is a block."""


def fitting(
    columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int
) -> list[int] | None:
    """The places of the columns that are shown; None if each row is to be a block.

    Those of the highest rank go first, and none of rank 0: without these a row says nothing.
    """
    if width < NARROW:
        return None
    widths = [_least(each, [row[at] for row in cells]) for at, each in enumerate(columns)]
    left = list(range(len(columns)))
    for at in sorted(left, key=lambda at: -columns[at].rank):
        if sum(widths[at] + GAP for at in left) <= width or columns[at].rank == 0:
            break
        left.remove(at)
    return left if sum(widths[at] + GAP for at in left) <= width else None


def _least(column: Column, texts: Sequence[str]) -> int:
    """The narrowest that the column may be."""
    natural = max(map(len, [column.heading, *texts]))
    return min(natural, LEAST_WIDTH) if column.cuts else natural
