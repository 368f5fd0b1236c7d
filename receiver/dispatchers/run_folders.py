"""The folders of local runs: written durably, watched, and forgotten when they are old."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

KEPT = timedelta(days=30)
"""How long the folder of an ended run is kept: its log, its models, its data."""


def write(path: Path, content: bytes) -> None:
    """Write a file that is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def is_locked(path: Path) -> bool:
    """Whether the child, or a task it left behind, is alive."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def forget_ended(newest: Path) -> None:
    """Remove the runs beside this new one that ended more than `KEPT` before it was made.

    Trouble with one is no reason not to start another: it is tried again at the next start.
    """
    made = newest.stat().st_mtime
    for folder in _ended(newest.parent):
        with suppress(OSError):
            # The last thing that a run does is to put its result here.
            if made - folder.stat().st_mtime > KEPT.total_seconds():
                shutil.rmtree(folder)


def _ended(runs: Path) -> Iterator[Path]:
    for folder in runs.iterdir():
        started = folder / "started"
        with suppress(OSError):
            if (folder / "withdrawn").exists() or (started.exists() and not is_locked(started)):
                yield folder
