"""A link of a message in a real browser: no login, no script, one press."""

from base64 import b64encode
from datetime import timedelta

import pytest

from receiver.core.act_links import links_in, seal
from receiver.core.signatures import signing_key
from tests.page.scene import CONFIG
from tests.page.test_looks import violations
from tests.posts import entry, post

SECRET = "whsec_" + b64encode(b"c" * 32).decode()

LINKED = """\
server: {external_url: "https://retrain.example.com"}
auth:
  webhook: [{name: alertmanager, token_file: webhook}]
  operator: [{name: ops, token_file: operator}]
announcements:
  - name: chat
    webhook: {url: "http://127.0.0.1:9", secret_file: chat}
    act_links: {secret_file: chat}
"""


@pytest.fixture(scope="module")
def linked(stage, tmp_path_factory):
    """A receiver that wants a login for everything else."""
    (secrets := tmp_path_factory.mktemp("secrets") / "chat").write_text(SECRET)
    config = LINKED.replace("secret_file: chat", f"secret_file: {secrets}") + CONFIG
    return stage(config, ("webhook", "operator"))


def address(scene, model, act):
    """What the message about this model carries."""
    body = post(entry(model, name="ModelTooOld"))
    assert scene.peer.post("/webhook", body, token="token-webhook").status == 200
    with scene.history.store.view() as view:
        (told,) = view.announcements.page({"model": model}, limit=2).rows
    links = {link.act.value: link for link in links_in(told, timedelta(hours=1))}
    return f"{scene.peer.url}/ui/act/{seal(signing_key(SECRET), links[act])}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("act", ["approve", "reject"])
def test_one_press_answers(linked, tab, act, theme):
    """Everyone can use the page, the result and the refusal of a second press."""
    url = address(linked, f"{act}-{theme}", act)
    page = tab(url, color_scheme=theme, viewport={"width": 320, "height": 640})
    assert violations(page, theme) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "Policy ask-first asked about the model" in page.locator(".act-form").inner_text()

    page.get_by_role("button", name=act.capitalize()).click()
    page.get_by_role("heading", name=f"Done: {act}").wait_for()
    assert violations(page, theme) == []
    assert page.url == f"{linked.peer.url}/ui/act"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with linked.history.store.view() as view:
        said = view.models.approvals([f"{act}-{theme}"])[f"{act}-{theme}"]
    assert (said.approved, said.actor) == (act == "approve", "link of chat")

    assert page.goto(url).status == 410
    assert page.get_by_role("heading", name="This link does nothing").is_visible()
    assert violations(page, theme) == []
    tab.wrong.clear()  # the browser's own note of the 410


def test_a_link_that_is_none_says_so(linked, tab):
    """In a page that everyone can use, and that asks for no login."""
    page = tab("about:blank")
    page.goto(f"{linked.peer.url}/ui/act/nothing")

    assert violations(page) == []
    assert "Nothing was changed" in page.locator("main").inner_text()
    tab.wrong.clear()  # the browser's own note of the 403
