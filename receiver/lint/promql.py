"""Reads PromQL as far as it says which labels a result has, and how far back it looks."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from receiver.core.containment import values_of
from receiver.core.durations import parse_duration
from receiver.core.matchers import Matcher, Operator
from receiver.lint.label_sets import ABSENT, Values

SELECTIONS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
"""Aggregations that give some of their series back as they are."""

AGGREGATIONS = SELECTIONS | {
    *("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile"),
    "count_values",
}

SCALARS = frozenset({"time", "scalar", "pi"})
PLAIN = frozenset(
    {"vector", "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "month", "year"}
)
ABSENCES = frozenset({"absent", "absent_over_time"})
MATCHING_WORDS = frozenset({"on", "ignoring", "group_left", "group_right"})
KEEPING_WORDS = frozenset({"by", "without"})

PRECEDENCE = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(("==", "!=", "<=", "<", ">=", ">"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}

DEEPEST = 100


class NotPromql(ValueError):
    """The text can't be followed: a template, or syntax that is newer than we are."""


@dataclass(frozen=True, slots=True)
class Series:
    """The labels of a result.

    Attributes:
        values: What is known of single labels; one that is dropped is `ABSENT`.
        is_open: Whether there may be others.
        mentioned: Labels that the expression names: its series are thought to have them.

    """

    values: Mapping[str, Values] = field(default_factory=dict)
    is_open: bool = False
    mentioned: frozenset[str] = frozenset()

    def possible(self, name: str) -> Values:
        """What a label may be."""
        if name in self.values:
            return self.values[name]
        return None if self.is_open else ABSENT

    def only(self, names: frozenset[str]) -> "Series":
        """Keep these labels."""
        kept = {name: self.possible(name) for name in names}
        return Series(kept, mentioned=self.mentioned | names)

    def without(self, names: frozenset[str]) -> "Series":
        """Drop these labels."""
        return Series(
            {**self.values, **dict.fromkeys(names, ABSENT)}, self.is_open, self.mentioned
        )

    def either(self, other: "Series") -> "Series":
        """What comes from the one or from the other."""
        values = {
            name: _union(self.possible(name), other.possible(name))
            for name in {*self.values, *other.values}
        }
        is_open = self.is_open or other.is_open
        return Series(values, is_open, self.mentioned | other.mentioned)


def _union(one: Values, other: Values) -> Values:
    return None if one is None or other is None else one | other


class Result(NamedTuple):
    """What an expression gives: its series (None for a number), and how far back it looks."""

    series: Series | None
    window: timedelta


NUMBER = Result(None, timedelta(0))

_TOKEN = re.compile(
    r"""\s*(?:\#[^\n]*\s*)*(?:
    (?P<range>\[[^\]]*\])
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<number>0x[0-9a-fA-F]+
        | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:ms|[smhdwy])?
          (?:[0-9]+(?:ms|[smhdwy]))*)
    | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:.]*)
    | (?P<sign>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){},@])
    | (?P<end>\Z)
    | (?P<bad>.)
    )""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A word of the language.

    Attributes:
        word: Its text in small letters, if it is a word or a sign; else empty.

    """

    kind: str
    text: str
    word: str = ""


def follow(expression: str) -> Result:
    """What an expression gives. Raises `NotPromql`."""
    reading = _Reading([*_tokens(expression)])
    found = reading.binary(0)
    if reading.here.kind != "end":
        raise NotPromql(f"{reading.here.text!r} is not expected there")
    return found


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "end"
        if kind == "bad":
            raise NotPromql(f"{match['bad']!r} is not expected there")
        found = match[kind]
        yield Token(kind, found, found.lower() if kind in {"sign", "word"} else "")
        if kind == "end":
            return


class _Reading:
    """A parser by recursive descent with operator precedence, as Prometheus' own grammar."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.words = [token.word for token in tokens]
        self.at = 0
        self.depth = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> bool:
        found = self.words[self.at] in texts
        self.at += found
        return found

    def need(self, text: str) -> None:
        if not self.take(text):
            raise NotPromql(f"{self.here.text!r} stands where {text!r} is expected")

    def binary(self, least: int) -> Result:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotPromql("it is nested too deeply")
        left = self.unary()
        while (rank := self.rank()) > least:
            operator = self.words[self.at]
            self.at += 1
            self.take("bool")
            matching = self.matching() if self.words[self.at] in MATCHING_WORDS else PLAINLY
            right = self.binary(rank - 1 if operator == "^" else rank)
            left = _joined(operator, left, right, matching)
        self.depth -= 1
        return left

    def rank(self) -> int:
        return PRECEDENCE.get(self.words[self.at], 0)

    def matching(self) -> "Matching":
        on = None
        names: frozenset[str] = frozenset()
        for word in ("on", "ignoring"):
            if self.here.text.lower() == word and self.tokens[self.at + 1].text == "(":
                self.at += 1
                on, names = word == "on", self.names()
        side, included = "", frozenset[str]()
        for word in ("group_left", "group_right"):
            if self.take(word):
                side = word
                included = self.names() if self.here.text == "(" else included
        return Matching(on, names, side, included)

    def names(self) -> frozenset[str]:
        self.need("(")
        found = set()
        while not self.take(")"):
            if self.here.kind not in {"word", "text"}:
                raise NotPromql(f"{self.here.text!r} is no label")
            found.add(_unquoted(self.here))
            self.at += 1
            self.take(",")
        return frozenset(found)

    def unary(self) -> Result:
        while self.take("-", "+"):
            pass
        return self.behind(self.atom())

    def behind(self, found: Result) -> Result:
        """Read what may stand behind an expression: ranges, offset and @."""
        while True:
            if self.tokens[self.at].kind == "range":
                found = Result(found.series, found.window + _range(self.here.text))
                self.at += 1
            elif self.take("offset", "@"):
                self.take("-")
                self.at += 1
                if self.take("("):  # start() and end()
                    self.need(")")
            else:
                return found

    def atom(self) -> Result:
        kind, text, _ = self.here
        if kind == "sign" and text == "{":
            return self.selector()
        self.at += 1
        if kind == "sign" and text == "(":
            found = self.binary(0)
            self.need(")")
            return found
        if kind in {"number", "text"} or text.lower() in {"inf", "nan"}:
            return NUMBER
        if kind == "word":
            return self.word(text)
        raise NotPromql(f"{text!r} is not expected there")

    def word(self, text: str) -> Result:
        if text.lower() in AGGREGATIONS and self.here.text.lower() in {"(", *KEEPING_WORDS}:
            return self.aggregation(text.lower())
        if self.here.text == "(" and self.here.kind == "sign":
            return _called(text.lower(), self.arguments())
        return self.selector()

    def selector(self) -> Result:
        values: dict[str, Values] = {"__name__": ABSENT}
        mentioned = set()
        if self.take("{"):
            while not self.take("}"):
                name = _unquoted(self.here)
                self.at += 1
                if self.here.text in {"=", "!=", "=~", "!~"} and self.here.kind == "sign":
                    operator = Operator(self.here.text)
                    value = _unquoted(self.tokens[self.at + 1])
                    self.at += 2
                    mentioned.add(name)
                    self.select(values, name, operator, value)
                if not self.take(",") and self.here.text != "}":
                    raise NotPromql(f"{self.here.text!r} is not expected in braces")
        return Result(Series(values, is_open=True, mentioned=frozenset(mentioned)), NUMBER.window)

    def select(self, values: dict[str, Values], name: str, operator: Operator, value: str) -> None:
        known = _known(name, operator, value)
        if known is not None and name != "__name__":
            values[name] = known

    def aggregation(self, name: str) -> Result:
        kept = self.kept()
        arguments, texts = self.arguments_and_texts()
        kept = kept or self.kept()
        found = _vector(arguments)
        if found.series is None or name in SELECTIONS:
            return found
        if kept is None:
            series = Series(mentioned=found.series.mentioned)
        else:
            how, names = kept
            series = found.series.only(names) if how == "by" else found.series.without(names)
        if name == "count_values" and texts:
            series = Series({**series.values, texts[0]: None}, series.is_open, series.mentioned)
        return Result(series, found.window)

    def kept(self) -> tuple[str, frozenset[str]] | None:
        for word in KEEPING_WORDS:
            if self.take(word):
                return word, self.names()
        return None

    def arguments(self) -> list[Result | str]:
        self.need("(")
        found: list[Result | str] = []
        while not self.take(")"):
            if self.here.kind == "text":
                found.append(_unquoted(self.here))
                self.at += 1
            else:
                found.append(self.binary(0))
            if not self.take(",") and self.here.text != ")":
                raise NotPromql(f"{self.here.text!r} is not expected there")
        return found

    def arguments_and_texts(self) -> tuple[list[Result | str], list[str]]:
        arguments = self.arguments()
        return arguments, [each for each in arguments if isinstance(each, str)]


class Matching(NamedTuple):
    """How the series of two sides find each other."""

    on: bool | None
    names: frozenset[str]
    side: str
    included: frozenset[str]


PLAINLY = Matching(None, frozenset(), "", frozenset())


@lru_cache(maxsize=4096)
def _known(name: str, operator: Operator, value: str) -> Values:
    """What a matcher says that a label is. Raises `NotPromql` if it is none."""
    try:
        return values_of(Matcher(name, operator, value))
    except ValueError as error:
        raise NotPromql(str(error)) from None


def _joined(operator: str, left: Result, right: Result, matching: Matching) -> Result:
    window = max(left.window, right.window)
    one, other = left.series, right.series
    if one is None or other is None:
        return Result(one or other, window)
    mentioned = one.mentioned | other.mentioned | (matching.names if matching.on else frozenset())
    if operator == "or":
        found = one.either(other)
    elif operator in {"and", "unless"}:
        found = one
    elif matching.side:
        many, few = (one, other) if matching.side == "group_left" else (other, one)
        given = {name: few.possible(name) for name in matching.included}
        found = Series({**many.values, **given}, many.is_open)
    elif matching.on:
        found = one.only(matching.names)
    else:
        found = one.without(matching.names)
    return Result(Series(found.values, found.is_open, mentioned), window)


def _vector(arguments: list[Result | str]) -> Result:
    """The argument that has series; the range of all of them."""
    results = [each for each in arguments if isinstance(each, Result)]
    window = max((each.window for each in results), default=timedelta(0))
    series = next((each.series for each in results if each.series is not None), None)
    return Result(series, window)


def _called(name: str, arguments: list[Result | str]) -> Result:
    found = _vector(arguments)
    texts = [each for each in arguments if isinstance(each, str)]
    if name in SCALARS:
        return Result(None, found.window)
    if name in PLAIN:
        return Result(Series(), found.window) if found.series is None else found
    if found.series is None:
        return found
    series = found.series
    changed: Callable[[], Series] | None = {
        "histogram_quantile": lambda: series.without(frozenset({"le"})),
        "label_replace": lambda: _labelled(series, texts),
        "label_join": lambda: _labelled(series, texts),
        "info": lambda: Series(series.values, is_open=True, mentioned=series.mentioned),
        "absent": lambda: _absence(series),
        "absent_over_time": lambda: _absence(series),
    }.get(name)
    return Result(changed() if changed else series, found.window)


def _labelled(series: Series, texts: list[str]) -> Series:
    return Series({**series.values, texts[0]: None}, series.is_open, series.mentioned | {texts[0]})


def _absence(series: Series) -> Series:
    """`absent` gives one series with what its selector asks for by `=`."""
    values = {name: value for name, value in series.values.items() if value and len(value) == 1}
    return Series(values, mentioned=series.mentioned)


@lru_cache(maxsize=4096)
def _range(text: str) -> timedelta:
    """`[5m]` or, of a subquery, `[1h:1m]`."""
    try:
        return parse_duration(text.strip("[] \n\t").partition(":")[0].strip())
    except ValueError:
        return timedelta(0)


_ESCAPED = re.compile(r"\\(.)")


def _unquoted(token: Token) -> str:
    if token.kind != "text":
        return token.text
    inner = token.text[1:-1]
    return inner if token.text[0] == "`" else _ESCAPED.sub(r"\1", inner)
