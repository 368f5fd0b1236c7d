"""The backtest of the page, in a real browser: begun with one click, read by everyone who may."""

import pytest

from tests.page.scene import CONFIG
from tests.page.test_acting import OURS
from tests.page.test_looks import violations
from tests.page.test_pages import WITH_AUTH, words
from tests.posts import entry, post
from tests.waiting import eventually

PATIENCE = 120


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_one_click_and_the_report_is_there(stage, tab, script):
    """The page waits for it by itself; nothing of the report is refused by the browser."""
    scene = stage(CONFIG)
    scene.fires("forecast-eu", 0.6, 0.7)
    scene.ends("forecast-eu")
    page = tab(f"{scene.peer.url}/ui/policies", java_script_enabled=script)

    page.get_by_role("button", name="Backtest the log").click()

    link = page.get_by_role("link", name="The report")
    if not script:  # this browser heeds no <noscript> even so: we reload as that would
        backtests = scene.peer.service.backtests
        eventually(lambda: backtests.seen().running_since is None, within=PATIENCE)
        page.reload()
    link.wait_for(timeout=1000 * PATIENCE)
    assert "1 models, 1 times that one got bad" in page.locator("#backtest").inner_text()
    if script:
        assert violations(page) == []
    link.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Backtest 2026-")
    assert page.locator(".key i").first.bounding_box()["width"] > 5  # its style is in force


def test_without_scripts_the_page_is_loaded_again_while_it_runs(stage):
    """A browser without JavaScript asks again by itself, and no longer than needed."""
    peer = stage(CONFIG).peer
    again = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
    assert again not in peer.get("/ui/policies").text

    peer.post("/ui/backtest", b"", headers=OURS)

    running = peer.get("/ui/policies").text
    backtests = peer.service.backtests
    eventually(lambda: backtests.seen().running_since is None, within=PATIENCE)
    assert again in running
    assert "Backtest the log" not in running
    assert again not in peer.get("/ui/policies").text


def test_only_an_operator_may_run_it_and_a_reader_may_read(stage):
    """The button is not there for others, and the act is refused to them."""
    peer = stage(WITH_AUTH, ("webhook", "reader", "operator")).peer
    peer.post("/webhook", post(entry("42")), token="token-webhook")
    asked = {
        role: peer.post("/ui/backtest", b"", headers=OURS, token=token)
        for role, token in (
            ("nobody", None),
            ("webhook", "token-webhook"),
            ("reader", "token-reader"),
            ("operator", "token-operator"),
        )
    }
    backtests = peer.service.backtests
    eventually(lambda: backtests.seen().running_since is None, within=PATIENCE)

    reports = {
        token: peer.get("/ui/backtest", token=token).status
        for token in (None, "token-webhook", "token-reader", "token-operator")
    }

    assert {role: answer.status for role, answer in asked.items()} == {
        "nobody": 401,
        "webhook": 403,
        "reader": 403,
        "operator": 303,
    }
    assert list(reports.values()) == [401, 403, 200, 200]
    button = "Backtest the log"
    assert button in words(peer.get("/ui/policies", token="token-operator"))
    seen = words(peer.get("/ui/policies", token="token-reader"))
    assert button not in seen
    assert "The report" in seen
