"""Reads a long JSON array entry by entry, so that other threads get their turn."""

import codecs
import json
from collections.abc import Iterator
from typing import Any

PIECE = 64 * 1024
"""Bytes that become text at a time: other threads get their turn between entries."""

LONGEST_ENTRY = 1024 * 1024

DECODER = json.JSONDecoder()


class NotAnArray(ValueError):
    """The text is not a JSON array of objects; the message says where it stops being one."""


def entries(body: bytes) -> Iterator[dict[str, Any]]:
    """The objects of an array, in their order. Raises `NotAnArray`, also behind good ones."""
    text = _Text(body)
    if text.next() != "[":
        raise NotAnArray(f"it begins with {text.start()!r}")
    text.skip()
    while (mark := text.next()) != "]":
        if mark == ",":
            text.skip()
            continue
        entry = text.value()
        if not isinstance(entry, dict):
            raise NotAnArray("an entry is not an object")
        yield entry


def read_object(body: bytes) -> dict[str, Any]:
    """A small JSON object. Raises `NotAnArray` for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAnArray(f"it begins with {_Text(body).start()!r}") from None
    if not isinstance(found, dict):
        raise NotAnArray("it is no object")
    return found


class _Text:
    """A body, made text piece by piece; what was read is let go."""

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)
        self._at = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._place = 0

    def start(self) -> str:
        """How it begins, for a sentence."""
        return bytes(self._body[:60]).decode("utf-8", "replace").strip()[:40]

    def next(self) -> str:
        """The next character that is no space, without taking it. Raises `NotAnArray`."""
        while True:
            while self._place < len(self._text):
                if not self._text[self._place].isspace():
                    return self._text[self._place]
                self._place += 1
            if not self._more():
                raise NotAnArray("it ends too early")

    def skip(self) -> None:
        """Take that character."""
        self._place += 1

    def value(self) -> Any:
        """Take the next value. Raises `NotAnArray`."""
        while True:
            try:
                found, self._place = DECODER.raw_decode(self._text, self._place)
            except (ValueError, RecursionError):
                long = len(self._text) - self._place > LONGEST_ENTRY
                if long or not self._more():
                    raise NotAnArray("an entry can't be read") from None
            else:
                return found

    def _more(self) -> bool:
        if self._at >= len(self._body):
            return False
        piece = self._body[self._at : self._at + PIECE]
        self._at += PIECE
        last = self._at >= len(self._body)
        self._text = self._text[self._place :] + self._decoder.decode(piece, last)
        self._place = 0
        return True
