"""Alertmanager's matcher syntax, classic and UTF-8."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from receiver.core.regexes import Regex

EXAMPLES = """write alertname="HighModelMAE" or user_id=~"a|b\""""


class Operator(StrEnum):
    """How a label's value is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of a label's value. Raises `ValueError` if its pattern is not one of RE2.

    Attributes:
        name: The label; one that is missing equals the empty text.
        value: A text, or a pattern that must match the whole value.

    """

    name: str
    operator: Operator
    value: str
    _regex: Regex | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_pattern = self.operator in (Operator.MATCHES, Operator.NOT_MATCHES)
        object.__setattr__(self, "_regex", Regex(self.value) if is_pattern else None)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy the comparison."""
        value = labels.get(self.name, "")
        same = value == self.value if self._regex is None else self._regex.accepts(value)
        return same is (self.operator in (Operator.EQUAL, Operator.MATCHES))

    def __str__(self) -> str:
        name = self.name if _CLASSIC_NAME.fullmatch(self.name) else _quote(self.name)
        return f"{name}{self.operator}{_quote(self.value)}"


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    r"""Read one or several matchers, as `a="b"` or `{a="b", c!~"d.*"}`. Raises `ValueError`.

    Alertmanager (0.27 and later) reads classic and UTF-8 syntax and prefers the classic reading
    where both are possible: in it `"\."` is a backslash and a dot.
    """
    try:
        return _compiled(text, _read_classic(text))
    except _PatternError as error:
        classic: _PatternError | None = error
    except ValueError:
        classic = None
    try:
        return _compiled(text, _read_utf8(text))
    except ValueError as error:
        raise (classic or error) from None


Triple = tuple[str, str, str]
"""Label name, operator and value as read, before the pattern is compiled."""


class _PatternError(ValueError):
    """The syntax is fine, the regular expression is not."""


def _compiled(text: str, triples: list[Triple]) -> tuple[Matcher, ...]:
    found = []
    for name, operator, value in triples:
        if not name:
            raise ValueError(f"{text!r} has an empty label name; {EXAMPLES}")
        try:
            found.append(Matcher(name, Operator(operator), value))
        except ValueError as error:
            raise _PatternError(
                f"{value!r} is not a regular expression of Alertmanager (RE2): {error}"
            ) from None
    return tuple(found)


_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_CLASSIC = re.compile(
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*(.*?)[\t\n\f\r ]*",
    re.DOTALL,
)
_CLASSIC_SPLIT = re.compile(
    r'((?:[^,"\\]|\\[^,]|\\(?=,|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))*)(,|\Z)', re.DOTALL
)
_CLASSIC_ESCAPE = re.compile(r'\\(["\\n])')
_CLASSIC_QUOTE = re.compile(r'(?:[^"\\]|\\.)*\\?', re.DOTALL)


def _read_classic(text: str) -> list[Triple]:
    parts, at, comma = [], 0, ","
    text = text.removeprefix("{").removesuffix("}")
    while comma:
        match = _CLASSIC_SPLIT.match(text, at)
        if match is None:
            raise ValueError(f"{text!r} is not a matcher; {EXAMPLES}")
        part, comma = match.groups()
        parts.append(part)
        at = match.end()
    last = parts.pop().strip()
    return [_read_classic_part(part) for part in (*parts, *filter(None, [last]))]


def _read_classic_part(part: str) -> Triple:
    match = _CLASSIC.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is not a matcher; {EXAMPLES}")
    name, operator, value = match.groups()
    if value.startswith('"'):
        if len(value) < len('""') or not value.endswith('"'):
            raise ValueError(f"{part!r} has an opening quote only; {EXAMPLES}")
        value = value[1:-1]
    if _CLASSIC_QUOTE.fullmatch(value) is None:
        raise ValueError(f'{part!r} has a quote within its value; write \\" for it')
    return name, operator, _CLASSIC_ESCAPE.sub(lambda m: m[1].replace("n", "\n"), value)


_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_TOKEN = re.compile(
    rf"""[{_SPACE}]*(?:
    (?P<sign>[{{}},])
    | (?P<operator>=~|=|!=|!~)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<word>[^{_SPACE}{{}}!=~,\\"'`]+)
    | (?P<end>\Z)
    | (?P<bad>.)
    )""",
    re.DOTALL | re.VERBOSE,
)


def _read_utf8(text: str) -> list[Triple]:
    """Read `[{] name operator value, … [}]`."""
    tokens = [(match.lastgroup, match[match.lastgroup or 0]) for match in _TOKEN.finditer(text)]
    kinds, words = zip(*tokens, strict=True)
    at, braced = (1, True) if words[0] == "{" else (0, False)
    triples: list[Triple] = []
    while kinds[at] != "end" and words[at] != "}":
        name = _word(text, tokens[at], "a label name")
        if kinds[at + 1] != "operator":
            raise ValueError(f"{text!r} needs =, !=, =~ or !~ after {name}; {EXAMPLES}")
        triples.append((name, words[at + 1], _word(text, tokens[at + 2], "a value")))
        at += 3
        if words[at] == ",":
            at += 1
        elif kinds[at] != "end" and words[at] != "}":
            raise ValueError(f"{text!r} needs a comma before {words[at]}; {EXAMPLES}")
    if (words[at] == "}") != braced or kinds[at + braced] != "end":
        raise ValueError(f"{text!r} has a brace too many or too few; {EXAMPLES}")
    return triples


def _word(text: str, token: tuple[str | None, str], wanted: str) -> str:
    kind, word = token
    if kind == "word":
        return word
    if kind != "quoted":
        raise ValueError(f"{text!r} needs {wanted} before {word or 'its end'}; {EXAMPLES}")
    return _unquote(word)


_GO_ESCAPE = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\"])|x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})
    |u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.))""",
    re.DOTALL | re.VERBOSE,
)
_SIMPLE = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


def _unquote(word: str) -> str:
    """Read a quoted text as Go does; numbers below 256 are bytes of UTF-8."""

    def unescape(match: re.Match[str]) -> str:
        if match["simple"]:
            return _SIMPLE[match["simple"]]
        if match["bad"]:
            raise ValueError(
                f"{word} has an unknown escape {match[0]}; write \\\\ for a backslash"
            )
        code = int(match["octal"], 8) if match["octal"] else int(match[match.lastgroup or 0], 16)
        if match["short"] or match["long"]:
            return chr(code) if code <= sys.maxunicode else "\udfff"
        # A byte: kept apart from characters until the whole text is known.
        return bytes([code]).decode("utf-8", "surrogateescape")

    try:
        if "\n" in word:
            raise ValueError(f"{word!r} has a line break within its quotes; write \\n for it")
        text = _GO_ESCAPE.sub(unescape, word[1:-1])
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        raise ValueError(f"{word} is not valid UTF-8; write its characters as they are") from None


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
