"""Regular expressions that mean what they mean in Alertmanager: RE2's own library.

Python's `re` differs from RE2 in meaning (other scripts' digits, look-around, back-references)
and in time: `(a+)+b` against a stranger's label value could hold up the intake for ever.
"""

import re2

_QUIET = re2.Options()
_QUIET.log_errors = False  # the error is raised; RE2 would also print it


class Regex:
    """A compiled pattern. Raises `ValueError` with a clause that says what is wrong with it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._compiled = re2.compile(pattern, _QUIET)
        except re2.error as error:
            said = error.args[0]
            raise ValueError(said.decode() if isinstance(said, bytes) else str(said)) from None

    def accepts(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        # RE2 reads UTF-8, in which a lone surrogate can't be written.
        readable = text.encode(errors="replace").decode()
        return self._compiled.fullmatch(readable) is not None

    def __eq__(self, other: object) -> bool:
        """Two patterns that are written alike are alike."""
        return isinstance(other, Regex) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)
