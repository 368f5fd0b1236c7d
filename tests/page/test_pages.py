"""What the pages say, to whom, and how strangers' text is kept from being obeyed."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from receiver.core.durations import show_duration
from receiver.web.page import rendering
from receiver.web.page.forms import ON_MODELS
from receiver.web.page.labels import clock
from receiver.web.page.routes import routes_of
from tests.page.corpus import HOSTILE
from tests.page.scene import CONFIG
from tests.posts import entry, post

WITH_AUTH = f"""\
auth:
  webhook: [{{name: alertmanager, token_file: webhook}}]
  reader: [{{name: dashboards, token_file: reader}}]
  operator: [{{name: ops, token_file: operator}}]
{CONFIG}"""

HTML = {"Accept": "text/html"}


def words(answer):
    """What a person reads on a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


class Tags(HTMLParser):
    """Every tag of a page with its attributes, as a browser would find them."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def guarded(stage):
    scene = stage(WITH_AUTH, ("webhook", "reader", "operator"))
    scene.peer.post("/webhook", post(entry("42")), token="token-webhook")
    scene.peer.post("/webhook", b"no json", token="token-webhook")
    return scene.peer


def test_every_model_is_there_worst_first(peer):
    """The order is by what needs a human most; each state is said in words."""
    page = peer.get("/")

    names = re.findall(r'<h3><a href="/ui/models/([^"]+)"', page.text)
    states = [peer.get(f"/models/{name}").json()["state"] for name in names]
    order = ["attention", "firing", "held", "paused", "running", "quiet"]
    assert len(names) == len(peer.get("/models").json()["models"])
    assert states == sorted(states, key=order.index)
    assert set(states) == {"attention", "held", "paused", "running", "quiet"}
    for said in ("Needs you", "Fires, held", "Paused", "Retraining", "Quiet"):
        assert said in words(page)


def test_why_not_is_said_in_the_words_of_explain(peer):
    """Sentence and rungs of the model's page are those of the API."""
    explained = peer.get("/models/forecast-eu").json()["explain"]
    said = words(peer.get("/ui/models/forecast-eu"))

    assert explained["holds"] == "cooldown"
    assert explained["detail"] in said
    for gate in explained["gates"]:
        assert gate["detail"] in said
    assert "cooldown stops here" in said


def test_values_stand_against_their_thresholds(peer):
    """The threshold is read from the rule's expression, which the alert's link carries."""
    said = words(peer.get("/"))

    assert "HighModelMAE 0.71 against 0.45" in said
    assert "LowModelR2 0.66 against 0.75" in said


def test_repeats_are_folded(peer):
    """Six holds of one episode are one line, and each of them can be opened."""
    page = peer.get("/ui/decisions?model=forecast-eu&reason=cooldown")

    assert "\u00d76 since" in words(page)
    assert page.text.count("data-entry") == 1
    ids = {one["id"] for one in peer.get("/decisions?reason=cooldown").json()["decisions"]}
    assert ids == {int(found) for found in re.findall(r"/ui/decisions/(\d+)", page.text)}


def test_the_bar_knows_the_filters_of_the_api(peer):
    """Each filter of the API can be in the address; empty fields of the form ask nothing."""
    page = peer.get("/ui/decisions?reason=triggered&model=churn&since=7d&until=&source=")

    assert page.status == 200
    assert "4 decisions" in words(page)
    assert '<option value="triggered" selected>' in page.text
    assert 'href="/decisions?reason=triggered&amp;model=churn&amp;since=7d"' in page.text
    for query in ("reason=none", "since=yesterday", "modell=x", "cursor=x"):
        assert peer.get(f"/ui/decisions?{query}").status == 400


def test_a_decision_is_shown_whole(peer):
    """Sentence, rungs, facts, policy of that time, and the alert as it came."""
    [one, *_] = peer.get("/decisions?reason=cooldown").json()["decisions"]
    whole = peer.get(f"/decisions/{one['id']}").json()
    said = words(peer.get(f"/ui/decisions/{one['id']}"))

    for gate in whole["gates"]:
        assert gate["detail"] in said
    assert '"generatorURL"' in said
    assert '"cooldown": "6h"' in said
    assert "0.66 against 0.75" in said


def test_a_dispatch_is_shown_with_its_attempts(peer):
    """Each attempt with what the target answered; each state that it went through."""
    [refused, *_] = peer.get("/dispatches?state=refused").json()["dispatches"]
    said = words(peer.get(f"/ui/dispatches/{refused['id']}"))

    assert "401" in said
    assert refused["detail"] in said
    assert "model-quality" in said


def test_policies_show_what_the_api_tells(peer):
    """How often retraining helped, and how soon: the numbers of `GET /policies`."""
    [told, watching, asking] = peer.get("/policies").json()["policies"]
    said = words(peer.get("/ui/policies"))

    assert (told["runs"], told["helped"], told["failed"]) == (9, 6, 1)
    assert f"{told['helped']} (67 %)" in said
    median = show_duration(timedelta(seconds=told["median_recovery_seconds"]))
    assert f" {median} " in said
    assert watching["runs"] == asking["runs"] == 0
    for word in ("retrains by itself", "only observes", "asks first", "none yet"):
        assert word in said


def test_policies_show_what_is_used_of_budgets(stage, peer):
    """In the words of `GET /policies`; and when there is room again, or who can make some."""
    [told, *_] = peer.get("/policies").json()["policies"]
    scene = stage(CONFIG.replace("40 in 30d", "[1 in 1d, 3 in 7d]").replace("500 EUR", "20 EUR"))
    scene.post(scene.alert("1"), scene.alert("2"))
    hard = words(scene.peer.get("/ui/policies"))
    soft = stage(CONFIG.replace("40 in 30d", "1 in 1d, when_spent: ask"))
    soft.post(soft.alert("1"))

    assert all(one["detail"] in words(peer.get("/ui/policies")) for one in told["budget"])
    assert "used up" not in words(peer.get("/ui/policies"))
    [ordered] = scene.history.dispatches()
    again = clock(ordered.created_at + timedelta(days=1), scene.history.now())
    assert f"used up 1 of 1 runs in 1d per policy are ordered; room again at {again}" in hard
    assert "1 of 3 runs in 7d per policy are ordered ◷ used up 12.5 of 20 EUR in 30d" in hard
    assert f"at {again} , or by your approval" in words(soft.peer.get("/ui/policies"))


def test_without_runs_policies_say_what_will_be_seen(stage):
    """Empty states teach: before the first run, and before the first policy."""
    assert "No run has ended yet" in words(stage().peer.get("/ui/policies"))
    assert "targets:" in words(stage("{storage: {min_free: 0}}").peer.get("/ui/policies"))


def test_runs_can_be_reached(peer):
    """The run's own page at the target is one click away."""
    url = peer.get("/models/forecast-eu").json()["runs"][0]["run_url"]

    assert f'href="{url}"' in peer.get("/ui/models/forecast-eu").text


def test_an_empty_receiver_teaches(stage):
    """The lines to paste have this receiver's own address, and the curl really works."""
    scene = stage()
    page = scene.peer.get("/")
    [command] = re.findall(r"<pre[^>]*>(curl .*?)</pre>", page.text, re.DOTALL)
    url, body = re.fullmatch(r"curl (\S+) -d '(.*)'", unescape(command)).groups()

    assert f"- url: {scene.peer.url}/webhook" in words(page)
    assert url == f"{scene.peer.url}/webhook"
    [decision] = scene.peer.post("/webhook", json.loads(body)).json()["decisions"]
    assert decision["reason"] == "observed"


def test_without_policies_it_says_what_to_write(stage):
    """The taught configuration is one that we accept."""
    scene = stage("{storage: {min_free: 0}}")
    page = scene.peer.get("/")
    [taught] = re.findall(r"<pre[^>]*>(targets:.*?)</pre>", page.text, re.DOTALL)

    taught_scene = stage("storage: {min_free: 0}\n" + unescape(taught), ["secrets/github"])

    assert taught_scene.peer.get("/").status == 200
    assert "watch" not in words(page)
    assert "Only observing: model-quality" in words(taught_scene.peer.get("/"))


@pytest.mark.parametrize("path", ["/", "/ui/decisions", "/ui/models/42"])
def test_a_browser_is_asked_for_the_token(guarded, path):
    """401 with Basic alone in its header, for a browser would not ask otherwise; readers read."""
    nobody = guarded.get(path, headers=HTML)

    assert nobody.status == 401
    assert nobody.headers.get_all("WWW-Authenticate") == [
        'Basic realm="retrain-receiver", charset="UTF-8"'
    ]
    assert nobody.headers.get_content_type() == "text/html"
    assert guarded.get(path, password="token-reader").status == 200
    assert guarded.get(path, token="token-operator").status == 200
    assert guarded.get(path, password="token-webhook").status == 403
    assert guarded.get(path, password="wrong").status == 401


def test_rejected_bodies_are_for_operators(guarded):
    """As with `GET /rejections`: a body may hold what a reader should not see."""
    [rejection] = guarded.get("/rejections", token="token-operator").json()["rejections"]
    path = f"/ui/rejections/{rejection['id']}"

    assert "could not be understood" in words(guarded.get("/", token="token-operator"))
    assert "could not be understood" not in words(guarded.get("/", token="token-reader"))
    assert "no json" in words(guarded.get(path, token="token-operator"))
    assert guarded.get(path, token="token-reader").status == 403


def test_every_answer_is_hardened(peer):
    """No inline script, no frames, no sniffing, nothing cached but what has its content's name."""
    for path in ("/", "/ui/decisions", "/ui/models/none", "/ui/static/page.js"):
        headers = peer.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert len(headers.get_all("Content-Security-Policy")) == 1
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert peer.get("/").headers["Cache-Control"] == "no-store"
    [script] = re.findall(r'src="(/ui/static/page.js[^"]*)"', peer.get("/").text)
    assert "immutable" in peer.get(script).headers["Cache-Control"]
    assert peer.get("/ui/static/..%2frouting.py").status == 404


def test_what_is_not_there_is_said_in_words(peer):
    """Unknown models, decisions, dispatches and ids that are none."""
    for path in ("models/none", "decisions/1", "dispatches/none", "rejections/999", "static/x"):
        page = peer.get(f"/ui/{path}")
        assert page.status == 404
        assert page.headers.get_content_type() == "text/html"
    assert peer.get("/ui/decisions/x").status == 400
    assert peer.get("/?state=bad").status == 400


def test_no_tag_comes_from_a_stranger(stage):
    """Whatever an alert says in any field, no page has another tag, attribute or link for it."""
    scene = stage()
    peer = scene.peer
    for number, text in enumerate(HOSTILE):
        alert = entry(f"m{number}", labels={"odd": text, text: "odd name"}, fingerprint=text)
        alert["annotations"] = {"value": "0.6", "summary": text, text: text, "runbook_url": text}
        alert["generatorURL"] = text
        peer.post("/webhook", {**post(alert), "receiver": text, "externalURL": text})
        peer.post("/webhook", post({**alert, "labels": {"alertname": text, "user_id": text}}))
        peer.post("/webhook", text.encode(errors="replace"))
        if "\0" not in text:  # an alert that can't be understood names no model
            scene.act(f"/models/m{number}/pause", comment=text)
    ids = [one["id"] for one in peer.get("/decisions?limit=500").json()["decisions"]]
    rejected = [one["id"] for one in peer.get("/rejections").json()["rejections"]]
    paths = ["/", "/ui/decisions", "/ui/runs", *(f"/ui/models/m{number}" for number in range(9))]
    paths += [f"/ui/decisions/{one}" for one in ids] + [
        f"/ui/rejections/{one}" for one in rejected
    ]

    for path in paths:
        page = peer.get(path)
        assert page.status == 200, path
        for tag, attributes in Tags(page.text).found:
            assert tag not in {"img", "iframe", "base", "style", "object"}, (path, tag)
            assert not any(name.startswith("on") or name == "style" for name in attributes), path
            if tag == "script":
                assert attributes["src"].startswith("/ui/static/page.js?")
            for link in (attributes.get("href"), attributes.get("src"), attributes.get("action")):
                assert link is None or link.startswith(("/", "#", "http://", "https://")), link
        assert not set("\u202e\u2066\u2069\u200b\0\x1b") & set(page.text), path
    assert r"\u202egnp.exe" in peer.get("/ui/decisions").text


def test_the_page_takes_no_memory_until_it_is_asked_for():
    """A receiver that nobody looks at does without Jinja2, and starts without it."""
    program = "import sys, receiver.wiring; sys.exit('jinja2' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_page_has_its_route(peer):
    """The pages of this file are all that there are."""
    paths = {route.path for route in routes_of(peer.service)}

    assert paths == {
        "/",
        "/ui",
        "/ui/models/{model:path}",
        "/ui/policies",
        "/ui/backtest",
        "/ui/runs",
        "/ui/words",
        "/ui/selection",
        "/ui/decisions",
        "/ui/decisions/{id}",
        "/ui/dispatches/{id}",
        "/ui/rejections/{id}",
        "/ui/static/{name}",
        *(f"/ui/models/{{name:path}}/{act}" for act in (*ON_MODELS, "{act}")),
        "/ui/dispatches/{name}/{act}",
        "/ui/acts/{act}",
        "/ui/act",
        "/ui/act/{token}",
        "/ui/{path:path}",
    }


def test_a_receiver_that_hears_nothing_says_so(stage):
    """Alerts were given up because nobody confirmed them, and nothing came since."""
    scene = stage()
    scene.fires("42", 0.6)
    assert "Nothing from Alertmanager" not in words(scene.peer.get("/"))

    scene.history.clock.pass_(timedelta(hours=14))
    scene.history.work()
    assert "Nothing from Alertmanager since" in words(scene.peer.get("/"))

    scene.fires("42", 0.6)
    assert "Nothing from Alertmanager" not in words(scene.peer.get("/"))


def test_the_wheel_has_all_that_the_page_needs(tmp_path):
    """Templates, style and script go where the code goes."""
    package = Path(rendering.__file__).parents[1]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=package.parents[1], check=True, capture_output=True)
    [wheel] = tmp_path.iterdir()

    packed = set(ZipFile(wheel).namelist())
    needed = [*(package / "templates").iterdir(), *(package / "static").iterdir()]
    assert {f"receiver/web/{file.parent.name}/{file.name}" for file in needed} <= packed
    assert len(needed) > 10
