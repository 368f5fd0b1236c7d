"""Sets of characters and positions between them, as RE2 knows them: digits are ASCII."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CharSet:
    """A set of characters.

    Attributes:
        ranges: First and last character of each range.
        categories: Unicode's general categories, or their first letters.
        parts: Sets that belong to this one as they are, in their own case.
        fold: Whether upper and lower case are the same.
        inverse: Whether everything else is meant.

    """

    ranges: tuple[tuple[str, str], ...] = ()
    categories: tuple[str, ...] = ()
    parts: tuple["CharSet", ...] = ()
    fold: bool = False
    inverse: bool = False

    @classmethod
    def of(cls, chars: str) -> "CharSet":
        """Exactly these characters."""
        return cls(ranges=tuple((char, char) for char in chars))

    @classmethod
    def between(cls, low: str, high: str) -> "CharSet":
        """All characters from one to another."""
        return cls(ranges=((low, high),))

    @property
    def single(self) -> str:
        """Its only character, or nothing if it may have several."""
        if len(self.ranges) != 1 or self.categories or self.parts or self.inverse:
            return ""
        low, high = self.ranges[0]
        return low if low == high else ""

    def joined(self, other: "CharSet") -> "CharSet":
        """Add the other set."""
        if other.inverse or other.parts:
            return replace(self, parts=(*self.parts, other))
        return replace(
            self,
            ranges=self.ranges + other.ranges,
            categories=self.categories + other.categories,
        )

    def negated(self) -> "CharSet":
        """Every other character."""
        return replace(self, inverse=not self.inverse)

    def folded(self, fold: bool) -> "CharSet":  # noqa: FBT001  a flag of the pattern
        """Take upper and lower case for the same, if `fold`."""
        return replace(self, fold=True) if fold and not self.inverse else self

    def __call__(self, char: str) -> bool:
        """Whether the character belongs to the set."""
        forms = (
            {char, char.lower(), char.upper(), char.casefold(), char.casefold().upper()}
            if self.fold
            else (char,)
        )
        found = any(self._holds(form) for form in forms if len(form) == 1)
        return found != self.inverse

    def _holds(self, char: str) -> bool:
        if any(low <= char <= high for low, high in self.ranges):
            return True
        if self.categories and unicodedata.category(char).startswith(self.categories):
            return True
        return any(part(char) for part in self.parts)


def in_category(name: str) -> CharSet:
    """Find the characters of a general category (`L`, `Lu`); scripts are not known here."""
    if name == "Any":
        return CharSet.between("\0", "\U0010ffff")
    if name not in CATEGORIES and name not in {category[0] for category in CATEGORIES}:
        raise ValueError(f"\\p{{{name}}} is not known here; list the characters, as in [a-z]")
    return CharSet(categories=(name,))


CATEGORIES = frozenset({"Co", "Cs"} | {unicodedata.category(chr(code)) for code in range(0x3100)})


def _ranges(*pairs: str) -> CharSet:
    return CharSet(ranges=tuple((pair[0], pair[-1]) for pair in pairs))


_DIGIT = _ranges("09")
_WORD = _ranges("09", "AZ", "_", "az")
_SPACE = CharSet.of("\t\n\f\r ")

ESCAPED_CLASSES = {
    "d": _DIGIT,
    "D": _DIGIT.negated(),
    "s": _SPACE,
    "S": _SPACE.negated(),
    "w": _WORD,
    "W": _WORD.negated(),
}

POSIX_CLASSES = {
    "alnum": _ranges("09", "AZ", "az"),
    "alpha": _ranges("AZ", "az"),
    "ascii": _ranges("\0\x7f"),
    "blank": CharSet.of("\t "),
    "cntrl": _ranges("\0\x1f", "\x7f"),
    "digit": _DIGIT,
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/", ":@", "[`", "{~"),
    "space": CharSet.of("\t\n\v\f\r "),
    "upper": _ranges("AZ"),
    "word": _WORD,
    "xdigit": _ranges("09", "AF", "af"),
}

Edge = Callable[[str | None, str | None], bool]
"""Whether a position holds, given the characters before and after it (None: end of the text)."""


def _begins(before: str | None, after: str | None) -> bool:  # noqa: ARG001  one of the edges
    return before is None


def _ends(before: str | None, after: str | None) -> bool:  # noqa: ARG001  one of the edges
    return after is None


def begins_line(before: str | None, after: str | None) -> bool:  # noqa: ARG001  one of the edges
    """Whether a line begins here."""
    return before in (None, "\n")


def ends_line(before: str | None, after: str | None) -> bool:  # noqa: ARG001  one of the edges
    """Whether a line ends here."""
    return after in (None, "\n")


def _between_words(before: str | None, after: str | None) -> bool:
    return (before is not None and _WORD(before)) != (after is not None and _WORD(after))


def _within_word(before: str | None, after: str | None) -> bool:
    return not _between_words(before, after)


POSITIONS = {"A": _begins, "z": _ends, "b": _between_words, "B": _within_word}
