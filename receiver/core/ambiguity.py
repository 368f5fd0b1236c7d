"""Whether a model's name says which labels made it: whether it could be joined in two ways.

A name is a text with fields: `{namespace}-{user_id}`. It is ambiguous if two different sets of
values, each accepted by its field's pattern, give one name: then two models share one name, and
one of them is never retrained.

The decision is exact, not a rule of thumb. The patterns and the text between them become one
automaton over the characters that a name may hold (`pattern_positions`), and two readings of one
name are followed in step through it. If they can part (one is in another field than the other)
and both come to the end, there is an ambiguous name, and the shortest is found first. Otherwise
there is none: `{a}.{b}` is accepted if `.` can't be where the two would have to meet, whatever
else the patterns hold. What is found is tried on the real patterns and the real template before
it is told, so that no clear name is ever refused. Two cases are not decided, only tried with
short values: patterns whose positions are not followed (word boundaries, anchors in the middle,
hundreds of positions), and a field that occurs twice. What slips through is told when it
happens, as a clash (`receiver.core.clashes`).
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle, pairwise, product
from typing import NamedTuple, TypeAlias

from receiver.core.pattern_positions import (
    NAME_CHARACTERS,
    NOTHING,
    Part,
    Positions,
    Unfollowed,
    bits,
    joined,
    place,
    tree_of,
)
from receiver.core.policies import fill, is_model_name, template_parts
from receiver.core.regexes import Regex

Values: TypeAlias = dict[str, str]

Pieces: TypeAlias = list[tuple[bool, str]]
"""Of a template: literal texts and, marked so, fields."""

SEPARATORS = (".", ":", "@", "_", "-", "/")
"""What a cure may put between two fields, the usual first."""

MOST_STEPS = 500_000
"""Steps of two readings that are looked at: ten times what usual patterns have, half a second."""

MOST_FOUND = 100
"""Joins that are tried before the search gives up: a name may be too long, for one."""

ALL = bits(NAME_CHARACTERS)
ALNUM = bits(char for char in NAME_CHARACTERS if char.isalnum())
SLASH, DOT = bits("/"), bits(".")

LETTERS = "abcdefgh"

Manner: TypeAlias = tuple[tuple[tuple[int, int], ...], ...]
"""How a name may go on, by what it ends with: the characters, and what it ends with then.

0 is the end of a whole name, and what one begins with is in `ALNUM`.
"""

PLAIN: Manner = (
    ((ALNUM, 0), (ALL & ~ALNUM, 1)),
    ((ALNUM, 0),),
)
"""No two marks in a row, and none at the end: examples that are easy to read."""

VALID: Manner = (
    ((ALL & ~SLASH, 0), (SLASH, 1)),
    ((ALL & ~SLASH & ~DOT, 0), (DOT, 2)),  # after `/`
    ((ALL & ~SLASH & ~DOT, 0), (DOT, 3)),  # after `/.`
    ((ALL & ~SLASH, 0),),  # after `/..`
)
"""Every valid name: `is_model_name`."""


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """One name that two sets of labels share."""

    name: str
    one: Mapping[str, str]
    other: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Automaton:
    """The whole name. `parts` says of each position to which part of the template it belongs."""

    positions: Positions
    parts: list[int]
    first: frozenset[int]
    last: frozenset[int]


def ambiguity_of(template: str, patterns: Mapping[str, Regex]) -> Ambiguity | None:
    """A name that two sets of labels share; None if each name has one, or if nobody can tell."""
    texts = {label: regex.pattern for label, regex in patterns.items()}
    return _ambiguity_of(template, tuple(sorted(texts.items())))


def clear_separator(template: str, patterns: Mapping[str, Regex]) -> str | None:
    """What could stand between the fields so that each name has one set of labels."""
    fields = [name for _, name in template_parts(template) if name is not None]
    for separator in SEPARATORS:
        tried = separator.join("{" + name + "}" for name in fields)
        if ambiguity_of(tried, patterns) is None:
            return separator
    return None


@lru_cache(maxsize=256)  # every reload asks again
def _ambiguity_of(template: str, patterns: tuple[tuple[str, str], ...]) -> Ambiguity | None:
    regexes = {label: Regex(pattern) for label, pattern in patterns}
    pieces = _pieces(template)
    fields = [name for is_field, name in pieces if is_field]
    if len(fields) < 2:  # noqa: PLR2004  one field alone is the name
        return None
    try:
        if len(set(fields)) < len(fields):
            raise Unfollowed
        automaton = _automaton(pieces, regexes)
        for manner in (PLAIN, VALID):
            found = next(_told(template, regexes, _joins(automaton, pieces, manner)), None)
            if found is not None:
                return found
    except ValueError:  # an `Unfollowed` one
        return next(_told(template, regexes, _tries(pieces, regexes)), None)
    return None


def _pieces(template: str) -> Pieces:
    """Literal texts and, marked so, fields."""
    pieces: Pieces = []
    for text, name in template_parts(template):
        pieces += [(False, text)] if text else []
        pieces += [(True, name)] if name is not None else []
    return pieces


def _told(
    template: str, regexes: Mapping[str, Regex], found: Iterator[tuple[Values, Values]]
) -> Iterator[Ambiguity]:
    """Those of the joins that are real: the patterns and the template themselves say so."""
    for one, other in found:
        name = fill(template, one)
        alike = name == fill(template, other) and one != other and is_model_name(name)
        values = [*one.items(), *other.items()]
        if alike and all(regexes[label].accepts(value) for label, value in values):
            yield Ambiguity(name, one, other)


def _automaton(pieces: Pieces, regexes: Mapping[str, Regex]) -> _Automaton:
    """Put the pieces together. Raises `Unfollowed`."""
    positions, parts = Positions(), list[int]()
    whole = NOTHING
    for number, (is_field, text) in enumerate(pieces):
        if is_field:
            part = place(positions, tree_of(regexes[text].pattern))
        else:
            part = _text(positions, text)
        part = Part(part.first, part.last, empty=False)  # a label without value is no label
        whole = joined(positions, whole, part)
        parts += [number] * (len(positions.chars) - len(parts))
    return _Automaton(positions, parts, whole.first, whole.last)


def _text(positions: Positions, text: str) -> Part:
    steps = [positions.add(bits(char)) for char in text]
    for one, other in pairwise(steps):
        positions.after[one].add(other)
    return Part(frozenset(steps[:1]), frozenset(steps[-1:]), empty=False)


class _Pair(NamedTuple):
    """Two readings of one beginning of a name.

    Attributes:
        one: The position of the one reading.
        other: That of the other.
        parted: Whether they were in different parts already.
        ends: What the name ends with so far (`Manner`).

    """

    one: int
    other: int
    parted: bool
    ends: int


_Came: TypeAlias = dict[_Pair, tuple[_Pair | None, int]]
"""From where each pair was reached, and by which characters."""


def _joins(
    automaton: _Automaton, pieces: Pieces, manner: Manner
) -> Iterator[tuple[Values, Values]]:
    """Two readings of one name, the shortest first. Raises `Unfollowed` if there is no end."""
    begin = ((ALNUM, 0),)
    came: _Came = {}
    waiting: deque[_Pair] = deque()
    steps = _go_on(automaton, came, waiting, None, begin)
    found = 0
    while waiting and found < MOST_FOUND:
        pair = waiting.popleft()
        if pair.parted and pair.ends == 0 and {pair.one, pair.other} <= automaton.last:
            found += 1
            yield _readings(automaton, pieces, came, pair)
        steps += _go_on(automaton, came, waiting, pair, manner[pair.ends])
        if steps > MOST_STEPS:
            raise Unfollowed


def _go_on(
    automaton: _Automaton,
    came: _Came,
    waiting: deque[_Pair],
    pair: _Pair | None,
    ways: tuple[tuple[int, int], ...],
) -> int:
    """Find where both readings may be after one more character. How many places were looked at."""
    chars, after, parts = automaton.positions.chars, automaton.positions.after, automaton.parts
    ones = automaton.first if pair is None else after[pair.one]
    others = automaton.first if pair is None else after[pair.other]
    parted = pair is not None and pair.parted
    for one, other in product(ones, others):
        for allowed, ends in ways:
            both = chars[one] & chars[other] & allowed
            if not both:
                continue
            if parted or parts[one] != parts[other]:
                reached = _Pair(one, other, parted=True, ends=ends)
            else:  # nobody can tell which of the two is which
                reached = _Pair(min(one, other), max(one, other), parted=False, ends=ends)
            if reached not in came:
                came[reached] = (pair, both)
                waiting.append(reached)
    return len(ones) * len(others)


def _readings(
    automaton: _Automaton, pieces: Pieces, came: _Came, pair: _Pair
) -> tuple[Values, Values]:
    """The values of both readings that came here, spelled with few letters."""
    steps: list[tuple[_Pair, int]] = []
    at: _Pair | None = pair
    while at is not None:
        before, both = came[at]
        steps.append((at, both))
        at = before
    letters = cycle(LETTERS)
    letter = next(letters)
    one, other = Values(), Values()
    for step, both in reversed(steps):
        char = NAME_CHARACTERS[(both & -both).bit_length() - 1]
        if bits(letter) & both:
            char, letter = letter, next(letters)
        for values, position in ((one, step.one), (other, step.other)):
            is_field, name = pieces[automaton.parts[position]]
            if is_field:
                values[name] = values.get(name, "") + char
    return one, other


def _tries(pieces: Pieces, regexes: Mapping[str, Regex]) -> Iterator[tuple[Values, Values]]:
    """Short values for each two neighbours, the other fields being what they may be."""
    fields = [name for is_field, name in pieces if is_field]
    literal = {char for is_field, text in pieces if not is_field for char in text}
    alphabet = sorted(literal | set("ab1"))
    texts = ["".join(chars) for size in (1, 2, 3) for chars in product(alphabet, repeat=size)]
    fitting = {name: [text for text in texts if regexes[name].accepts(text)] for name in fields}
    if not all(fitting.values()):
        return
    usual = {name: found[0] for name, found in fitting.items()}
    for left, right in pairwise(fields):
        seen: dict[str, Values] = {}
        for one, other in product(fitting[left], fitting[right]):
            values = {**usual, left: one, right: other}
            name = "".join(values[text] if is_field else text for is_field, text in pieces)
            known = seen.setdefault(name, values)
            if known != values:
                yield known, values
