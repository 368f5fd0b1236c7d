"""Whether whatever some matchers accept is accepted by others; "no" may also mean "can't say"."""

import re
from collections.abc import Sequence
from functools import lru_cache

from receiver.core.matchers import Matcher, Operator

MOST_VALUES = 64

_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
ANYTHING = ".*"


@lru_cache(maxsize=4096)
def alternatives(pattern: str) -> frozenset[str] | None:
    """The texts that a pattern like `a|b|c` accepts; None if it says more than that."""
    inner = pattern.removeprefix("^").removesuffix("$")
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].removeprefix("?:")
    texts = frozenset(inner.split("|"))
    plain = not any(_META.search(text) for text in texts)
    return texts if plain and len(texts) <= MOST_VALUES else None


def values_of(matcher: Matcher) -> frozenset[str] | None:
    """The values that a matcher lets through, if they can be listed."""
    if matcher.operator is Operator.EQUAL:
        return frozenset({matcher.value})
    return alternatives(matcher.value) if matcher.operator is Operator.MATCHES else None


def implies(narrow: Matcher, wide: Matcher) -> bool:
    """Whether each value that `narrow` accepts is surely accepted by `wide`."""
    if narrow.name != wide.name:
        return False
    if narrow == wide or _accepts_all(wide):
        return True
    values = values_of(narrow)
    if values is not None:
        return all(wide.matches({wide.name: value}) for value in values)
    if wide.operator is Operator.NOT_EQUAL:
        return not narrow.matches({narrow.name: wide.value})
    return _begins_alike(narrow, wide)


def _accepts_all(matcher: Matcher) -> bool:
    return matcher.operator is Operator.MATCHES and matcher.value == ANYTHING


def _begins_alike(narrow: Matcher, wide: Matcher) -> bool:
    """Whether both are patterns, the wide one `PREFIX.*`, and the narrow one begins with it."""
    both = {narrow.operator, wide.operator} == {Operator.MATCHES}
    if not both or not wide.value.endswith(ANYTHING):
        return False
    prefix = wide.value.removesuffix(ANYTHING)
    behind = narrow.value.removeprefix(prefix)
    is_prefix = not _META.search(prefix) and narrow.value.startswith(prefix)
    return is_prefix and "|" not in behind and behind[:1] not in {"*", "?", "{"}


def all_implied(narrow: Sequence[Matcher], wide: Sequence[Matcher]) -> bool:
    """Whether whatever satisfies all of `narrow` surely satisfies all of `wide`."""
    return all(any(implies(mine, its) for mine in narrow) for its in wide)
