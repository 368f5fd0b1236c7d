"""The page of runs, and their ends in a model's story."""

import re
from datetime import timedelta

import pytest

from receiver.core.runs import RunState
from receiver.web.page import runs_page
from tests.page.test_pages import words


def rows(page):
    """What each row says, in words."""
    found = re.findall(r"<tr data-entry>(.*?)</tr>", page.text, re.DOTALL)
    return [words(type("Row", (), {"text": one})) for one in found]


def test_every_run_is_there_newest_first(peer):
    """Those of the API, with model, state, who ordered it, how it ended, and where to look."""
    page = peer.get("/ui/runs")
    runs = peer.get("/dispatches?limit=500").json()["dispatches"]

    shown = re.findall(
        r'data-open href="/ui/dispatches/(\w+)"|dispatches/(\w+)" data-open', page.text
    )
    assert [one or other for one, other in shown] == [run["id"] for run in runs]
    for run, row in zip(runs, rows(page), strict=True):
        assert row.startswith(run["model"])
        assert run["target"] in row
        assert "an alert" in row
        assert run["run_url"] is None or f'href="{run["run_url"]}"' in page.text
    assert "the model recovered after" in words(page)
    assert "26m" in words(page)
    assert "so far" in next(row for row in rows(page) if row.startswith("churn"))


def test_runs_are_found_by_model_state_policy_and_target(peer):
    """Each filter alone and all of them together; a part of a name, whatever the case."""
    every = peer.get("/dispatches?limit=500").json()["dispatches"]

    def count(query):
        return len(rows(peer.get(f"/ui/runs?{query}")))

    assert count("q=CAST-E") == sum(run["model"] == "forecast-eu" for run in every)
    assert count("state=failed") == sum(run["state"] == "failed" for run in every)
    assert count("policy=model-quality") == count("target=pipeline") == len(every)
    assert count("policy=watch-only") == count("target=other") == 0
    assert count("q=forecast&state=failed&policy=model-quality&target=pipeline") == 1
    assert count("q=&state=&policy=") == len(every)
    assert "No run is like this" in words(peer.get("/ui/runs?q=100%25"))


def test_what_is_wrong_with_a_filter_is_said_over_the_form(peer):
    """All of it, and the form keeps what was written."""
    page = peer.get("/ui/runs?state=gone&q=fore&modell=x")

    assert page.status == 400
    assert "state can be pending" in words(page)
    assert "'modell' is not a filter here; known: q, state" in words(page)
    assert 'value="fore"' in page.text
    assert '<option value="gone" selected>' in page.text
    assert rows(page) == []


def test_pages_of_runs_neither_repeat_nor_miss_one(peer, monkeypatch):
    """With the filters in the address of the next."""
    every = [run["id"] for run in peer.get("/dispatches?limit=500").json()["dispatches"]]
    monkeypatch.setattr(runs_page, "ROWS", 4)
    found, place = [], "/ui/runs?policy=model-quality"
    while place:
        page = peer.get(place)
        found += re.findall(r'dispatches/(\w+)" data-open', page.text)
        older = re.search(r'<a href="([^"]+)" rel="next"', page.text)
        place = older and older[1].replace("&amp;", "&")
        assert place is None or "policy=model-quality" in place

    assert found == every


def test_who_ordered_a_run_is_named(stage):
    """An operator by name; an alert by how it came."""
    scene = stage()
    scene.fires("42", 0.6)
    scene.runs(RunState.SUCCEEDED)
    scene.history.clock.pass_(timedelta(hours=1))
    scene.act("/models/42/retrain")

    newest, oldest = rows(scene.peer.get("/ui/runs"))
    assert "anonymous" in newest
    assert "an alert" in oldest


def test_the_end_of_a_run_is_in_the_story(peer):
    """Between the decisions before and after it, with how it ended and what it brought."""
    story = peer.get("/ui/models/forecast-eu").text.partition('id="story"')[2]
    [failed, *_] = peer.get("/dispatches?model=forecast-eu&state=failed").json()["dispatches"]
    entries = re.findall(r'<li class="entry (\S+)" data-entry>(.*?)</li>', story, re.DOTALL)
    moments = [re.search(r'datetime="([^"]+)"', entry)[1] for _, entry in entries]

    assert [kind for kind, _ in entries if kind.startswith("ended")] == [
        "ended-succeeded",
        "ended-succeeded",
        "ended-failed",
        "ended-succeeded",
    ]
    assert moments == sorted(moments, reverse=True)
    assert f'/ui/dispatches/{failed["id"]}"' in story
    assert "run failed" in words(type("Story", (), {"text": story}))


def test_a_story_that_is_cut_has_no_ends_before_its_beginning(stage):
    """They would stand alone, one below the other."""
    scene = stage()
    scene.fires("42", 0.6)
    scene.runs(RunState.SUCCEEDED)
    assert "ended-succeeded" in scene.peer.get("/ui/models/42").text

    scene.history.clock.pass_(timedelta(seconds=1))
    for _ in range(110):
        scene.act("/models/42/pause")
    assert "ended-succeeded" not in scene.peer.get("/ui/models/42").text


def test_a_forgotten_models_runs_are_found_by_its_name(stage):
    """It is in no list any more; its runs are kept."""
    scene = stage()
    scene.fires("42", 0.6)
    scene.runs(RunState.SUCCEEDED)
    scene.ends("42", starts_at=scene._stamp(-timedelta(hours=1)))
    scene.history.clock.pass_(timedelta(hours=1))
    scene.act("/models/42/forget")

    assert len(rows(scene.peer.get("/ui/runs?q=42"))) == 1
    assert rows(scene.peer.get("/ui/runs?q=4")) == []


@pytest.mark.parametrize("width", [320, 360, 720, 1280])
@pytest.mark.parametrize("script", [True, False])
def test_runs_fit_every_screen(peer, tab, width, script):
    """On a phone each is a block of its own; with local times and without."""
    page = tab(
        f"{peer.url}/ui/runs",
        viewport={"width": width, "height": 700},
        java_script_enabled=script,
        timezone_id="Asia/Kolkata",
    )

    beside = page.locator("#runs .scroll")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert beside.evaluate("(it) => it.scrollWidth - it.clientWidth") == 0
    assert page.locator(".local").count() > 10 or not script


def test_no_run_yet_says_what_to_look_at(stage):
    """And no table without rows."""
    said = words(stage().peer.get("/ui/runs"))

    assert "No run was ordered yet" in said
