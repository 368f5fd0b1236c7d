"""Numbers as Go prints them, which is how alerts tell their values."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from receiver.core.alerts import VALUE

NUMBER = re.compile(
    r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\s*",
    re.ASCII,  # `float` refuses some of what `\s` means otherwise: the separators U+001C to U+001F
)
LONGEST_NUMBER = 400  # the largest float, written with %f, has 316 characters
SPECIAL_NUMBERS = {"NaN": math.nan, "+Inf": math.inf, "Inf": math.inf, "-Inf": -math.inf}

BEGINS_NUMBER = frozenset(" \t\n\r+-.0123456789NI")

NOTHING: Mapping[str, str] = MappingProxyType({})

MOST_NUMBERS = 16
"""Annotations besides `value` that are kept of an alert."""


def numbers_of(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """The annotation `value`, and some others that are numbers."""
    kept = [
        name
        for name, text in annotations.items()
        # Sentences, which nearly all annotations are, are spared the closer look.
        if text[:1] in BEGINS_NUMBER
        and name != VALUE
        and len(text) <= LONGEST_NUMBER
        and read_number(text) is not None
    ]
    if VALUE in annotations:
        return {name: annotations[name] for name in (VALUE, *kept[:MOST_NUMBERS])}
    return {name: annotations[name] for name in kept[:MOST_NUMBERS]} if kept else NOTHING


def read_number(text: str) -> float | None:
    """Read a number as Go prints it; None for `300m`, `<error expanding template: ...>`."""
    if len(text) > LONGEST_NUMBER or NUMBER.fullmatch(text) is None:
        return SPECIAL_NUMBERS.get(text.strip())
    return finite_or_none(float(text))


def finite_or_none(number: float) -> float | None:
    """Refuse what no float holds, and what is no number though it is a float."""
    try:
        read = float(number)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None
