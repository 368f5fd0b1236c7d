"""An operator acts on the page: with and without JavaScript, once, and from our own pages only."""

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from receiver.core.runs import RunState
from tests.fakes import refused
from tests.page.scene import CONFIG
from tests.page.test_pages import WITH_AUTH, words
from tests.posts import entry, post

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OURS = {**FORM, "Sec-Fetch-Site": "same-origin"}


def send(peer, path, headers=OURS, token=None, **fields):
    return peer.post(path, urlencode(fields).encode(), headers=headers, token=token)


@pytest.fixture(scope="module")
def acted(stage):
    """A receiver of its own for those who change something."""
    return stage("server: {external_url: https://retrain.example.com}\n" + CONFIG)


@pytest.fixture
def model(acted):
    """A model that fires, in the cooldown of a run; a new one for each test."""
    acted.count = getattr(acted, "count", 0) + 1
    name = f"model-{acted.count}"
    acted.fires(name, 0.6)
    acted.runs(RunState.SUCCEEDED)
    return name


def state_of(scene, model):
    return scene.peer.get(f"/models/{model}").json()["state"]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_run_is_ordered_from_the_first_page(acted, model, tab, script):
    """The form says what holds the model and asks why; the result is shown, and in the log."""
    page = tab(acted.peer.url, java_script_enabled=script)
    page.locator(f'a[href="/ui/models/{model}/retrain"]').click()

    form = page.locator(".act-form")
    assert "in cooldown for another" in form.inner_text()
    assert page.locator("dialog[open]").count() == (1 if script else 0)
    form.get_by_label("Why?").fill("new labels came in")
    form.get_by_role("button", name="Order one run").click()

    page.locator(".done").wait_for()
    assert "ordered by anonymous: new labels came in" in page.locator(".done").inner_text()
    assert page.url.partition("?")[0] == acted.peer.url + (
        "/" if script else f"/ui/models/{model}"
    )
    assert state_of(acted, model) == "running"
    [decision] = acted.history.log(model=model, source="operator")
    assert (decision.actor, decision.comment) == ("anonymous", "new labels came in")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_model_is_paused_and_resumed(acted, model, tab, script):
    """For a length, then lifted; the consequence of lifting is what `explain` would say then."""
    page = tab(f"{acted.peer.url}/ui/models/{model}", java_script_enabled=script)
    page.get_by_role("link", name="24h").click()
    page.get_by_label("Why?").fill("backfill")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".done").wait_for()

    paused = acted.peer.get(f"/models/{model}").json()["paused"]
    until = acted.history.now() + timedelta(hours=24)
    assert paused["until"] == until.isoformat().replace("+00:00", "Z")
    assert state_of(acted, model) == "paused"

    page.get_by_role("link", name="Resume").click()
    assert "Then: in cooldown" in page.locator(".act-form").inner_text()
    page.get_by_label("Why?").fill("backfill is done")
    page.get_by_role("button", name="Resume").click()
    page.locator(".done").wait_for()
    assert state_of(acted, model) == "held"


def test_a_pause_until_a_moment(acted, model, tab):
    """Filling in the moment chooses it; it is meant in UTC."""
    page = tab(f"{acted.peer.url}/ui/models/{model}")
    page.get_by_role("link", name="until").click()
    page.get_by_label("Until when, in UTC").fill("2027-01-01T09:30")
    page.get_by_label("Why?").fill("holidays")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".done").wait_for()

    paused = acted.peer.get(f"/models/{model}").json()["paused"]
    assert paused["until"] == "2027-01-01T09:30:00Z"


@pytest.mark.parametrize("act", ["retry", "abandon"])
def test_what_was_refused_is_retried_or_given_up(acted, tab, act):
    """From the list of what needs a human, and back to it."""
    acted.runs(RunState.SUCCEEDED)
    acted.history.target.accidents = [refused]
    acted.fires(f"refused-{act}", 0.7)
    acted.history.send()
    [dispatch] = acted.peer.get(f"/dispatches?model=refused-{act}").json()["dispatches"]
    page = tab(acted.peer.url)

    needs = page.locator("#needs-you li", has_text=f"refused-{act}")
    needs.get_by_role("link", name=f"{act.capitalize()}:").click()
    page.get_by_label("Why?").fill("looked at it")
    page.get_by_role("button", name=act.capitalize()).click()
    page.locator(".done").wait_for()

    assert page.locator("#needs-you li", has_text=f"refused-{act}").count() == 0
    state = acted.peer.get(f"/dispatches/{dispatch['id']}").json()["state"]
    assert state == {"retry": "unknown", "abandon": "abandoned"}[act]


@pytest.mark.parametrize("answer", ["approve", "reject"])
def test_what_a_rung_asks_is_answered(acted, tab, answer):
    """A policy that asks first: the question stands among what needs a human, and is answered."""
    name = f"asks-{answer}"
    acted.fires(name, 41, name="ModelTooOld")
    assert state_of(acted, name) == "attention"
    page = tab(acted.peer.url)
    needs = page.locator("#needs-you li", has_text=name)
    assert "asks before each run" in needs.inner_text()
    needs.get_by_role("link", name=f"{answer.capitalize()}:").click()
    page.get_by_label("Why?").fill("looked at the data")
    page.get_by_role("button", name=answer.capitalize()).click()
    page.locator(".done").wait_for()

    approval = acted.peer.get(f"/models/{name}").json()["approval"]
    assert (approval["answer"], approval["comment"]) == (
        {"approve": "approved", "reject": "rejected"}[answer],
        "looked at the data",
    )
    assert page.locator("#needs-you li", has_text=name).count() == 0
    acted.history.tick()
    assert state_of(acted, name) == {"approve": "running", "reject": "held"}[answer]


def test_only_what_is_asked_is_answered(acted, model):
    """Without a question the form has no button, and a late answer is refused."""
    assert "nothing is asked" in words(acted.peer.get(f"/ui/models/{model}/approve"))
    assert send(acted.peer, f"/ui/models/{model}/reject", comment="why").status == 409


def test_everything_is_paused_and_resumed(acted, tab):
    """The banner says so on the first page, by whom and why."""
    page = tab(acted.peer.url)
    page.get_by_role("link", name="Pause everything").click()
    page.get_by_label("until resumed").check()
    page.get_by_label("Why?").fill("feature store is down")
    page.get_by_role("button", name="Pause", exact=True).click()

    banner = page.locator(".banner.paused")
    assert "Everything is paused until resumed by anonymous: feature store is down" in (
        " ".join(banner.inner_text().split())
    )
    banner.get_by_role("link", name="Resume").click()
    page.get_by_label("Why?").fill("it is back")
    page.get_by_role("button", name="Resume").click()
    page.locator(".done").wait_for()
    assert page.locator(".banner.paused").count() == 0


def test_a_policy_is_paused_by_its_name(acted):
    """The form of a policy is about that policy alone."""
    sent = send(acted.peer, "/ui/acts/pause?policy=watch-only", comment="why", **{"for": "4h"})
    page = acted.peer.get("/")

    assert sent.status == 303
    assert "Policy watch-only is paused" in words(page)
    assert send(acted.peer, "/ui/acts/resume?policy=watch-only", comment="why").status == 303
    assert send(acted.peer, "/ui/acts/pause?policy=none", comment="why").status == 404
    assert acted.peer.get("/ui/acts/pause?policy=none").status == 404


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_policy_is_paused_and_resumed(acted, model, tab, script):
    """From their own page; the form says what it would do now, and asks why."""
    page = tab(f"{acted.peer.url}/ui/policies", java_script_enabled=script)
    page.get_by_role("link", name="24h: policy model-quality").click()
    assert re.search(r"[0-9]+ models? fires? now", page.locator(".act-form").inner_text())
    page.get_by_label("Why?").fill("backfill")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".done").wait_for()

    row = page.locator("tr", has_text="model-quality")
    assert "by anonymous: backfill" in row.inner_text()
    assert page.url.partition("?")[0].endswith("/ui/policies")
    assert state_of(acted, model) == "paused"
    row.get_by_role("link", name="Resume: policy model-quality").click()
    assert "It ends this pause: until" in page.locator(".act-form").inner_text()
    page.get_by_label("Why?").fill("backfill is done")
    page.get_by_role("button", name="Resume").click()
    page.locator(".done").wait_for()
    assert state_of(acted, model) == "held"
    assert "Not now: it is not paused" in words(
        acted.peer.get("/ui/acts/resume?policy=model-quality")
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Sec-Fetch-Site": "cross-site"}, 403), ({"Origin": "http://evil.example"}, 403)],
)
def test_wide_acts_are_refused_across_origins(acted, headers, status):
    """A policy and everything are guarded as a single model is."""
    before = acted.peer.get("/decisions?reason=operator").json()

    for path in ("/ui/acts/pause?policy=watch-only", "/ui/acts/pause"):
        assert send(acted.peer, path, {**FORM, **headers}, comment="why").status == status

    assert acted.peer.get("/decisions?reason=operator").json() == before


def test_a_storm_is_released_from_the_page(stage):
    """The sentence of the rung says `release the policy`; the button for it is there."""
    stormy = CONFIG.replace(
        "    target: pipeline\n    budget:",
        "    target: pipeline\n    storm: {models: 1, within: 10m, wait: 1m}\n    budget:",
    )
    scene = stage(stormy)
    scene.post(scene.alert("m1"), scene.alert("m2"))
    scene.history.clock.pass_(timedelta(minutes=2))
    scene.history.tick()
    page = scene.peer.get("/ui/policies")
    assert "2 models are held: suspect the data" in words(page)
    assert "Release" in words(page)
    form = words(scene.peer.get("/ui/acts/release?policy=model-quality"))
    assert "That may order up to 2 runs" in form
    assert "2 models that a storm holds are released." in form

    assert send(scene.peer, "/ui/acts/release?policy=model-quality", comment="fine").status == 303

    scene.history.tick()
    assert "suspect the data" not in words(scene.peer.get("/ui/policies"))
    again = words(scene.peer.get("/ui/acts/release?policy=model-quality"))
    assert "Not now: no storm holds its models" in again
    assert scene.peer.get("/models/m1").json()["state"] == "running"


def test_sent_twice_it_is_done_once(acted, model):
    """The form carries a key of its own; another form carries another."""
    form = acted.peer.get(f"/ui/models/{model}/retrain").text
    [key] = re.findall(r'name="key" value="([^"]+)"', form)

    one, two = (
        send(acted.peer, f"/ui/models/{model}/retrain", comment="why", key=key) for _ in range(2)
    )

    assert one.status == two.status == 303
    assert one.headers["Location"] == two.headers["Location"]
    assert len(acted.history.log(model=model, source="operator")) == 1
    assert key not in acted.peer.get(f"/ui/models/{model}/retrain").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"comment": ""}, "say why"),
        ({"comment": " \n"}, "say why"),
        ({"comment": "x" * 1001}, "1000"),
        ({"comment": "x", "for": "soon"}, "is not a duration"),
        ({"comment": "x", "for": "until"}, "say until when"),
        ({"comment": "x", "for": "until", "until": "2020-01-01T00:00"}, "has passed"),
        ({"comment": "x", "for": "0"}, "longer than nothing"),
    ],
)
def test_a_bad_form_comes_back_with_what_was_written(acted, model, fields, said):
    """Nothing is done, and it says what is wrong."""
    answer = send(acted.peer, f"/ui/models/{model}/pause", **fields)

    assert answer.status == 400
    assert said in words(answer)
    assert state_of(acted, model) == "held"


def test_what_cannot_be_done_is_said_before(acted, model):
    """One run at a time: the form has no button then, and a late one is refused."""
    assert send(acted.peer, f"/ui/models/{model}/retrain", comment="why").status == 303
    blocked = acted.peer.get(f"/ui/models/{model}/retrain")
    [dispatch] = acted.peer.get(f"/dispatches?model={model}&state=pending").json()["dispatches"]

    assert "Not now" in words(blocked)
    assert "<button" not in blocked.text.partition("act-form")[2].partition("</form>")[0]
    late = send(acted.peer, f"/ui/dispatches/{dispatch['id']}/retry", comment="why")
    assert late.status == 409


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OURS"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[bad"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "OURS"}, 303),
        ({"Origin": "https://retrain.example.com"}, 303),
        ({}, 303),
    ],
)
def test_acts_are_refused_across_origins(acted, model, headers, status):
    """By Sec-Fetch-Site; where browsers leave it out, by Origin. The API refuses the same."""
    peer = acted.peer
    said = {name: value.replace("OURS", peer.url) for name, value in headers.items()}

    page = send(peer, f"/ui/models/{model}/pause", {**FORM, **said}, comment="why")
    api = peer.post(f"/models/{model}/pause", {"comment": "why"}, headers=said)

    assert page.status == status
    assert api.status == (200 if status == 303 else 403)
    assert (state_of(acted, model) == "paused") == (status == 303)


def test_a_form_leads_back_to_our_own_pages_only(acted, model):
    """Whatever `back` says, no other origin and nothing odd."""
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", "/ui/../x/y/z", "x"):
        answer = send(acted.peer, f"/ui/models/{model}/pause", comment="why", back=back)
        assert answer.headers["Location"].startswith(f"/ui/models/{model}?done=")
    answer = send(acted.peer, f"/ui/models/{model}/resume", comment="why", back="/")
    assert answer.headers["Location"].startswith("/?done=")


def test_only_operators_act(stage):
    """Readers see no buttons and may not send the forms; nobody's browser is asked first."""
    scene = stage(WITH_AUTH, ("webhook", "reader", "operator"))
    peer = scene.peer
    peer.post("/webhook", post(entry("42")), token="token-webhook")
    paths = ["/ui/models/42/retrain", "/ui/models/42/pause", "/ui/acts/pause"]

    assert "data-act" in peer.get("/", token="token-operator").text
    for path in ("/", "/ui/models/42"):
        assert "data-act" not in peer.get(path, token="token-reader").text
    for path in paths:
        assert peer.get(path, token="token-operator").status == 200
        for token, status in (("token-reader", 403), ("token-webhook", 403), (None, 401)):
            assert peer.get(path, token=token).status == status
            assert send(peer, path, token=token, comment="why").status == status
    assert peer.get("/models/42", token="token-reader").json()["state"] == "running"
    assert send(peer, paths[1], token="token-operator", comment="why").status == 303
    decision = peer.get("/decisions?reason=operator", token="token-reader").json()["decisions"][0]
    assert decision["actor"] == "ops"


def test_a_form_must_be_one(acted, model):
    """JSON, odd fields, unknown acts: refused, and nothing is done."""
    path = f"/ui/models/{model}/pause"

    assert acted.peer.post(path, {"comment": "x"}).status == 415
    assert send(acted.peer, path, comment="x", labels="y").status == 400
    assert acted.peer.post(path, b"\xff=%ff", headers=OURS).status == 400
    assert send(acted.peer, f"/ui/models/{model}/delete", comment="x").status == 404
    assert send(acted.peer, "/ui/models/none/pause", comment="x").status == 404
    assert send(acted.peer, "/ui/dispatches/none/retry", comment="x").status == 404
    assert state_of(acted, model) == "held"


def test_a_browser_logs_in_once_for_everything(stage, tab):
    """With the token as the password: pages, forms and the live stream, nothing asked again."""
    scene = stage(WITH_AUTH, ("webhook", "reader", "operator"))
    peer = scene.peer
    peer.post("/webhook", post(entry("42")), token="token-webhook")
    page = tab(peer.url, http_credentials={"username": "whoever", "password": "token-operator"})

    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("link", name="Pause…: 42").click()
    page.get_by_label("Why?").fill("a test")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".done", has_text="by ops: a test").wait_for()
    peer.post("/webhook", post(entry("43")), token="token-webhook")
    page.locator(".card", has_text="43").wait_for()
