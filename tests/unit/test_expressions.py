"""What a rule measures, and against which number: read from its expression."""

import pytest

from receiver.core.expressions import Comparison, comparison_of, of_labels

MAE = "max by (user_id) (model_mae_score)"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (f"{MAE} > 0.45", Comparison(MAE, 0.45, bad_above=True)),
        ("model_r2_score<0.75", Comparison("model_r2_score", 0.75, bad_above=False)),
        (" ( (a - b) >= -1.5e2 ) ", Comparison("(a - b)", -150, bad_above=True)),
        ("a <= bool 2", Comparison("a", 2, bad_above=False)),
        ("(a) > 1", Comparison("(a)", 1, bad_above=True)),
        ("avg(a[5m:1m] > 2) < 3", Comparison("avg(a[5m:1m] > 2)", 3, bad_above=False)),
        (
            'm{a=~"b|c", n!="> 3 # ("} > 4',
            Comparison('m{a=~"b|c", n!="> 3 # ("}', 4, bad_above=True),
        ),
        (r"""m{a='\'>', b=`"`} > 4""", Comparison(r"""m{a='\'>', b=`"`}""", 4, bad_above=True)),
        ("a > 1 and b < 2", None),
        ("a OR b > 1", None),
        ("a > 1 > 0", None),
        ("a == 1", None),
        ("a > b", None),
        ("a > on (x) 1", None),
        ("0.45 < a", None),
        ("> 1", None),
        ("avg(a > 2)", None),
        ("a > 2 # or so", None),
        ("(a > 2", None),
        ("a) > 2 or (b", None),
        ('a{b="c} > 2', None),
        ("a", None),
        ("", None),
        ("()", None),
        ("a" * 4000 + " > 1", None),
    ],
)
def test_an_expression_is_split_at_its_comparison(expression, found):
    """Only where the whole of it compares one thing with a number; else nobody knows."""
    assert comparison_of(expression) == found


def test_the_bad_side_is_the_one_that_fires():
    """Above or below; the threshold itself is on neither side."""
    above, below = comparison_of("a > 1"), comparison_of("a < 1")

    assert [above.is_bad(value) for value in (0.9, 1.0, 1.1)] == [False, False, True]
    assert [below.is_bad(value) for value in (0.9, 1.0, 1.1)] == [True, False, False]


def test_only_a_models_own_series_are_asked_for():
    """By all labels that name it, quoted; without any, or by one that can't be written, not."""
    assert of_labels("a", {"x": 'q"\\\n$1', "y": "2"}) == (
        '(a) and on (x, y) label_replace(label_replace(vector(1), "x", "q\\"\\\\\\n$$1", "", ""), '
        '"y", "2", "", "")'
    )
    assert of_labels("a", {}) is None
    assert of_labels("a", {"größe": "1"}) is None
