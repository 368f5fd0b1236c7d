"""Regular expressions that mean what they mean in Alertmanager: RE2's own library.

Python's `re` differs from RE2 in meaning (other scripts' digits, look-around, back-references)
and in time: `(a+)+b` against a stranger's label value could hold up the intake for ever.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import re2

_QUIET = re2.Options()
_QUIET.log_errors = False  # the error is raised; RE2 would also print it

REMEMBERED = 4096
LONGEST = 128
"""What is remembered is bounded: strangers' values must not fill the memory."""


class Regex:
    """A compiled pattern. Raises `ValueError` with a clause that says what is wrong with it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._compiled = re2.compile(pattern, _QUIET)
        except re2.error as error:
            said = error.args[0]
            raise ValueError(said.decode() if isinstance(said, bytes) else str(said)) from None

        # The same few values come again and again, and a call into RE2 costs ten times a look-up.
        self._remembered = lru_cache(REMEMBERED)(self._ask)

    def accepts(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._remembered(text) if len(text) <= LONGEST else self._ask(text)

    def _ask(self, text: str) -> bool:
        # RE2 reads UTF-8, in which a lone surrogate can't be written.
        readable = text.encode(errors="replace").decode()
        return self._compiled.fullmatch(readable) is not None

    def __eq__(self, other: object) -> bool:
        """Two patterns that are written alike are alike."""
        return isinstance(other, Regex) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __reduce__(self) -> tuple[type["Regex"], tuple[str]]:
        """For another process of ours it is its pattern: what is compiled stays here."""
        return Regex, (self.pattern,)


class RegexSet:
    """Many patterns, tried all at once; each must be valid."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        together = re2.Set.FullMatchSet(_QUIET)
        for pattern in self._patterns:
            together.Add(pattern)
        self._each: list[Regex] = []
        try:
            together.Compile()
        except re2.error:  # together they take more memory than RE2 allows
            self._each = [Regex(pattern) for pattern in self._patterns]
        self._set = together

    def accepting(self, text: str) -> Sequence[int]:
        """The positions of the patterns that match the whole text."""
        if self._each:
            return [number for number, each in enumerate(self._each) if each.accepts(text)]
        readable = text.encode(errors="replace").decode()
        return sorted(self._set.Match(readable) or ()) if self._patterns else ()
