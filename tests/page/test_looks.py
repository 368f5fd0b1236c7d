"""The page in a real browser: usable by everyone in both themes, and deaf to strangers."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.corpus import HOSTILE
from tests.page.scene import CONFIG
from tests.posts import entry, post

PAGES = {
    "models": "/",
    "no such model": "/?q=nobody&state=held",
    "held": "/ui/models/forecast-eu",
    "chart of a month": "/ui/models/forecast-eu?range=30d",
    "no such range": "/ui/models/forecast-eu?range=2h",
    "asks": "/ui/models/credit-risk",
    "paused": "/ui/models/pricing-7",
    "quiet": "/ui/models/quiet-one",
    "policies": "/ui/policies",
    "runs": "/ui/runs",
    "no such run": "/ui/runs?state=none&q=x",
    "words": "/ui/words",
    "decisions": "/ui/decisions",
    "no decision": "/ui/decisions?model=nobody",
    "parked": "/dispatches?state=parked",
    "running": "/dispatches?state=running",
    "decision held": "/decisions?reason=cooldown",
    "decision triggered": "/decisions?reason=triggered",
    "decision of an operator": "/decisions?reason=operator",
    "rejection": "/rejections",
    "act": "/ui/models/forecast-eu/retrain",
    "act not now": "/ui/models/churn/retrain",
    "pause": "/ui/models/forecast-eu/pause?for=until",
    "problem": "/ui/models/none",
}

EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast"]
"""All that differs between the themes."""


def path_of(peer, path):
    """A page's path; an API's list stands for the page of its first entry."""
    kind = path.strip("/").partition("?")[0]
    if kind in {"dispatches", "decisions", "rejections"}:
        return f"/ui/{kind}/{peer.get(path).json()[kind][0]['id']}"
    return path


def violations(page, theme="light"):
    """What keeps people from using a page, one line each."""
    only = COLOURS if theme == "dark" else EVERYTHING
    options = {"runOnly": only, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


@pytest.fixture(scope="module")
def looked_at(browser):
    """One tab for each theme."""
    tabs = {}
    for theme in ("light", "dark"):
        context = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 900})
        tabs[theme] = context.new_page()
    yield tabs
    for page in tabs.values():
        page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_everyone_can_use_it(peer, looked_at, name, theme):
    """Axe finds nothing, in every state of the page and in both themes; nothing overflows."""
    page = looked_at[theme]
    page.goto(peer.url + path_of(peer, PAGES[name]))

    assert violations(page, theme) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everyone_can_use_an_empty_one(stage, looked_at, theme):
    """The page that teaches, and the dialogs."""
    page = looked_at[theme]
    page.goto(stage("{storage: {min_free: 0}}").peer.url)
    assert violations(page, theme) == []
    page.keyboard.press("?")
    page.locator("#help[open]").wait_for()
    assert violations(page, theme) == []


def test_a_dialog_can_be_used_by_everyone(peer, tab):
    """The form in its dialog; Escape closes it and the focus is where it was."""
    page = tab(peer.url)
    link = page.get_by_role("link", name="Pause…: forecast-eu")
    link.focus()
    page.keyboard.press("Enter")
    page.locator("#act[open]").wait_for()

    assert violations(page) == []
    assert page.evaluate("document.activeElement.name") == "comment"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == (
        "Pause…: forecast-eu"
    )


PHONE = 720
"""From here on down the table of the policies is told row by row."""


@pytest.mark.parametrize("width", [320, PHONE, 1024])
def test_it_fits_small_screens(peer, tab, width):
    """At 320 pixels (400 % zoom) nothing needs scrolling in two directions."""
    page = tab(peer.url, viewport={"width": width, "height": 640})
    for path in (
        "/",
        "/ui/models/forecast-eu",
        "/ui/policies",
        "/ui/runs",
        "/ui/words",
        "/ui/decisions",
        "/ui/models/churn/pause",
    ):
        page.goto(peer.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.goto(peer.url + "/ui/policies")
    beside = "(table) => table.scrollWidth - table.clientWidth"
    assert page.locator(".scroll").evaluate(beside) == 0 or width > PHONE


def test_paper_shows_no_buttons(peer, tab):
    """Printed, it is the facts alone."""
    page = tab(peer.url)
    page.emulate_media(media="print")

    assert page.locator(".button").first.is_hidden()
    assert page.get_by_role("heading", name="forecast-eu").is_visible()


def test_nothing_a_stranger_says_is_obeyed(stage, tab):
    """Every hostile text in every field, on every page, live updates included: no script runs."""
    scene = stage()
    peer = scene.peer

    def deliver(start, texts=HOSTILE):
        for number, text in enumerate(texts):
            alert = entry(f"m{start + number}", labels={"odd": text, "b" + text: "x"})
            alert["annotations"] = {"value": "0.6", "summary": text, "runbook_url": text}
            alert["generatorURL"] = text
            peer.post("/webhook", {**post(alert), "receiver": text})
            peer.post("/webhook", post({**alert, "labels": {"alertname": text}}))
        peer.post("/webhook", text.encode())

    deliver(0)
    scene.act("/models/m0/pause", comment=HOSTILE[0])
    scene.act("/models/m1/pause", comment=HOSTILE[1])
    page = tab(peer.url)
    page.get_by_text("Live", exact=True).wait_for()
    deliver(20, HOSTILE[:2])
    page.locator(".card", has_text="m21").wait_for()  # it came by itself

    paths = ["/", "/ui/decisions", "/ui/models/m0", "/ui/models/m1", "/ui/models/m8"]
    paths += [f"/ui/decisions/{row.id}" for row in scene.history.log()][: 2 * len(HOSTILE) : 2]
    paths += [f"/ui/rejections/{peer.get('/rejections').json()['rejections'][0]['id']}"]
    for path in paths:
        page.goto(peer.url + path, wait_until="domcontentloaded")
        assert page.evaluate("typeof window.pwned") == "undefined", path
        assert page.locator("main img, main iframe, main script, main style").count() == 0, path
        links = page.eval_on_selector_all("a", "all => all.map(a => a.protocol)")
        assert set(links) <= {"http:", "https:"}, path


def test_the_browser_itself_forbids_script(peer, tab):
    """Were there a hole, the policy would still hold: no inline script, no markup from text."""
    page = tab(peer.url)

    refused = page.evaluate("""() => {
        const node = document.createElement("div");
        try { node.innerHTML = "<b>x</b>"; return "made"; } catch (error) { return error.name; }
    }""")
    page.evaluate("""() => {
        const script = document.createElement("script");
        try { script.textContent = "window.pwned = 1"; } catch { return; }
        document.body.append(script);
    }""")

    assert refused == "TypeError"
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert tab.wrong  # the browser says what it forbade
    tab.wrong.clear()


STORMY = CONFIG.replace(
    "    target: pipeline\n    budget:",
    "    target: pipeline\n    storm: {models: 3, within: 10m, wait: 1m}\n    budget:",
).replace("[a-z0-9-]{1,40}", "[a-z0-9-]{1,128}")


LONGEST = "longmodelname" * 10
"""Without a hyphen, at which browsers break lines by themselves."""


@pytest.fixture(scope="module")
def stormy(stage):
    """A storm of sixty models, some with the longest names that there may be."""
    scene = stage(STORMY)
    names = [LONGEST[:125] + f"{number:03}" for number in range(60)]
    scene.post(*(scene.alert(name) for name in names))
    scene.post(scene.alert(names[0].replace("long", "lone"), "ModelTooOld"))
    scene.history.clock.pass_(timedelta(minutes=2))
    scene.history.tick()
    return scene


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everyone_can_use_a_storm(stormy, looked_at, theme):
    """The row of a group is as accessible as the rest."""
    page = looked_at[theme]
    page.goto(stormy.peer.url)

    assert violations(page, theme) == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?state=attention",
        f"/ui/models/{LONGEST[:125]}000",
        f"/ui/decisions?model={LONGEST[:125]}000",
    ],
)
@pytest.mark.parametrize("script", [True, False])
def test_the_longest_names_fit_a_phone(stormy, tab, path, script):
    """Nothing is pushed out of the screen, and the buttons can be reached."""
    page = tab(
        stormy.peer.url + path,
        viewport={"width": 390, "height": 844},
        java_script_enabled=script,
    )

    assert page.locator("body").bounding_box()["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for each in page.locator(".acts a, .model, .detail, h3").all():
        box = each.bounding_box()
        assert box is None or box["x"] + box["width"] <= 390


def test_a_storm_fits_one_screen(stormy, tab):
    """What needs somebody is seen at once; what was decided lately may be below."""
    page = tab(stormy.peer.url, java_script_enabled=False)

    needs = page.locator("#needs-you").bounding_box()
    assert needs["y"] + needs["height"] < 800
    assert page.locator("li.group").count() == 1
    page.get_by_role("link", name="Release…").first.click()
    assert "That may order up to 60 runs" in page.content()
