"""Finds, of hundreds of routes beside each other, the few that may take an alert."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from receiver.core.containment import ANYTHING, values_of
from receiver.core.matchers import Matcher, Operator
from receiver.core.regexes import RegexSet
from receiver.lint.label_sets import Answer, LabelSet


@dataclass
class ByLabel:
    """The routes that one label tells apart, by number."""

    values: dict[str, list[int]] = field(default_factory=dict)
    patterns: list[tuple[str, int]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    known: dict[str, Sequence[int]] = field(default_factory=dict)
    together: RegexSet | None = None

    def of(self, value: str) -> Sequence[int]:
        """The routes that take this value."""
        if value not in self.known:
            if self.together is None:
                self.together = RegexSet(pattern for pattern, _ in self.patterns)
            matched = [self.patterns[place][1] for place in self.together.accepting(value)]
            self.known[value] = [*self.values.get(value, ()), *matched]
        return self.known[value]


class RouteIndex:
    """Routes beside each other, by one matcher of each that a value decides.

    Attributes:
        rest: Of each route, the matchers that are left to ask.

    """

    def __init__(self, routes: Sequence[Sequence[Matcher]]) -> None:
        self.rest: list[tuple[Matcher, ...]] = []
        self._by_label: dict[str, ByLabel] = {}
        self._always: list[int] = []
        for number, matchers in enumerate(routes):
            asked = [each for each in matchers if not _is_empty(each)]
            chosen = next((each for each in asked if values_of(each) is not None), None)
            chosen = chosen or next((each for each in asked if _is_pattern(each)), None)
            self.rest.append(tuple(each for each in asked if each is not chosen))
            if chosen is None:
                self._always.append(number)
            else:
                self._add(chosen, number)

    def _add(self, matcher: Matcher, number: int) -> None:
        by_label = self._by_label.setdefault(matcher.name, ByLabel())
        by_label.numbers.append(number)
        values = values_of(matcher)
        if values is None:
            by_label.patterns.append((matcher.value, number))
        for value in values or ():
            by_label.values.setdefault(value, []).append(number)

    def candidates(self, labels: LabelSet) -> Iterator[tuple[int, Answer]]:
        """The routes whose chosen matcher takes these labels, or may, in their order."""
        found = dict.fromkeys(self._always, Answer.YES)
        for label, by_label in self._by_label.items():
            possible = labels.possible(label)
            if possible is None:
                found.update(dict.fromkeys(by_label.numbers, Answer.MAYBE))
            elif len(possible) == 1:
                found.update(dict.fromkeys(by_label.of(next(iter(possible))), Answer.YES))
            else:
                hits = [set(by_label.of(value)) for value in possible]
                found.update(dict.fromkeys(set().union(*hits), Answer.MAYBE))
                found.update(dict.fromkeys(set.intersection(*hits), Answer.YES))
        return iter(sorted(found.items()))


def _is_pattern(matcher: Matcher) -> bool:
    return matcher.operator is Operator.MATCHES


def _is_empty(matcher: Matcher) -> bool:
    """Whether a matcher takes everything."""
    return _is_pattern(matcher) and matcher.value == ANYTHING
