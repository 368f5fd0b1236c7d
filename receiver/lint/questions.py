"""What matchers ask of labels: alerts that none of them tells apart need be walked only once."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from receiver.core.matchers import Matcher, Operator
from receiver.core.regexes import RegexSet
from receiver.lint.label_sets import LabelSet, Values


@dataclass
class Asked:
    """What is asked of one label: which texts it equals, which patterns it matches."""

    texts: set[str] = field(default_factory=set)
    patterns: dict[str, None] = field(default_factory=dict)
    together: RegexSet | None = None
    known: dict[Values, Hashable] = field(default_factory=dict)

    def of(self, possible: Values) -> Hashable:
        """The same for two values of which every matcher says the same."""
        if possible is None:
            return None
        if possible not in self.known:
            self.known[possible] = frozenset(map(self._of_text, possible))
        return self.known[possible]

    def _of_text(self, text: str) -> Hashable:
        if self.together is None:
            self.together = RegexSet(self.patterns)
        return (text if text in self.texts else None, *self.together.accepting(text))


class Questions:
    """All that some matchers ask."""

    def __init__(self, matchers: Iterable[Matcher]) -> None:
        self._by_label: dict[str, Asked] = {}
        for matcher in matchers:
            asked = self._by_label.setdefault(matcher.name, Asked())
            if matcher.operator in {Operator.EQUAL, Operator.NOT_EQUAL}:
                asked.texts.add(matcher.value)
            else:
                asked.patterns[matcher.value] = None

    def key(self, labels: LabelSet) -> Hashable:
        """The same for two sets of labels of which every matcher says the same."""
        return tuple(asked.of(labels.possible(name)) for name, asked in self._by_label.items())
