"""One act on the models that were ticked."""

import re
from urllib.parse import urlencode

import pytest

from tests.page.scene import CONFIG
from tests.page.test_acting import FORM, OURS
from tests.page.test_looks import violations
from tests.page.test_pages import WITH_AUTH, words
from tests.posts import entry, post


def send(peer, fields, headers=OURS, token=None):
    return peer.post("/ui/selection", urlencode(fields).encode(), headers=headers, token=token)


@pytest.fixture
def acted(stage):
    """Three models that fire."""
    scene = stage(CONFIG)
    scene.post(*(scene.alert(name) for name in ("one", "two", "three")))
    return scene


def state_of(scene, model):
    return scene.peer.get(f"/models/{model}").json()["state"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_what_is_ticked_is_paused_and_resumed(acted, tab, script):
    """Nothing else is; each is told of by itself, and leaves its own decision."""
    page = tab(acted.peer.url, java_script_enabled=script)
    for name in ("one", "three"):
        page.get_by_label(f"Select {name}", exact=True).check()
    page.get_by_label("What to do with the ticked ones").select_option("pause")
    page.get_by_role("button", name="Go on").click()
    assert "Pause: 2 models" in page.locator("h1").inner_text()
    page.get_by_label("24 hours").check()
    page.get_by_label("Why?").fill("backfill")
    page.get_by_role("button", name="Pause: 2 models").click()

    page.get_by_text("done to 2 of 2").wait_for()
    paused = [
        bool(acted.peer.get(f"/models/{one}").json()["paused"]) for one in ("one", "two", "three")
    ]
    assert paused == [True, False, True]
    for name in ("one", "three"):
        [decision] = acted.history.log(model=name, source="operator")
        assert decision.comment == "backfill"
        assert decision.detail.startswith(f"model {name} paused until 2026")

    page.goto(f"{acted.peer.url}/ui/selection?act=resume&model=one&model=three")
    page.get_by_label("Why?").fill("it is done")
    page.get_by_role("button", name="Resume: 2 models").click()
    page.get_by_text("done to 2 of 2").wait_for()
    assert acted.peer.get("/models/one").json()["paused"] is None


def test_what_can_not_be_done_is_told_and_holds_nobody_up(acted):
    """In the form, and once more if it came between."""
    acted.act("/models/two/pause")
    form = acted.peer.get("/ui/selection?act=retrain&model=one&model=two&model=nobody")
    fields = [("act", "retrain"), ("model", "nobody"), ("model", "two"), ("comment", "x")]

    assert "not now: no model is remembered by this name (test alerts leave none)" in words(form)
    assert "not now: dispatch" in words(form)  # what fires was ordered at once
    assert "Nothing" not in words(form)
    done = send(acted.peer, [*fields, ("key", "k1")])
    assert "done to 1 of 2" in words(done) or "done to 0 of 2" in words(done)
    assert done.status == 200


def test_sent_twice_it_is_done_once(acted):
    """Each model by itself; another selection with the same key is refused."""
    fields = [("act", "pause"), ("for", "4h"), ("comment", "x"), ("key", "k2"), ("model", "one")]

    for _ in range(2):
        assert "done to 1 of 1" in words(send(acted.peer, fields))
    assert len(acted.history.log(model="one", source="operator")) == 1
    other = send(acted.peer, [("act", "resume"), *fields[1:]])
    assert "done to 0 of 1" in words(other)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("act=pause", "no model is selected: tick some of them first"),
        ("act=forget&model=one", "act can be pause, resume, retrain; not 'forget'"),
        ("act=pause&model=one&back=/x", "'back' has no meaning here"),
        ("act=pause&" + "&".join(f"model=m{number}" for number in range(51)), "too many at once"),
    ],
)
def test_what_is_wrong_is_said(acted, query, said):
    """On a page."""
    page = acted.peer.get(f"/ui/selection?{query}", headers={"Accept": "text/html"})

    assert page.status == 400
    assert said in words(page)


def test_without_a_reason_the_form_comes_back(acted):
    """With what was selected, and nothing was done."""
    page = send(acted.peer, [("act", "pause"), ("model", "one"), ("comment", " ")])

    assert page.status == 400
    assert "say why" in words(page)
    assert '<input type="hidden" name="model" value="one">' in page.text
    assert acted.peer.get("/models/one").json()["paused"] is None


def test_only_operators_act_and_only_from_our_pages(stage):
    """Readers have no boxes to tick; another origin's form is refused."""
    scene = stage(WITH_AUTH, ("webhook", "reader", "operator"))
    scene.peer.post("/webhook", post(entry("42")), token="token-webhook")
    fields = [("act", "pause"), ("model", "42"), ("comment", "x")]
    foreign = {**FORM, "Sec-Fetch-Site": "cross-site"}

    assert 'name="model"' not in scene.peer.get("/", token="token-reader").text
    assert 'name="model"' in scene.peer.get("/", token="token-operator").text
    assert scene.peer.get("/ui/selection?act=pause&model=42", token="token-reader").status == 403
    assert send(scene.peer, fields, token="token-reader").status == 403
    assert send(scene.peer, fields, foreign, token="token-operator").status == 403
    assert send(scene.peer, fields, token="token-operator").status == 200


def test_what_is_ticked_stays_so_when_the_page_is_fetched_anew(acted, tab):
    """Live updates go on meanwhile."""
    page = tab(acted.peer.url)
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_label("Select two", exact=True).check()
    acted.post(acted.alert("four"))
    page.locator(".card", has_text="four").wait_for()

    assert page.get_by_label("Select two", exact=True).is_checked()
    assert not page.get_by_label("Select one", exact=True).is_checked()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everyone_can_use_it(acted, tab, theme):
    """The form, and what became of it; on a phone as well."""
    query = "/ui/selection?act=pause&model=one&model=nobody"
    page = tab(acted.peer.url + query, color_scheme=theme, viewport={"width": 360, "height": 700})
    assert violations(page, theme) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Why?").fill("x")
    page.get_by_role("button", name="Pause: 1 model").click()
    page.get_by_text("done to 1 of 1").wait_for()

    assert violations(page, theme) == []
    assert re.search(r"/ui/decisions/\d+", page.content())


def test_what_became_of_it_is_not_asked_for_again(acted, tab):
    """It was answered once: news are told, and no page is fetched that there is not."""
    page = tab(acted.peer.url + "/ui/selection?act=pause&model=one")
    page.get_by_label("Why?").fill("x")
    page.get_by_role("button", name="Pause: 1 model").click()
    page.get_by_text("done to 1 of 1").wait_for()

    acted.post(acted.alert("four"))

    page.locator("#said", has_text="New: ").wait_for(state="attached")
