"""Splits JSON text into members and elements without parsing them: linear, not recursive.

Whatever stands inside a part (100,000 brackets, invalid UTF-8, a number of 5,000 digits) stays
inside it. The text may be worse than JSON: only quotes, commas and the depth of brackets count.
"""

import operator
import re
from collections.abc import Iterator
from itertools import accumulate, islice

PIECE = 1 << 20
"""Bytes outlined at a time; text that is all quotes needs tens of times as much meanwhile."""

FEW = 64
WINDOW = 1 << 16
"""Brackets looked at one by one, before those of a whole window are summed up: a usual alert has
six, and a hostile one millions."""

SPACE = re.compile(rb"[ \t\n\r]*")
NAME = re.compile(rb'("[^"]*")[ \t\n\r]*:[ \t\n\r]*')
PLAIN = re.compile(rb'"[^"]*"|[^ \t\n\r,:\[\]{}"]+')
NEXT = re.compile(rb"[ \t\n\r]*([,\]}])[ \t\n\r]*")
BRACKET = re.compile(rb"[\[\]{}]")
OTHERS = bytes(byte for byte in range(256) if byte not in b"[]{}")
STEPS = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


class NotJSONError(ValueError):
    """The text can't be cut; the message says where."""


def outline(text: bytes) -> bytes:
    """Empty the strings of a text; every other byte, and each quote, stays in its place."""
    # Without escapes, each quote that is left begins or ends a string.
    text = text.replace(rb"\\", b"__").replace(rb"\"", b"__")
    pieces = []
    at = 0
    while at < len(text):
        end = at + PIECE
        if text.count(b'"', at, end) % 2:
            end = text.find(b'"', end) + 1 or len(text)
        parts = text[at:end].split(b'"')
        parts[1::2] = map(bytes, map(len, parts[1::2]))
        pieces.append(b'"'.join(parts))
        at = end
    return b"".join(pieces)


def members(outlined: bytes, span: slice) -> Iterator[tuple[slice, slice]]:
    """Where name and value of each member of an object stand. Raises `NotJSONError`."""
    return _items(outlined, span, b"{}")


def elements(outlined: bytes, span: slice) -> Iterator[slice]:
    """Where each element of an array stands. Raises `NotJSONError`."""
    return (value for _, value in _items(outlined, span, b"[]"))


def trimmed(outlined: bytes) -> slice:
    """Where the text stands without the space before it; space behind it does no harm."""
    return slice(_after_space(outlined, 0), len(outlined))


def _items(outlined: bytes, span: slice, brackets: bytes) -> Iterator[tuple[slice, slice]]:
    """Name (empty in arrays) and value of each item of the container that fills the span."""
    if outlined[span.start : span.start + 1] != brackets[:1]:
        raise _broken(outlined, span.start)
    at = _after_space(outlined, span.start + 1)
    closed = outlined[at : at + 1] == brackets[1:]
    while not closed:
        name = slice(at, at)
        if brackets == b"{}":
            named = NAME.match(outlined, at)
            if named is None:
                raise _broken(outlined, at)
            name, at = slice(*named.span(1)), named.end()
        end = _end_of_value(outlined, at)
        yield name, slice(at, end)
        found = NEXT.match(outlined, end)
        if found is None or found[1] not in (b",", brackets[1:]):
            raise _broken(outlined, end)
        closed = found[1] != b","
        at = found.start(1) if closed else found.end()
    if _after_space(outlined, at + 1) < span.stop:
        raise _broken(outlined, at + 1)


def _end_of_value(outlined: bytes, at: int) -> int:
    plain = PLAIN.match(outlined, at)
    if plain is not None:
        return plain.end()
    if outlined[at : at + 1] not in (b"[", b"{"):
        raise _broken(outlined, at)
    depth = 0
    for bracket in islice(BRACKET.finditer(outlined, at), FEW):
        at = bracket.end()
        depth += STEPS[outlined[at - 1]]
        if depth == 0:
            return at
    return _end_of_depth(outlined, at, depth)


def _end_of_depth(outlined: bytes, at: int, depth: int) -> int:
    """Where a depth comes to its end; nothing here runs in Python for each byte."""
    while at < len(outlined):
        brackets = outlined[at : at + WINDOW].translate(None, OTHERS)
        closing = brackets.count(b"]") + brackets.count(b"}")
        if closing >= depth:
            depths = accumulate(map(STEPS.__getitem__, brackets), initial=depth)
            try:
                last = operator.indexOf(depths, 0) - 1
            except ValueError:  # it opens as much as it closes
                pass
            else:
                return next(islice(BRACKET.finditer(outlined, at), last, None)).end()
        depth += len(brackets) - 2 * closing
        at += WINDOW
    raise _broken(outlined, at)


def _after_space(outlined: bytes, at: int) -> int:
    space = SPACE.match(outlined, at)
    return at if space is None else space.end()


def _broken(outlined: bytes, at: int) -> NotJSONError:
    if at >= len(outlined) or outlined.count(b'"') % 2:
        return NotJSONError(f"it ends too early, after {len(outlined)} bytes")
    return NotJSONError(f"something is wrong at byte {at}")
