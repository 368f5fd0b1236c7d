"""Whether whatever one matcher accepts is accepted by another; "no" may also mean "can't say"."""

from collections.abc import Sequence

from receiver.core.matchers import Matcher, Operator
from receiver.lint.label_sets import values_of


def implies(narrow: Matcher, wide: Matcher) -> bool:
    """Whether each value that `narrow` accepts is surely accepted by `wide`."""
    if narrow.name != wide.name:
        return False
    if narrow == wide or (wide.operator is Operator.MATCHES and wide.value == ".*"):
        return True
    values = values_of(narrow)
    if values is not None:
        return all(wide.matches({wide.name: value}) for value in values)
    # `x=~"a.+"` implies `x!=""`, if it does not accept the empty text itself.
    return wide.operator is Operator.NOT_EQUAL and not narrow.matches({narrow.name: wide.value})


def all_implied(narrow: Sequence[Matcher], wide: Sequence[Matcher]) -> bool:
    """Whether whatever satisfies all of `narrow` satisfies all of `wide`."""
    return all(any(implies(mine, its) for mine in narrow) for its in wide)
