"""PromQL is followed as far as it says which labels an alert has."""

from datetime import timedelta

import pytest

from receiver.lint.label_sets import ABSENT
from receiver.lint.promql import NotPromql, follow

ANY = None


@pytest.mark.parametrize(
    ("expression", "user_id", "job"),
    [
        # Nothing is dropped, and `=` says what a label is.
        ("m > 1", ANY, ANY),
        ('m{job="a", user_id!="b"} > 1', ANY, {"a"}),
        ('m{job=~"a|b"}', ANY, {"a", "b"}),
        ('{"model.mae", job="a"} > 1', ANY, {"a"}),
        ("-m ^ 2 > 1", ANY, ANY),
        # Aggregations keep what they name, before or behind.
        ("sum(m)", ABSENT, ABSENT),
        ("max by (user_id) (m) > 0.4", ANY, ABSENT),
        ("max(m) by (user_id) > 0.4", ANY, ABSENT),
        ("sum without (job) (m)", ANY, ABSENT),
        ('sum by (job, user_id) (rate(m{job="a"}[5m]))', ANY, {"a"}),
        ("topk(3, m)", ANY, ANY),
        ("quantile by (user_id) (0.9, m)", ANY, ABSENT),
        ('count_values("user_id", m)', ANY, ABSENT),
        # Functions.
        ("histogram_quantile(0.9, sum by (le, user_id) (rate(m[5m]))) > 1", ANY, ABSENT),
        ('label_replace(sum(m), "user_id", "$1", "x", "(.*)")', ANY, ABSENT),
        ('absent(m{job="a", user_id=~"b.*"})', ABSENT, {"a"}),
        ("vector(1)", ABSENT, ABSENT),
        ("time() - max by (user_id) (m) > 60", ANY, ABSENT),
        # Two sides.
        ("m / on (user_id) n > 1", ANY, ABSENT),
        ("m / ignoring (job) n", ANY, ABSENT),
        ("sum by (user_id) (m) * on (user_id) group_left (job) n", ANY, ANY),
        ("m and on (user_id) n", ANY, ANY),
        ("sum(m) unless n", ABSENT, ABSENT),
        ('m{job="a"} or m{job="b"}', ANY, {"a", "b"}),
        ("sum(m) or n", ANY, ANY),
        ("3 < bool m", ANY, ANY),
        ("sum(m) > on () group_right () n", ANY, ANY),
        # Comments, times, nesting.
        ("m # by (job)\n offset 5m > 1e3 and m @ end() > -Inf", ANY, ANY),
    ],
)
def test_labels(expression, user_id, job):
    """What an expression lets through, drops and sets."""
    series = follow(expression).series

    assert series is not None
    assert series.possible("user_id") == user_id
    assert series.possible("job") == job


@pytest.mark.parametrize(
    ("expression", "window"),
    [
        ("m > 1", "0m"),
        ("avg_over_time(m[1h]) > 1", "60m"),
        ("max_over_time(rate(m[5m])[1h:1m]) > 1", "65m"),
        ("rate(m[5m]) > rate(n[30m])", "30m"),
    ],
)
def test_how_far_back_it_looks(expression, window):
    """The longest range counts; that of a subquery comes on top of what is in it."""
    assert follow(expression).window == timedelta(minutes=int(window[:-1]))


@pytest.mark.parametrize("expression", ["m >", "{{ .Values.expr }}", "sum(m", "m{a=}", "(" * 500])
def test_what_is_no_promql(expression):
    """Whoever asks is told, and takes every label for possible."""
    with pytest.raises((NotPromql, IndexError)):
        follow(expression)
