"""A pattern as the automaton of its positions: which character may follow which."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from receiver.core.regexes import Regex

NAME_CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:@/"  # what a name may hold
)
LONGEST_NAME = 128

MOST_POSITIONS = 1000
"""More would be slow to search; a name has 128 characters, so they say nothing more about it."""

FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])")
GROUP = re.compile(r"\((?:\?P?<[^>]*>)?(?!\?)")
COUNT = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
ESCAPE = re.compile(
    r"\\(?:x\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|[0-7]{1,3}|[pP]\{\^?\w+\}|[pP]\w|.)", re.DOTALL
)
UNFOLLOWED = re.compile(r"\\[bBCQEAz]")
BEGIN, END = re.compile(r"\^|\\A"), re.compile(r"\$|\\z")


class Unfollowed(ValueError):
    """The pattern holds something whose positions are not followed here."""


@dataclass(slots=True)
class Positions:
    """Places of characters, numbered from 0: one automaton.

    Attributes:
        chars: What may stand at each: a set of `NAME_CHARACTERS`, as bits.
        after: The positions that may come next.

    """

    chars: list[int] = field(default_factory=list)
    after: list[set[int]] = field(default_factory=list)

    def add(self, chars: int) -> int:
        """Make a new place. Raises `Unfollowed` when there are too many."""
        if len(self.chars) == MOST_POSITIONS:
            raise Unfollowed
        self.chars.append(chars)
        self.after.append(set())
        return len(self.chars) - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an automaton: where its texts begin and end, and whether one is empty."""

    first: frozenset[int]
    last: frozenset[int]
    empty: bool


NOTHING = Part(frozenset(), frozenset(), empty=True)


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of some: a set of `NAME_CHARACTERS`, as bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class All:
    """One after the other."""

    trees: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of some."""

    trees: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Times:
    """The same again and again; without `most`, as often as one likes."""

    tree: "Tree"
    least: int
    most: int | None


Tree: TypeAlias = Chars | All | OneOf | Times


def place(positions: Positions, tree: Tree) -> Part:
    """Give the characters of a pattern their positions. Raises `Unfollowed`."""
    if isinstance(tree, Chars):
        here = frozenset({positions.add(tree.bits)})
        return Part(here, here, empty=False)
    if isinstance(tree, Times):
        return _repeated(positions, tree)
    if isinstance(tree, All):
        part = NOTHING
        for one in tree.trees:
            part = joined(positions, part, place(positions, one))
        return part
    parts = [place(positions, one) for one in tree.trees]
    first: frozenset[int] = frozenset().union(*(one.first for one in parts))
    last: frozenset[int] = frozenset().union(*(one.last for one in parts))
    return Part(first, last, empty=any(one.empty for one in parts))


def joined(positions: Positions, one: Part, other: Part) -> Part:
    """What begins with the one and ends with the other."""
    for last in one.last:
        positions.after[last] |= other.first
    return Part(
        one.first | other.first if one.empty else one.first,
        one.last | other.last if other.empty else other.last,
        empty=one.empty and other.empty,
    )


def _repeated(positions: Positions, tree: Times) -> Part:
    part = NOTHING
    for _ in range(tree.least):
        part = joined(positions, part, place(positions, tree.tree))
    if tree.most is None:
        again = place(positions, tree.tree)
        for last in again.last:
            positions.after[last] |= again.first
        return joined(positions, part, Part(again.first, again.last, empty=True))
    rest = NOTHING
    for _ in range(min(tree.most, LONGEST_NAME) - tree.least):
        more = joined(positions, place(positions, tree.tree), rest)
        rest = Part(more.first, more.last, empty=True)
    return joined(positions, part, rest)


@lru_cache(maxsize=256)
def tree_of(pattern: str) -> Tree:
    """What a pattern is made of. Raises `Unfollowed`.

    Only how it is put together is read here; what a single character, class or escape stands for
    is asked of RE2 itself, so that both always mean the same.
    """
    return _Reading(pattern).alternatives("", whole=True)


class _Reading:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def alternatives(self, flags: str, *, whole: bool = False) -> Tree:
        trees = []
        while True:
            tree, flags = self._sequence(flags, whole=whole)
            trees.append(tree)
            if not self._take("|"):
                return OneOf(tuple(trees))

    def _sequence(self, flags: str, *, whole: bool) -> tuple[Tree, str]:
        trees: list[Tree] = []
        if whole and (begin := BEGIN.match(self.pattern, self.at)):
            self.at = begin.end()  # says nothing new: the whole text must match
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            if whole and (end := END.match(self.pattern, self.at)):
                self.at = end.end()
                if self.pattern[self.at : self.at + 1] in ("", "|"):
                    break
                raise Unfollowed
            said = FLAGS.match(self.pattern, self.at)
            if said is not None and said[3] == ")":
                self.at = said.end()
                flags = _changed(flags, said)
                continue
            trees.append(self._times(self._atom(flags)))
        return All(tuple(trees)), flags

    def _times(self, tree: Tree) -> Tree:
        while True:
            count = COUNT.match(self.pattern, self.at)
            if count is not None:
                self.at = count.end()
                least = min(int(count[1]), LONGEST_NAME + 1)
                most = int(count[3]) if count[3] else (None if count[2] else least)
                tree = Times(tree, least, most)
            elif self._take("*"):
                tree = Times(tree, 0, None)
            elif self._take("+"):
                tree = Times(tree, 1, None)
            elif self._take("?"):
                tree = Times(tree, 0, 1)
            else:
                return tree
            self._take("?")  # how much it prefers to take changes no whole match

    def _atom(self, flags: str) -> Tree:
        said = FLAGS.match(self.pattern, self.at)
        group = said or GROUP.match(self.pattern, self.at)
        if group is not None:
            self.at = group.end()
            tree = self.alternatives(_changed(flags, said) if said else flags)
            self._take(")")
            return tree
        if UNFOLLOWED.match(self.pattern, self.at) or self.pattern[self.at] in "^$":
            raise Unfollowed
        for atom in (CLASS, ESCAPE):
            found = atom.match(self.pattern, self.at)
            if found is not None:
                self.at = found.end()
                return Chars(_accepted(found[0], flags))
        self.at += 1
        return Chars(_accepted(self.pattern[self.at - 1], flags))

    def _take(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found


def _changed(flags: str, said: re.Match[str]) -> str:
    return "".join(sorted((set(flags) | set(said[1])) - set(said[2] or "")))


@lru_cache(maxsize=1024)
def _accepted(atom: str, flags: str) -> int:
    """Which characters one atom stands for."""
    regex = Regex(f"(?{flags}:{atom})")
    return bits(char for char in NAME_CHARACTERS if regex.accepts(char))


def bits(characters: Iterable[str]) -> int:
    """A set of characters of names."""
    return sum(1 << NAME_CHARACTERS.index(char) for char in set(characters))
