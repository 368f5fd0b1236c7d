import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core.containment import all_implied, alternatives, implies
from receiver.core.matchers import parse_matchers


def matcher(text):
    (found,) = parse_matchers(text)
    return found


@pytest.mark.parametrize(
    ("narrow", "wide", "implied"),
    [
        ('a="x"', 'a="x"', True),
        ('a="x"', 'a="y"', False),
        ('a="x"', 'b="x"', False),
        ('a="ModelDrift"', 'a=~"Model.*"', True),
        ('a="ModelDrift"', 'a!="x"', True),
        ('a=~"x|y"', 'a=~"x|y|z"', True),
        ('a=~"^(x|y)$"', 'a=~"[xy]"', True),
        ('a=~"(?:x|y)"', 'a="x"', False),
        ('a=~"x.+"', 'a!="x"', True),
        ('a=~"x.*"', 'a!="x"', False),
        ('a!="x"', 'a=~".*"', True),
        ('a=~"ModelDrift.*"', 'a=~"Model.*"', True),
        ('a=~"ModelDrift.*|B"', 'a=~"Model.*"', False),
        ('a=~"Model*"', 'a=~"Model.*"', False),
        ('a=~"Mod.+"', 'a=~"Model.*"', False),
        ('a=~"(?i)model.*"', 'a=~"(?i)mod.*"', False),
        ('a=~"Model.*"', 'a=~"Model.+"', False),
        ('a!~"x.*"', 'a=~"y.*"', False),
    ],
)
def test_implied(narrow, wide, implied):
    """Lists, prefixes and inequalities are decided; what can't be is not claimed."""
    assert implies(matcher(narrow), matcher(wide)) is implied


def test_all_of_the_wide_must_be_implied():
    """A matcher more makes narrower; one that nothing implies makes it another set."""
    narrow = parse_matchers('{a="x", b="y"}')

    assert all_implied(narrow, parse_matchers('a="x"'))
    assert all_implied(narrow, ())
    assert not all_implied(parse_matchers('a="x"'), narrow)


def test_a_pattern_with_too_many_alternatives_is_no_list():
    """What is listed is bounded."""
    assert alternatives("|".join(map(str, range(100)))) is None


OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])
PATTERNS = st.text("ab|.*+?()", max_size=6)


@given(OPERATORS, PATTERNS, OPERATORS, PATTERNS, st.lists(st.text("abx", max_size=4), max_size=20))
def test_what_is_implied_is_true(one, narrow, other, wide, values):
    """No value is a counterexample."""
    try:
        mine, its = matcher(f'a{one}"{narrow}"'), matcher(f'a{other}"{wide}"')
    except ValueError:
        return
    if implies(mine, its):
        assert all(its.matches({"a": each}) for each in values if mine.matches({"a": each}))
