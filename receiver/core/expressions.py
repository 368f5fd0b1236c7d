"""Splits a rule's expression at its comparison: what is measured, and against which number."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_EXPRESSION = 4000
"""A longer one is followed by nobody, least of all on a page."""

TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`""", re.DOTALL)
COMPARISON = re.compile(r"(?:[<>]=?|[=!]=)")
THRESHOLD = re.compile(r"\s*(?:bool\s)?\s*(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?)\s*")
SET_OPERATOR = re.compile(r"\b(?:and|or|unless)\b", re.IGNORECASE)
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A whole expression that compares something with a number.

    Attributes:
        measured: The expression on its left: what the alert's value is.
        bad_above: Whether it fires above the threshold.

    """

    measured: str
    threshold: float
    bad_above: bool

    def is_bad(self, value: float) -> bool:
        """Whether a value is on the side that fires; one on the threshold itself is on none."""
        return value > self.threshold if self.bad_above else value < self.threshold


def comparison_of(expression: str) -> Comparison | None:
    """Split an expression; None if it is no comparison with a number, or can't be followed."""
    if len(expression) > LONGEST_EXPRESSION:
        return None
    whole, flat = _unwrapped(expression)
    outer = _outer(flat)
    if outer is None or SET_OPERATOR.search(outer):
        return None
    signs = list(COMPARISON.finditer(outer))
    if len(signs) != 1 or signs[0][0] in {"==", "!="}:
        return None
    number = THRESHOLD.fullmatch(whole, signs[0].end())
    measured = whole[: signs[0].start()].strip()
    if number is None or not measured:
        return None
    return Comparison(measured, float(number[1]), bad_above=signs[0][0].startswith(">"))


def of_labels(measured: str, labels: Mapping[str, str]) -> str | None:
    """The same of those series alone that have these labels; None if that can't be written.

    Prometheus drops the others itself, so that its answer is small however many models there are.
    """
    if not labels or not all(LABEL.fullmatch(name) for name in labels):
        return None
    wanted = "vector(1)"
    for name, value in labels.items():
        # A `$` in the replacement would stand for a part of the match.
        wanted = f'label_replace({wanted}, "{name}", {_quoted(value.replace("$", "$$"))}, "", "")'
    return f"({measured}) and on ({', '.join(labels)}) {wanted}"


def _unwrapped(expression: str) -> tuple[str, str]:
    """Without parentheses around all of it; also with its texts blotted out in their places."""
    whole = expression.strip()
    flat = TEXT.sub(lambda found: "_" * len(found[0]), whole)
    while flat[:1] == "(" and flat[-1:] == ")" and _outer(flat[1:-1]) is not None:
        left = len(flat[1:-1]) - len(flat[1:-1].lstrip())
        flat = flat[1:-1].strip()
        whole = whole[1 + left :][: len(flat)]
    return whole, flat


def _outer(flat: str) -> str | None:
    """What stands in no parentheses, at its place; None if they don't pair, or with a comment."""
    if any(mark in flat for mark in "\"'`#"):
        return None
    depth, found = 0, []
    for each in flat:
        depth -= each in ")]}"
        if depth < 0:
            return None
        found.append(" " if depth or each in ")]}" else each)
        depth += each in "([{"
    return None if depth else "".join(found)


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{plain}"'
