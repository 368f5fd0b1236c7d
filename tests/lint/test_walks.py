"""What is said of alerts that are not known holds for each of those that they may be."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.matchers import parse_matchers
from receiver.lint.alertmanager_files import all_routes, read_alertmanager
from receiver.lint.documents import Document
from receiver.lint.label_sets import Answer, LabelSet
from receiver.lint.questions import Questions
from receiver.lint.routing import arrivals, pruned, surely_reaches

VALUES = ("x", "y", "z", "")
OURS = frozenset({"ours"})

MATCHERS = st.lists(
    st.sampled_from(
        ['a="x"', 'a=~"x|y"', 'a!="x"', 'b="y"', 'b=~".+"', 'b=~".*"', 'b=""', 'a=~"x.*"']
    ),
    max_size=2,
)


def routes(below):
    return st.fixed_dictionaries(
        {
            "matchers": MATCHERS,
            "receiver": st.sampled_from(["ours", "theirs"]),
            "continue": st.booleans().map(lambda goes_on: str(goes_on).lower()),
            "routes": below,
        }
    )


LEAVES = routes(st.just([]))
ROUTES = st.recursive(LEAVES, lambda each: routes(st.lists(each, max_size=3)), max_leaves=8)
POSSIBLE = st.sampled_from([None, ("x",), ("x", "y"), ("y", "")])


@given(ROUTES, POSSIBLE, POSSIBLE)
def test_what_is_sure_is_sure(root, of_a, of_b):
    """Each alert that there may be comes to us, or none does, as is said; pruned or not."""
    file = read_alertmanager([Document("a.yml", {"route": {**root, "matchers": []}})])
    assert file is not None
    possible = {
        name: None if values is None else frozenset(values)
        for name, values in (("a", of_a), ("b", of_b))
    }
    known = LabelSet(possible)
    concrete = [
        LabelSet({"a": frozenset({a}), "b": frozenset({b})})
        for a, b in product(of_a or VALUES, of_b or VALUES)
    ]
    reached = [
        any(each.route.receiver in OURS for each in arrivals(file.route, alert))
        for alert in concrete
    ]
    small = pruned(file.route, OURS)
    found = arrivals(small, known, ours=OURS)

    assert [bool(arrivals(small, alert, ours=OURS)) for alert in concrete] == reached
    if surely_reaches(small, known, OURS) or any(each.certainty is Answer.YES for each in found):
        assert all(reached)
    if not found:
        assert not any(reached)


TEXTS = st.sampled_from(["x", "xx", "y", "yy", "z", "zz", ""])
SETS = st.one_of(st.none(), st.frozensets(TEXTS, min_size=1, max_size=3))


@settings(deadline=None)
@given(ROUTES, SETS, SETS, SETS, SETS)
def test_who_is_alike_goes_the_same_way(root, a, b, other_a, other_b):
    """Alerts that no matcher tells apart are walked once: each of them would go there."""
    file = read_alertmanager([Document("a.yml", {"route": {**root, "matchers": []}})])
    assert file is not None
    routes = all_routes(file.route)
    questions = Questions(each.matcher for route in routes for each in route.matchers)
    one, other = LabelSet({"a": a, "b": b}), LabelSet({"a": other_a, "b": other_b})

    if questions.key(one) == questions.key(other):
        assert arrivals(file.route, one) == arrivals(file.route, other)


def test_what_a_matcher_tells_apart_is_not_alike():
    """Equal texts, patterns and their opposites are all asked."""
    asked = [parse_matchers(each)[0] for each in ('a="x"', 'a!="y"', 'a=~"z.*"', 'a!~"w.*"')]
    questions = Questions(asked)
    keys = {questions.key(LabelSet({"a": frozenset({text})})) for text in "xyzwv"}

    assert len(keys) == 5
    assert questions.key(LabelSet({"a": frozenset({"z1"})})) in keys
