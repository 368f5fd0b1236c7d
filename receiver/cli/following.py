"""Follows the log: what is decided is printed as it happens, oldest first, until Ctrl-C."""

import json
import sys
import threading
from collections.abc import Mapping
from typing import Any

from receiver.cli.client import ReceiverClient
from receiver.cli.columns import STYLES, clock, shown
from receiver.cli.options import Format
from receiver.cli.output import Screen

LOOK_SECONDS = 1.0

BACK = "1m"
"""An id is given before its commit: each look goes back further than any commit takes."""


def follow_decisions(
    receiver: ReceiverClient, query: Mapping[str, str], limit: int, output: Format
) -> None:
    """Print the last ones, then each that comes. Raises `AskError`."""
    screen, told = Screen(), set[int]()
    asked, oldest = dict(query), 0
    most: int | None = limit
    try:
        while True:
            rows = receiver.page("decisions", asked, most)["decisions"]
            for row in reversed(rows):
                if row["id"] not in told and row["id"] >= oldest:
                    _print(screen, row, output)
            sys.stdout.flush()
            told = {row["id"] for row in rows}
            oldest = oldest or min(told, default=0)
            asked, most = {**query, "since": BACK}, None  # all of them, in a burst as well
            threading.Event().wait(LOOK_SECONDS)
    except KeyboardInterrupt:
        return


def _print(screen: Screen, row: Mapping[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print(json.dumps(row))  # noqa: T201
        return
    about = shown(row["model"] or row["alertname"])
    line = f"{clock(row['decided_at'])}  {row['id']}  {about}  {shown(row['reason'])}"
    screen.line(f"{line}  {shown(row['detail'])}", STYLES.get(row["outcome"], ""))
