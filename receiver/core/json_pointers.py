"""JSON pointers (RFC 6901): each names one value in a stranger's JSON."""

import re
from typing import Any

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """The names and positions that lead to the value. Raises `ValueError` with the cure."""
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise ValueError(
            f"{pointer!r} is not a JSON pointer; write /status/phase, and in a name ~1 for / and "
            "~0 for ~"
        )
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def value_at(document: Any, pointer: str) -> Any:
    """What the pointer names; None if nothing is there."""
    found = document
    for part in parse_pointer(pointer):
        match found:
            case dict():
                found = found.get(part)
            case list() if _INDEX.fullmatch(part) and int(part) < len(found):
                found = found[int(part)]
            case _:
                return None
    return found


def word_at(document: Any, pointer: str) -> str | None:
    """The text, whole number or truth that the pointer names, as JSON writes it; else None."""
    match value_at(document, pointer):
        case str(text):
            return text
        case bool(truth):
            return str(truth).lower()
        case int(number):
            return str(number)
    return None
