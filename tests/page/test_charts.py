"""A model's chart: what it shows, from whom, and that nobody waits for it."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from receiver.core.sources import SourceDown
from tests.page.scene import HOUR
from tests.page.test_looks import violations
from tests.page.test_pages import Tags, words

MODEL = "/ui/models/forecast-eu"


class Prometheus:
    """Says what it was told to say of every expression."""

    def __init__(self, value=0.3):
        self.value = value
        self.asked = []
        self.down = ""
        self.meanwhile = lambda: None

    def values(self, expression, begin, end, step, *, seconds):
        assert seconds <= 2
        self.asked.append(expression)
        self.meanwhile()
        if self.down:
            raise SourceDown(self.down)
        moments = [end - number * step for number in range(20, -1, -1)]
        return [(at, self.value) for at in moments if at >= begin]


@pytest.fixture
def told(scene):
    """The scene with a Prometheus to ask."""
    service = scene.peer.service
    before, service.loaded = service.loaded, replace(service.loaded, values=Prometheus())
    scene.history.clock.pass_(timedelta(minutes=1))  # what was said before is not fresh any more
    yield service.loaded.values
    service.loaded = before


def drawn(page, tag, kind):
    """The attributes of the chart's elements of a kind."""
    found = [attributes for name, attributes in Tags(page.text).found if name == tag]
    return [one for one in found if kind in (one.get("class") or "").split()]


def test_it_shows_values_thresholds_runs_and_recoveries(peer):
    """Of each alert its own; the runs are those of the API, with how they ended."""
    page = peer.get(f"{MODEL}?range=7d")
    runs = peer.get("/models/forecast-eu").json()["runs"]

    assert page.status == 200
    assert "HighModelMAE \u2717 0.71 when last delivered" in words(page)
    assert "bad, above 0.45" in words(page)
    assert "Threshold 0.75, from the rule's expression." in words(page)
    assert len(drawn(page, "line", "threshold")) == 2
    bars = [one["class"].split()[1] for one in drawn(page, "rect", "bar")]
    assert sorted(bars) == sorted(f"dispatch-{run['state']}" for run in runs)
    assert page.text.count("\u25b2</text>") == 2 * 2  # for each kind of screen
    assert "sources.prometheus is not set" in words(page)


def test_each_range_shows_what_lies_within_it(peer):
    """Links lead to each without JavaScript; the shortest is shown first."""
    usual, week, month = (peer.get(MODEL + query) for query in ("", "?range=7d", "?range=30d"))

    assert "The last 24 hours" in words(usual)
    assert "The last 30 days" in words(month)
    assert len(drawn(usual, "rect", "bar")) < len(drawn(week, "rect", "bar"))
    assert set(re.findall(r'href="/ui/models/forecast-eu(\?range=\w+)"', usual.text)) == {
        "?range=24h",
        "?range=7d",
        "?range=30d",
    }
    assert re.search(r'\?range=7d" aria-current="true"', week.text)


def test_a_wrong_range_says_which_there_are(peer):
    """The page is there all the same, with the choice to make."""
    page = peer.get(f"{MODEL}?range=2h")

    assert page.status == 400
    assert "range can be 24h, 7d, 30d; not '2h'" in words(page)
    assert "The last 24 hours" in words(page)
    assert 'href="/ui/models/forecast-eu?range=7d"' in page.text


def test_between_deliveries_prometheus_tells(peer, told):
    """What is measured, of this model alone; and whether it is good now."""
    page = peer.get(MODEL)

    assert told.asked[-1] == (
        "(max by (namespace, user_id) (model_mae_score)) and on (user_id) "
        'label_replace(vector(1), "user_id", "forecast-eu", "", "")'
    )
    assert "HighModelMAE \u2713 0.3 now: good, not above 0.45" in words(page)
    assert "LowModelR2 \u2717 0.3 now: bad, below 0.75" in words(page)
    assert len(drawn(page, "path", "line")) == 2
    assert drawn(page, "path", "joined") == []


def test_without_its_answer_the_chart_is_drawn_from_deliveries(peer, told):
    """And says why."""
    told.down = "prometheus:9090 does not answer: refused"
    page = peer.get(MODEL)

    assert page.status == 200
    assert "0.71 when last delivered" in words(page)
    assert "Prometheus did not say what was between deliveries: prometheus:9090" in words(page)
    assert len(drawn(page, "path", "joined")) == 2
    assert len(told.asked) == 2


def test_nothing_is_asked_inside_a_transaction(scene, told):
    """While Prometheus thinks, no connection to the database is held."""
    pool, held = scene.history.store._engine.pool, []
    told.meanwhile = lambda: held.append(pool.checkedout())

    assert scene.peer.get(MODEL).status == 200
    assert held == [0, 0]


def test_a_quiet_model_knows_its_threshold(peer):
    """It is told by the last delivery, also when nothing fires any more."""
    page = peer.get("/ui/models/pricing-7?range=7d")

    assert "Threshold 0.45, from the rule's expression." in words(page)
    assert "hold-paused" in page.text
    assert "paused" in words(page).partition("Pauses and silences")[2]


def test_what_resolved_brings_is_no_value(stage):
    """It is the last one that was seen firing: neither new nor of that time."""
    scene = stage()
    began = scene._stamp(-HOUR)
    scene.fires("42", 0.5, 0.7, starts_at=began)
    scene.ends("42", starts_at=began)
    page = scene.peer.get("/ui/models/42")

    assert scene.history.log(model="42", reason="resolved")[0].value not in {None, 0.7}
    assert "0.7 when last delivered" in words(page)
    assert "2 values delivered" in words(page)


@pytest.mark.parametrize("length", [{}, {"for": "7d"}, {"for": "1h"}])
def test_a_pause_that_is_over_is_a_band(stage, length):
    """From its beginning to the moment when it was lifted or ended, though nothing fired then."""
    scene = stage()
    scene.post(scene.alert("42"))
    scene.history.clock.pass_(HOUR)
    scene.act("/models/42/pause", **length)
    scene.history.clock.pass_(HOUR)
    scene.act("/models/42/resume")
    scene.history.clock.pass_(22 * HOUR)
    page = scene.peer.get("/ui/models/42")

    [bar] = [one for one in drawn(page, "rect", "bar") if "hold-paused" in one["class"]]
    assert (bar["x"], bar["width"]) == ("4.17%", "4.16%")


def test_a_model_without_values_has_a_chart_of_its_runs(stage):
    """It says that none was delivered."""
    scene = stage()
    scene.post({**scene.alert("42"), "annotations": {}})

    page = scene.peer.get("/ui/models/42")
    assert "No delivery of these 24 hours brought a value." in words(page)


def test_a_threshold_may_be_told_by_an_annotation(stage):
    """It counts more than the rule's; the side is the rule's."""
    scene = stage()
    alert = scene.alert("42", value="0.47")
    scene.post({**alert, "annotations": {"value": "0.47", "threshold": "0.5"}})

    said = words(scene.peer.get("/ui/models/42"))
    assert "Threshold 0.5, from the annotation `threshold`." in said
    assert "good, not above 0.5" in said


def test_a_busy_model_makes_no_long_page(stage):
    """However much was delivered, the page stays below 100 KB; tables tell the last of it."""
    scene = stage()
    began = scene._stamp(-HOUR)
    for number in range(300):
        scene.post(
            scene.alert("42", value=f"0.{50 + number % 40}", starts_at=began),
            scene.alert("42", "LowModelR2", value=f"0.{10 + number % 40}", starts_at=began),
        )
        scene.history.clock.pass_(timedelta(minutes=5))
    page = scene.peer.get("/ui/models/42")

    assert len(page.body) < 100_000
    assert "HighModelMAE: the last 20 of" in words(page)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("range_", ["24h", "7d", "30d"])
def test_no_label_lies_over_another(peer, tab, range_, width):
    """Neither on a phone nor on a desk; none is cut off, none is tiny; the tables open."""
    page = tab(
        f"{peer.url}{MODEL}?range={range_}",
        viewport={"width": width, "height": 800},
        java_script_enabled=False,
    )
    page.locator("#chart summary").click()

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for axis in page.locator("#chart svg").all():
        texts = [one for one in axis.locator("text.tick").all() if one.is_visible()]
        boxes = [one.bounding_box() for one in texts]
        for box in boxes:
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 11
        for one, other in pairwise(boxes):
            beside = one["x"] + one["width"] < other["x"]
            below = abs(one["y"] - other["y"]) >= 11
            assert beside or below
    assert page.locator("#chart table").first.is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everyone_can_use_its_tables(peer, tab, theme):
    """Opened, they are as accessible as the rest."""
    page = tab(f"{peer.url}{MODEL}?range=7d", color_scheme=theme)
    page.locator("#chart summary").click()

    assert violations(page, theme) == []
