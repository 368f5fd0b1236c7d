"""The serving log: what was asked and predicted, and what came true. Bounded, one file a model.

A line is a JSON object: `{"at", "id", "status", "instances", "predictions"}` for a request, and
`{"at", "id", "actual"}` when the truth about it is known.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

LARGEST = 4 * 1024 * 1024
"""Bytes after which a file becomes `.1`, in the place of the one before: a model takes two."""


class RequestLog:
    """Writes the log of one model. Safe for threads; one process writes a log."""

    def __init__(self, folder: Path, user_id: str, largest: int = LARGEST) -> None:
        self._path = log_file(folder, user_id)
        self._largest = largest
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, **entry: Any) -> None:
        """Append one line."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            with self._path.open("ab") as log:
                log.write(line)
                size = log.tell()
            if size >= self._largest:
                self._path.replace(older(self._path))


class Follower:
    """Reads a log as it grows, across its change to a new file."""

    def __init__(self, folder: Path, user_id: str) -> None:
        self._path = log_file(folder, user_id)
        self._inode = 0
        self._position = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """The entries since the last call."""
        try:
            with self._path.open("rb") as log:
                inode = _inode(log.fileno())
                if self._inode and inode != self._inode:
                    yield from self._rest_of_the_older()
                    self._position = 0
                self._inode = inode
                yield from self._read(log)
        except FileNotFoundError:
            return

    def _rest_of_the_older(self) -> Iterator[dict[str, Any]]:
        try:
            with older(self._path).open("rb") as log:
                if _inode(log.fileno()) == self._inode:
                    yield from self._read(log)
        except FileNotFoundError:
            return

    def _read(self, log: Any) -> Iterator[dict[str, Any]]:
        log.seek(self._position)
        for line in log:
            if not line.endswith(b"\n"):
                return  # it is being written
            self._position += len(line)
            yield json.loads(line)


def log_file(folder: Path, user_id: str) -> Path:
    """Where the log of a model is."""
    return folder / f"{user_id}.jsonl"


def older(path: Path) -> Path:
    """The file that was full."""
    return path.with_name(f"{path.name}.1")


def _inode(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino
