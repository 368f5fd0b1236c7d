"""RE2's syntax, as Go and so Alertmanager read it, taken apart into a tree."""

import re
import sys
from dataclasses import dataclass, replace

from receiver.core.regex_classes import (
    ESCAPED_CLASSES,
    POSITIONS,
    POSIX_CLASSES,
    CharSet,
    Edge,
    begins_line,
    ends_line,
    in_category,
)

MOST_REPEATS = 1000
"""RE2's own limit, also for the product of nested counts."""

DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    accepts: CharSet


@dataclass(frozen=True, slots=True)
class Position:
    """No character, but a condition on where we are."""

    holds: Edge


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of the parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """One part, `low` to `high` times (None: without end)."""

    part: "Node"
    low: int
    high: int | None


Node = Chars | Position | Sequence | Choice | Repeat


@dataclass(frozen=True, slots=True)
class _Flags:
    i: bool = False
    s: bool = False
    m: bool = False


_SIGNS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_COUNT = re.compile(r"\{(0|[1-9][0-9]{0,5})(?:(,)(0|[1-9][0-9]{0,5})?)?\}")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z0-9_]+>|(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)]))")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NUMBER = re.compile(r"x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|(0[0-7]{0,2}|[1-7][0-7]{1,2})")
_CATEGORY = re.compile(r"([pP])(?:\{(\^?)([A-Za-z_]+)\}|([A-Z]))")


def parse(pattern: str) -> Node:
    """Take a pattern apart. Raises `ValueError` with a clause that says what is wrong."""
    parser = _Parser(pattern)
    node, _ = parser.choice(_Flags(), depth=0)
    if parser.at < len(pattern):
        raise ValueError("it has a ) without its (")
    return node


class _Parser:
    """Reads from left to right; `at` is the next character's place."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def ahead(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self, rule: re.Pattern[str]) -> re.Match[str] | None:
        match = rule.match(self.pattern, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def choice(self, flags: _Flags, depth: int) -> tuple[Node, _Flags]:
        if depth > DEEPEST:
            raise ValueError(f"its groups are nested more than {DEEPEST} deep")
        parts = []
        while True:
            part, flags = self.sequence(flags, depth)
            parts.append(part)
            if self.ahead() != "|":
                return (parts[0] if len(parts) == 1 else Choice(tuple(parts))), flags
            self.at += 1

    def sequence(self, flags: _Flags, depth: int) -> tuple[Node, _Flags]:
        parts: list[Node] = []
        while self.ahead() not in ("", "|", ")"):
            if self.ahead() == "(":
                self.at += 1
                group, flags = self.group(flags, depth)
                if group is None:
                    continue
                parts.append(self.repeated(group))
            elif self.pattern.startswith("\\Q", self.at):
                letters = self.quoted(flags)
                parts += letters[:-1] + [self.repeated(last) for last in letters[-1:]]
            else:
                parts.append(self.repeated(self.atom(flags)))
        return (parts[0] if len(parts) == 1 else Sequence(tuple(parts))), flags

    def quoted(self, flags: _Flags) -> list[Node]:
        text, end, _ = self.pattern[self.at + 2 :].partition("\\E")
        if not end:
            raise ValueError("it has a \\Q without its \\E")
        self.at += len(text) + 4
        return [Chars(CharSet.of(char).folded(flags.i)) for char in text]

    def group(self, flags: _Flags, depth: int) -> tuple[Node | None, _Flags]:
        """Read what follows a `(`: a group, or flags for the rest of the group around it."""
        inner = flags
        if self.ahead() == "?":
            match = self.take(_GROUP)
            if match is None:
                raise ValueError(_bad_group(self.pattern[self.at : self.at + 4]))
            if match["end"]:
                on = dict.fromkeys(set(match["on"]) - {"U"}, True)
                off = dict.fromkeys(set(match["off"] or "") - {"U"}, False)
                inner = replace(flags, **(on | off))
            if match["end"] == ")":
                return None, inner
        node, _ = self.choice(inner, depth + 1)
        if self.ahead() != ")":
            raise ValueError("it has a ( without its )")
        self.at += 1
        return node, flags

    def repeated(self, part: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return part
        if self.ahead() == "?":  # lazy; for a full match it makes no difference
            self.at += 1
        again = self.at
        if self.bounds() is not None:
            raise ValueError(f"it repeats a repetition: {self.pattern[again - 1 : self.at]}")
        node = Repeat(part, *bounds)
        if _repeats(node) > MOST_REPEATS:
            raise ValueError(f"it repeats something more than {MOST_REPEATS} times")
        return node

    def bounds(self) -> tuple[int, int | None] | None:
        sign = self.ahead()
        if sign in _SIGNS:
            self.at += 1
            return _SIGNS[sign]
        match = self.take(_COUNT)
        if match is None:
            return None
        low = int(match[1])
        high = (int(match[3]) if match[3] else None) if match[2] else low
        if max(low, high or 0) > MOST_REPEATS:
            raise ValueError(f"it repeats something more than {MOST_REPEATS} times")
        if high is not None and high < low:
            raise ValueError(f"{match[0]} ends before it begins")
        return low, high

    def atom(self, flags: _Flags) -> Node:
        char = self.ahead()
        if char in _SIGNS:
            raise ValueError(f"nothing stands before the {char} to be repeated")
        if self.take(_COUNT):
            raise ValueError("nothing stands before the {} to be repeated")
        self.at += 1
        match char:
            case ".":
                return Chars(CharSet.of("" if flags.s else "\n").negated())
            case "^":
                return Position(begins_line if flags.m else POSITIONS["A"])
            case "$":
                return Position(ends_line if flags.m else POSITIONS["z"])
            case "[":
                return Chars(self.char_class(flags))
            case "\\":
                return self.escaped_atom(flags)
        return Chars(CharSet.of(char).folded(flags.i))

    def escaped_atom(self, flags: _Flags) -> Node:
        holds = POSITIONS.get(self.ahead())
        if holds is None:
            return Chars(self.escaped().folded(flags.i))
        self.at += 1
        return Position(holds)

    def escaped(self) -> CharSet:
        """Read what follows a backslash."""
        if number := self.take(_NUMBER):
            code = int(number[3], 8) if number[3] else int(number[1] or number[2], 16)
            if code > sys.maxunicode:
                raise ValueError(f"\\{number[0]} is no character")
            return CharSet.of(chr(code))
        if category := self.take(_CATEGORY):
            found = in_category(category[3] or category[4])
            return found.negated() if (category[1] == "P") != bool(category[2]) else found
        char = self.ahead()
        self.at += 1
        if char in ESCAPED_CLASSES:
            return ESCAPED_CLASSES[char]
        if char in _CONTROL:
            return CharSet.of(_CONTROL[char])
        if char.isascii() and char and not char.isalnum():
            return CharSet.of(char)
        if char.isdigit():
            raise ValueError(f"\\{char} looks back at a group, which RE2 cannot; repeat the text")
        raise ValueError(
            f"RE2 has no \\{char}" if char else "it ends with a backslash; write \\\\ for one"
        )

    def char_class(self, flags: _Flags) -> CharSet:
        """Read a class after its `[`."""
        negated = self.ahead() == "^"
        self.at += negated
        found, first = CharSet.of(""), True
        while self.ahead() != "]" or first:
            first = False
            if self.ahead() == "":
                raise ValueError("it has a [ without its ]")
            found = found.joined(self.class_item())
        self.at += 1
        found = found.folded(flags.i)
        return found.negated() if negated else found

    def class_item(self) -> CharSet:
        if self.pattern.startswith("[:", self.at):
            end = self.pattern.find(":]", self.at + 2)
            if end >= 0:
                name = self.pattern[self.at + 2 : end]
                self.at = end + 2
                if name.removeprefix("^") not in POSIX_CLASSES:
                    raise ValueError(f"RE2 has no [:{name}:]")
                found = POSIX_CLASSES[name.removeprefix("^")]
                return found.negated() if name.startswith("^") else found
        low = self.class_char()
        after = self.pattern[self.at : self.at + 2]
        if len(low.single) != 1 or not after.startswith("-") or after in ("-", "-]"):
            return low
        self.at += 1
        high = self.class_char()
        if len(high.single) != 1 or high.single < low.single:
            raise ValueError(f"the range after {low.single} in its [] ends before it begins")
        return CharSet.between(low.single, high.single)

    def class_char(self) -> CharSet:
        char = self.ahead()
        self.at += 1
        return self.escaped() if char == "\\" else CharSet.of(char)


def _repeats(node: Node) -> int:
    """How often the most repeated part is written out."""
    match node:
        case Repeat(part, low, high):
            return max(low, high or 0, 1) * _repeats(part)
        case Sequence(parts) | Choice(parts):
            return max((_repeats(part) for part in parts), default=1)
    return 1


def _bad_group(start: str) -> str:
    if start.startswith(("?=", "?!", "?<=", "?<!")):
        sign = start[: 3 if "<" in start else 2]
        return f"({sign} looks around, which RE2 cannot; write a second matcher"
    return f"RE2 has no ({start[:3]}"
