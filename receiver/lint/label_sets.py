"""What is known of an alert's labels before it exists, and what a matcher says about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from receiver.core.matchers import Matcher, Operator

ABSENT = frozenset({""})
"""A label that is missing equals the empty text."""

Values = frozenset[str] | None
"""What a label may be; None for any text, none included."""


class Answer(StrEnum):
    """Whether something holds."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"  # it depends on labels that only the running system knows


@dataclass(frozen=True, slots=True)
class LabelSet:
    """What is known of an alert's labels.

    Attributes:
        values: By label.
        is_open: Whether there may be others: an expression that aggregates nothing away lets
            every label of its series through.
        usual: Of those others, the ones that series have. No rule of other people's says that it
            lacks `action`; it is taken for missing, and told so.

    """

    values: Mapping[str, Values] = field(default_factory=dict)
    is_open: bool = False
    usual: frozenset[str] = frozenset()

    def possible(self, name: str) -> Values:
        """What a label may be."""
        if name in self.values:
            return self.values[name]
        return None if self.is_open and name in self.usual else ABSENT

    def assumes(self, name: str) -> bool:
        """Whether only usage says that a label is missing."""
        return self.is_open and name not in self.values and name not in self.usual

    def with_values(self, values: Mapping[str, Values]) -> "LabelSet":
        """The same with some labels set."""
        return LabelSet({**self.values, **values}, self.is_open, self.usual)


def answer(matcher: Matcher, labels: LabelSet) -> Answer:
    """Whether alerts of these labels satisfy a matcher."""
    possible = labels.possible(matcher.name)
    if possible is None:
        return _about_any(matcher)
    said = {matcher.matches({matcher.name: value}) for value in possible}
    if len(said) > 1:
        return Answer.MAYBE
    return Answer.YES if True in said else Answer.NO


def _about_any(matcher: Matcher) -> Answer:
    if matcher.value in {".*", "(.*)", "^.*$", "(?s).*"}:
        return {Operator.MATCHES: Answer.YES, Operator.NOT_MATCHES: Answer.NO}.get(
            matcher.operator, Answer.MAYBE
        )
    return Answer.MAYBE


def all_of(answers: Iterable[Answer]) -> Answer:
    """Whether everything holds."""
    whole = Answer.YES
    for each in answers:
        if each is Answer.NO:
            return Answer.NO
        if each is Answer.MAYBE:
            whole = Answer.MAYBE
    return whole


def answer_all(matchers: Iterable[Matcher], labels: LabelSet) -> Answer:
    """Whether alerts of these labels satisfy every matcher."""
    return all_of(answer(matcher, labels) for matcher in matchers)
