"""What the page makes of strangers' values: thresholds, links, visible text, lines."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from receiver.web.page.annotations import read
from receiver.web.page.labels import ago, sign, visible, web_link
from receiver.web.page.sparkline import HEIGHT, WIDTH, Point, draw
from tests.fakes import NOON

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("expression", "annotation", "threshold"),
    [
        ("max by (user_id) (model_mae_score) > 0.45", None, 0.45),
        ("(model_r2_score < 0.75)", None, 0.75),
        ("model_bias >= -1.5e2", None, -150.0),
        ("model_mae_score > 0.45", "0.5", 0.5),
        ("model_mae_score > 0.45", "0", 0.0),
        ("model_mae_score > 0.45", "high", 0.45),
        ("model_mae_score > 0.45", "NaN", 0.45),
        ("a > 1 and b < 2", None, None),
        ("model_mae_score > on (user_id) limits", None, None),
        ("model_mae_score", None, None),
    ],
)
def test_the_threshold_is_told_or_read_from_the_rule(expression, annotation, threshold):
    """The annotation counts most; else a number that the whole expression is compared with."""
    link = "http://prometheus:9090/graph?" + urlencode({"g0.expr": expression})
    annotations = {} if annotation is None else {"threshold": annotation}

    assert read({"annotations": annotations, "generatorURL": link}).threshold == threshold


@pytest.mark.parametrize("alert", [{}, {"annotations": [], "generatorURL": 7}])
def test_an_alert_may_tell_nothing(alert):
    """Whatever has another shape tells nothing."""
    told = read(alert)

    assert (told.threshold, told.summary, told.source, told.runbook) == (None, "", None, None)


@pytest.mark.parametrize(
    ("url", "followed"),
    [
        ("https://prometheus.example.com/graph?g0.expr=up", True),
        ("http://[::1]:9090/", True),
        ("javascript:alert(1)", False),
        ("JAVASCRIPT:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("/webhook", False),
        ("https://", False),
        ("https://a b", False),
        ("https://a\u202eb", False),
        ("http://[bad", False),
        ("https://long/" + "x" * 5000, False),
        (None, False),
    ],
)
def test_only_whole_web_links_are_followed(url, followed):
    """Everything else stays text."""
    assert web_link(url) == (url if followed else None)


def test_what_a_browser_would_obey_is_shown():
    """Bidi and controls become visible; letters of every script, lines and tabs stay."""
    assert visible("a\u202eb\x1b\u200b") == r"a\u202eb\x1b\u200b"
    assert visible("größe 模型\n\tx") == "größe 模型\n\tx"


@pytest.mark.parametrize(
    "values", [[0.5], [0.5, 0.5], [1.0, 0.2, 3.0], [-1e308, 1e308], [5e-324, 0.0]]
)
def test_a_line_stays_within_its_picture(values):
    """Whatever the values are: one, the same ones, the largest there are."""
    points = [Point(NOON + number * HOUR, value) for number, value in enumerate(values)]
    runs = [NOON - HOUR, NOON + HOUR / 2]

    line = draw("MAE", points, 0.45, runs, NOON + 5 * HOUR)

    assert line is not None
    places = [place.split() for place in line.path[1:].split("L")]
    assert len(places) == len(values)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in places)
    assert len(line.marks) == 1
    assert "threshold 0.45" in line.label


def test_no_values_make_no_line():
    """Nothing is drawn of nothing."""
    assert draw("MAE", [], 0.45, [], NOON) is None


def test_moments_are_told_from_now():
    """Before, after, and now."""
    assert ago(NOON, NOON) == "now"
    assert ago(NOON - HOUR, NOON) == "1h ago"
    assert ago(NOON + HOUR, NOON) == "in 1h"


def test_a_word_that_is_newer_than_the_page_speaks_for_itself():
    """A rung or state that comes later needs no change here."""
    assert sign({}, "brand_new").words == "brand new"
