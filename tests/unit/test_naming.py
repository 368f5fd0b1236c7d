"""Names of models: valid ones, and those that two sets of labels would share."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.ambiguity import ambiguity_of, clear_separator
from receiver.core.policies import fill, is_model_name
from receiver.core.regexes import Regex


@pytest.mark.parametrize(
    "name",
    [
        "42",
        "a",
        "meta-llama/Llama-3-8B",
        "a/b/c",
        "a/.b",
        "a/..b",
        "a/b..",
        "A:b@c_d.e",
        "x" * 128,
    ],
)
def test_a_model_may_be_called(name):
    """Letters, digits and marks; organisation/model, as registries have it."""
    assert is_model_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "/a",
        "a/",
        "a//b",
        "a/../b",
        "a/..",
        "a/./b",
        "a/.",
        "../a",
        "a b",
        "a\n",
        "x" * 129,
    ],
)
def test_a_model_may_not_be_called(name):
    """Nothing that a path, an address or a shell would read otherwise."""
    assert not is_model_name(name)


def found(template, **patterns):
    return ambiguity_of(template, {label: Regex(text) for label, text in patterns.items()})


AMBIGUOUS = [
    ("{a}-{b}", "[a-z0-9-]+", "[a-z0-9-]{1,40}", "a-b-c"),
    ("{a}-{b}", ".*", ".*", "a-b-c"),
    ("{a}/{b}", "[a-z/]+", "[a-z/]+", "a/b/c"),
    ("{a}{b}", "[0-9]{1,3}", "[0-9a-z]+", "00a"),
    ("{a}-v{b}", "[a-z0-9-]+", "[0-9v-]+", "a-v-vv"),
    ("{a}-{b}", "([a-z-]{1,10}x){1,30}", "[a-z-]+", "ax-x-b"),
    ("{a}-{b}", "(?i)[A-Z-]+?", r"\pL[\w-]*", "a-b-c"),
    ("{a}-{b}", "^(?P<x>[a-z]+(?:-x)?)$", r"\Ax-?|[a-z-]{2,}\z", "a-x-x"),
    ("{a}-{b}", "(?i:[A-Z-])+", "[[:lower:]-]+", "a-b-c"),
    ("{a}-{b}", "a(?i)B-?", r"\x2d?c", "ab--c"),
    ("{a}{b}", "a+-*", "-*", "a--"),
    # Not followed, but tried.
    ("{a}-{b}", r"[a-z-]+\b", r"[a-z-]+", "1"),
    ("{a}-{b}", "(a{1,30}-?){1,30}(b{1,30}-?){1,30}", "(b{0,30}-?){1,30}", "1"),
]


@pytest.mark.parametrize(("template", "a", "b", "name"), AMBIGUOUS)
def test_a_name_that_two_sets_of_labels_share_is_found(template, a, b, name):
    """With an example that is real: each value matches, and both give the name."""
    pair = found(template, a=a, b=b)

    assert pair is not None
    assert name in {pair.name, "1"}
    assert pair.one != pair.other
    assert fill(template, pair.one) == fill(template, pair.other) == pair.name
    for values in (pair.one, pair.other):
        assert Regex(a).accepts(values["a"])
        assert Regex(b).accepts(values["b"])


@pytest.mark.parametrize(
    ("template", "a", "b"),
    [
        ("{a}.{b}", "[a-z0-9-]+", "[a-z0-9-]{1,40}"),
        ("{a}.{b}", "[a-z0-9-]{1,128}", "[a-z0-9-]{1,128}"),
        ("{a}-{b}", "[a-z-]+", "[a-z]+"),  # one side is enough
        ("{a}-{b}", "[a-z]+", "[a-z-]+"),
        ("{a}{b}", "[0-9]{1,128}", "[a-z]{1,128}"),
        ("{a}{b}", "[0-9]{3}", "[0-9a-z]+"),
        ("{a}-v{b}", "[a-z-]+", "[0-9]+"),
        ("{a}__{b}", "[a-z](_?[a-z]+)*", "[a-z](_?[a-z]+)*"),
        ("{a}-{b}", "[a-z]{8}(-[a-z]{4}){3}", "[a-z-]+"),
        ("{a}-{b}", "foo|foo-bar", "[a-c]+"),
        ("{a}/{b}", "[a-z]+/?", ".+"),  # `//` is in no name
        ("{a}-{b}", "[é-ü-]+", ".+"),  # such a value is in no name
        ("{a}-{b}", r"[a-z]+\b", "[a-z]+"),
        ("{a}-{b}", "[a-z]+$b?", "[a-z]+"),
        ("{a}-{b}", "a{64}(-a)?", "(a-)?a{64}"),  # such a name is too long
        ("{a}-{b}", r"\b\b[0-9]{9}", "[a-z]+"),
    ],
)
def test_a_clear_name_is_not_refused(template, a, b):
    """Whatever else the patterns let through: the two must be able to meet."""
    assert found(template, a=a, b=b) is None


def test_a_field_that_occurs_twice_has_one_value():
    """`{a}-{a}` is clear, whatever stands between: both halves are alike."""
    assert found("{a}-{a}", a="[a-z-]+") is None
    assert found("{a}{b}{a}", a="a+", b="a+") is not None
    assert found("{a}-{b}-{a}", a="x{9}", b="[a-z]+") is None


def test_a_search_without_end_is_given_up():
    """A configuration is loaded all the same: a clash is told when it happens."""
    assert found("{a}-{b}", a="(a{1,10}-?){1,30}c", b="d(b{0,10}-?){1,30}") is None


def test_one_field_is_the_name():
    """Nothing is joined."""
    assert found("team-{a}", a=".*") is None
    assert found("team-{a}", a=".*", b=".*") is None


@pytest.mark.parametrize(
    ("pattern", "separator"), [("[a-z-]+", "."), ("[a-z.-]+", ":"), ("[a-z.:@_/-]+", None)]
)
def test_a_cure_is_looked_for(pattern, separator):
    """The first mark that no value can hold, if there is one."""
    patterns = {"a": Regex(pattern), "b": Regex(pattern)}

    assert clear_separator("{a}-{b}", patterns) == separator


pieces = st.sampled_from(["a", "b", "-", "[ab]", "[a-]", "(?:a|b-)", "(?:-a)", "[^a]", "."])
repeats = st.sampled_from(["", "?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}"])
patterns = st.lists(st.builds(str.__add__, pieces, repeats), min_size=1, max_size=3).map("".join)
either = st.one_of(patterns, st.builds("{}|{}".format, patterns, patterns))

TEXTS = ["".join(chars) for size in range(1, 4) for chars in product("ab-", repeat=size)]


@settings(deadline=None)
@given(a=either, b=either, between=st.sampled_from(["", "-", "a", "-a"]))
def test_what_short_values_show_is_found_and_nothing_else(a, b, between):
    """The search agrees with trying all values of up to three characters."""
    template = f"{{a}}{between}{{b}}"
    fitting = [[text for text in TEXTS if Regex(each).accepts(text)] for each in (a, b)]
    names = [one + between + other for one, other in product(*fitting)]
    valid = [name for name in names if is_model_name(name)]

    pair = found(template, a=a, b=b)

    if len(valid) != len(set(valid)):
        assert pair is not None
    if pair is not None:
        assert pair.one != pair.other
        assert fill(template, pair.one) == fill(template, pair.other) == pair.name
        assert Regex(a).accepts(pair.one["a"])
        assert Regex(a).accepts(pair.other["a"])
