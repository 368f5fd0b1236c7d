"""Formats validation errors with their place in the file and their cure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, TypeGuard, get_args

from pydantic import ValidationError

from receiver.config.sections import Section

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong, and where: `("policies", 0, "cooldown")`.

    Attributes:
        of_file: Whether it is a file that the setting names, which another machine may have.

    """

    place: Place
    sentence: str
    of_file: bool = False

    def __str__(self) -> str:
        return f"{show_place(self.place)}: {self.sentence}" if self.place else self.sentence


def show_place(place: Place) -> str:
    """Write a place as `policies[0].cooldown`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Offer the nearest known word, or all of them."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}" if known else "nothing is known here"


def complaints(error: ValidationError, section: type[Section]) -> Iterator[Complaint]:
    """Tell in our words what pydantic found."""
    for detail in error.errors(include_url=False):
        place = tuple(part for part in detail["loc"] if part != "[key]")
        yield Complaint(place, _sentence(detail["type"], detail, _at(section, place)))


_KINDS = {
    "bool_type": "is neither true nor false; write one of them without quotes",
    "int_type": "is not a whole number; write it without quotes and without a point",
    "list_type": "is not a list; put it in [ ] or behind dashes",
    "dict_type": "is not a mapping; write settings as 'name: value' below it",
    "model_type": "is not a mapping; write settings as 'name: value' below it",
    "invalid_key": "is not a text; put the name in quotes",
    "recursion_loop": "contains itself; write it without the anchor",
}


def _sentence(kind: str, detail: Any, parent: type[Section] | None) -> str:
    name, value = str(detail["loc"][-1]), detail["input"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "extra_forbidden":
        known = list(parent.model_fields) if parent else []
        return f"unknown setting; {did_you_mean(name, known)}"
    if kind == "missing":
        examples = parent.model_fields[name].examples if parent else None
        return f"is missing; write {name}: {(examples or ['…'])[0]}"
    if kind == "string_type" and isinstance(value, dict):
        return 'YAML takes text in braces for a mapping; put it in quotes, as in "{user_id}"'
    if kind == "string_type":
        what = "nothing" if value is None else str(value) if _is_plain(value) else "a list"
        return f"{what} is not a text; put it in quotes"
    what = "nothing" if value is None else repr(value) if _is_plain(value) else "this"
    return f"{what} {_KINDS.get(kind, 'is not what belongs here')}"


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict | list)


def _at(section: type[Section], place: Place) -> type[Section] | None:
    """Find the section that holds the last part of a place."""
    found: Any = section
    for part in place[:-1]:
        if is_section(found):
            field = found.model_fields.get(str(part))
            found = None if field is None else without_none(field.annotation)
        else:  # an entry of a list or of a mapping
            found = without_none(get_args(found)[-1]) if get_args(found) else None
    return found if is_section(found) else None


def is_section(kind: Any) -> TypeGuard[type[Section]]:
    """Whether a setting's type is a section of its own."""
    return isinstance(kind, type) and issubclass(kind, Section)


def without_none(annotation: Any) -> Any:
    """Take `X` out of `X | None`."""
    if isinstance(annotation, UnionType):
        return next(kind for kind in get_args(annotation) if kind is not NoneType)
    return annotation
