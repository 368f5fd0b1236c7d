"""Regular expressions that mean what they mean in Alertmanager, in time linear in the text.

Python's `re` differs from RE2 in meaning (other scripts' digits, look-around, back-references)
and in time: `(a+)+b` against a stranger's label value could hold up the intake for ever. So the
pattern becomes a Thompson automaton, whose steps and answers are remembered.
"""

from receiver.core.regex_classes import Edge
from receiver.core.regex_syntax import (
    Chars,
    Choice,
    Node,
    Position,
    Repeat,
    Sequence,
    parse,
)

MOST_STATES = 20_000
MOST_STEPS = 10_000
MOST_TEXTS = 1_000
LONGEST_TEXT = 200
"""What is remembered is bounded: texts from outside must not fill the memory."""

_END = 0


class Regex:
    """A compiled pattern. Raises `ValueError` with a clause that says what is wrong with it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        # Per state: what must hold to pass it, and where it leads.
        self._chars: dict[int, tuple[Chars, int]] = {}
        self._edges: dict[int, tuple[Edge | None, tuple[int, ...]]] = {}
        self._size = 1
        start = self._build(parse(pattern), _END)
        self._start = frozenset({start})
        self._looks_back = any(holds is not None for holds, _ in self._edges.values())
        self._known: dict[str, bool] = {}
        self._steps: dict[tuple[frozenset[int], str | None, str | None], frozenset[int]] = {}

    def accepts(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        known = self._known.get(text)
        if known is None:
            known = self._run(text)
            if len(self._known) >= MOST_TEXTS:
                self._known.clear()
            if len(text) <= LONGEST_TEXT:
                self._known[text] = known
        return known

    def _run(self, text: str) -> bool:
        states, before = self._start, None
        for char in text:
            states = self._step(states, before, char)
            if not states:
                return False
            before = char if self._looks_back else ""
        return bool(self._step(states, before, None))

    def _step(
        self, states: frozenset[int], before: str | None, after: str | None
    ) -> frozenset[int]:
        """Where the states lead with the next character; at the text's end, whether it ends."""
        step = (states, before, after)
        reached = self._steps.get(step)
        if reached is None:
            here = self._closure(states, before, after)
            if after is None:
                reached = here & {_END}
            else:
                passed = (self._chars[state] for state in here if state in self._chars)
                reached = frozenset(leads for chars, leads in passed if chars.accepts(after))
            if len(self._steps) >= MOST_STEPS:
                self._steps.clear()
            self._steps[step] = reached
        return reached

    def _closure(
        self, states: frozenset[int], before: str | None, after: str | None
    ) -> frozenset[int]:
        """Add the states that these lead to without a character."""
        found, todo = set(states), list(states)
        while todo:
            holds, leads = self._edges.get(todo.pop(), (None, ()))
            if holds is None or holds(before, after):
                todo.extend(state for state in leads if state not in found)
                found.update(leads)
        return frozenset(found)

    def _new(self) -> int:
        if self._size >= MOST_STATES:
            raise ValueError("it is too large; write shorter repetitions")
        self._size += 1
        return self._size - 1

    def _split(self, *leads: int) -> int:
        state = self._new()
        self._edges[state] = (None, leads)
        return state

    def _build(self, node: Node, then: int) -> int:
        """Add the states of a node that goes on with `then`; returns its first state."""
        match node:
            case Chars():
                state = self._new()
                self._chars[state] = (node, then)
                return state
            case Position(holds):
                state = self._new()
                self._edges[state] = (holds, (then,))
                return state
            case Sequence(parts):
                for part in reversed(parts):
                    then = self._build(part, then)
                return then
            case Choice(parts):
                return self._split(*(self._build(part, then) for part in parts))
        return self._build_repeat(node, then)

    def _build_repeat(self, node: Repeat, then: int) -> int:
        first = then
        if node.high is None:
            first = self._split(then)
            self._edges[first] = (None, (self._build(node.part, first), then))
        else:
            for _ in range(node.high - node.low):
                first = self._split(self._build(node.part, first), then)
        for _ in range(node.low):
            first = self._build(node.part, first)
        return first
