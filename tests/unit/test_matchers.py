import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.matchers import Matcher, Operator, parse_matchers
from receiver.core.regexes import Regex

# Readings were compared with Alertmanager 0.28 and Go's regexp, text by text.
READINGS = [
    ('alertname=~"A|B"', [("alertname", "=~", "A|B")]),
    ('user_id="42"', [("user_id", "=", "42")]),
    ('severity!="info"', [("severity", "!=", "info")]),
    ('x!~"a.*"', [("x", "!~", "a.*")]),
    ('{a="b",c=~"d"}', [("a", "=", "b"), ("c", "=~", "d")]),
    (' { a = "b" , c = d , } ', [("a", "=", "b"), ("c", "=", "d")]),
    ('a="b", c="d"', [("a", "=", "b"), ("c", "=", "d")]),
    ('a="b,c",d="e"', [("a", "=", "b,c"), ("d", "=", "e")]),
    ("a=b", [("a", "=", "b")]),
    ("a=b c", [("a", "=", "b c")]),
    ("a=", [("a", "=", "")]),
    ('a=""', [("a", "=", "")]),
    ("a='b'", [("a", "=", "'b'")]),
    ("{}", []),
    ("", []),
    # Classic escapes; any other backslash is itself, which suits patterns.
    (r'a="say \"hi\", \\ and \n"', [("a", "=", 'say "hi", \\ and \n')]),
    (r'a=~"foo\.bar"', [("a", "=~", r"foo\.bar")]),
    (r'a=~"foo\\.bar"', [("a", "=~", r"foo\.bar")]),
    (r'a="\t"', [("a", "=", r"\t")]),
    # The classic reading is tolerant with braces.
    ('{a="b"', [("a", "=", "b")]),
    ('a="b"}', [("a", "=", "b")]),
    # UTF-8: quoted names, Go's escapes.
    ('"model.name"="x"', [("model.name", "=", "x")]),
    ('{"model.name"="x", b!="c"}', [("model.name", "=", "x"), ("b", "!=", "c")]),
    ("model.name=x", [("model.name", "=", "x")]),
    ("größe=x", [("größe", "=", "x")]),
    (r'"model.name"="\t\x41\u00e9\xc3\xa9\101"', [("model.name", "=", "\tAééA")]),
]


@pytest.mark.parametrize(("text", "expected"), READINGS)
def test_matchers_are_read_as_alertmanager_reads_them(text, expected):
    """Classic first, then UTF-8, as Alertmanager itself falls back."""
    found = [(m.name, str(m.operator), m.value) for m in parse_matchers(text)]

    assert found == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("alertname", "needs =, !=, =~ or !~ after alertname"),
        ('a=="b"', "needs a value before ="),
        ('="b"', "needs a label name before ="),
        ('""="b"', "has an empty label name"),
        ('a="b', "needs a value before"),
        ('a="b\\', "needs a value before"),
        ('a="b"c"', "needs a comma before c"),
        ('a.b="c" d="e"', "needs a comma before d"),
        ('{"a.b"="c"', "a brace too many or too few"),
        ('"a.b"="c"}', "a brace too many or too few"),
        (r'"a.b"="\."', r"has an unknown escape \."),
        (r'"a.b"="\xff"', "is not valid UTF-8"),
        (r'"a.b"="\ud800"', "is not valid UTF-8"),
        (r'"a.b"="\Uffffffff"', "is not valid UTF-8"),
        ('"a.b"="c\nd"', "has a line break within its quotes"),
        (',a="b"', "needs a label name before ,"),
    ],
)
def test_a_text_that_is_no_matcher_is_explained(text, complaint):
    """One sentence: what is wrong, and how to write it."""
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        parse_matchers(text)

    assert "; write " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?<!a)", r"(a)\1", "(?>a)", "a*+", "a{1001}", "(a", "[b-a]", r"\Z", "a\\"],
)
def test_a_pattern_that_alertmanager_lacks_is_refused(pattern):
    """What would mean something else there, or nothing, must not be in our file."""
    with pytest.raises(ValueError, match=r"."):
        Regex(pattern)


def test_a_bad_pattern_names_the_pattern():
    """The complaint about a pattern is the one told, not that of the other syntax."""
    with pytest.raises(ValueError, match=r"'\(\?!x\)\\\\\.' is not a regular expression"):
        parse_matchers(r'a=~"(?!x)\."')


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        # The whole value, with and without signs of its ends.
        ("A|B", ["A", "B"], ["AB", "xA", "A\n", ""]),
        ("^A|B$", ["A", "B"], ["AB", "\nB"]),
        (r"\AA\z", ["A"], ["A\n"]),
        ("a$.", [], ["a\n"]),
        (".*", ["", "abc"], ["a\nb"]),
        ("(?s).*", ["a\nb"], []),
        ("(?m)a$\n^b", ["a\nb"], ["ab"]),
        # Classes are ASCII, sets may be anything.
        (r"\d+", ["42"], ["٤٢", ""]),
        (r"\w+", ["a_1"], ["é", "a-b"]),
        (r"\s", [" ", "\t"], ["\v", "\xa0"]),
        (r"\D\W\S", ["a-b"], ["1-b", "aab", "a- "]),
        ("[a-c_]x", ["ax", "_x"], ["dx"]),
        ("[^a-c]", ["d", "\n"], ["a", ""]),
        ("[[:a]", ["[", ":", "a"], ["b"]),
        ("[]a-]", ["]", "a", "-"], ["b"]),
        (r"[\w.-]+", ["a-b.c"], ["a b"]),
        (r"[^\W\d]", ["a"], ["1", "-"]),
        ("[[:alpha:][:^ascii:]]", ["a", "é"], ["1"]),
        (r"\pL\p{Nd}\PN\p{^L}\p{Any}", ["é٤a1\n"], ["1111a"]),
        # Case.
        ("(?i)straße", ["STRAßE", "straẞe"], ["strasse"]),
        ("(?i)[a-c]+x", ["AbCX"], ["D"]),
        ("a(?i)b|c", ["aB", "C"], ["AB"]),
        ("(?i:a)b", ["Ab"], ["AB"]),
        ("(?i)a(?-i:b)(?i-s:.)", ["Abx"], ["AB"]),
        # Repetition and alternatives.
        ("a?b{2}c{1,}d{0,1}", ["bbc", "abbccd"], ["abc", "bbcdd"]),
        ("a{0}b", ["b"], ["ab"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("(a|b|)*?c", ["c", "abac"], ["abd"]),
        ("(?P<n>a)(?<m>b)(?:c)", ["abc"], []),
        # Single characters.
        (r"a\.b\-c\_", ["a.b-c_"], ["axb-c_"]),
        (r"\x41\x{42}\103\n\012", ["ABC\n\n"], []),
        (r"\Qa.b*\E+|\Q\E", ["a.b*", "a.b**", ""], ["axb"]),
        (r"\bab\b.\B-", ["ab.-"], ["ab--c-"]),
        (r"a\b-\Bb?", ["a-"], ["a-b"]),
        (r"a.*\B", ["a-"], ["ab"]),
    ],
)
def test_patterns_mean_what_they_mean_in_alertmanager(pattern, accepted, refused):
    """Each construct of RE2, against the whole value."""
    regex = Regex(pattern)

    assert [text for text in accepted if not regex.accepts(text)] == []
    assert [text for text in refused if regex.accepts(text)] == []


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*,)*x", "(a|aa)+b", "(.*a){20}b"])
def test_no_pattern_hangs_on_a_strangers_value(pattern):
    """Backtracking would take longer than the universe lasts."""
    assert not Regex(pattern).accepts("a" * 5_000)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ('a="b"', {"a": "b"}, True),
        ('a="b"', {"a": "bb"}, False),
        ('a!="b"', {"a": "c"}, True),
        ('a!="b"', {"a": "b"}, False),
        ('a=~"b|c"', {"a": "c"}, True),
        ('a=~"b|c"', {"a": "bc"}, False),
        ('a!~"b|c"', {"a": "d"}, True),
        ('a!~"b|c"', {"a": "b"}, False),
        # A missing label is the empty text.
        ('a=""', {}, True),
        ('a!="b"', {}, True),
        ('a=~".*"', {}, True),
        ('a=~".+"', {}, False),
        ('a!~".+"', {}, True),
        ('"model.name"="x"', {"model.name": "x"}, True),
    ],
)
def test_a_matcher_compares_one_label(text, labels, matches):
    """Each operator, with the label there and missing."""
    (matcher,) = parse_matchers(text)

    assert matcher.matches(labels) is matches


values = st.text(st.characters(exclude_categories=["Cs"]))


@given(values.filter(bool), st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), values)
def test_a_written_matcher_is_read_as_the_same(name, operator, value):
    """Whatever the name and the value, nothing is lost on the way through text."""
    matcher = Matcher(name, operator, value)

    assert parse_matchers(str(matcher)) == (matcher,)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """A broken matcher is a ValueError and nothing else."""
    with suppress(ValueError):
        parse_matchers(text)


@given(values)
def test_a_quoted_value_matches_itself(value):
    """Operators that exclude each other never agree."""
    labels = {"a": value}

    for plus, minus in [("=", "!="), ("=~", "!~")]:
        (yes,) = parse_matchers(str(Matcher("a", Operator(plus), "x")))
        (no,) = parse_matchers(str(Matcher("a", Operator(minus), "x")))
        assert yes.matches(labels) is not no.matches(labels)
