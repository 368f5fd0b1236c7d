"""Live: what is decided shows itself; who comes back misses nothing; a shutdown is not held up."""

import json
import re
import signal
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from time import monotonic
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from receiver.core.runs import RunState
from receiver.web import events
from tests.page.test_pages import WITH_AUTH
from tests.serving import serve
from tests.waiting import eventually


class Stream:
    """An open stream of events."""

    def __init__(self, url, last=None, token=None):
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._connection.request("GET", "/events", headers=headers)
        self.answer = self._connection.getresponse()

    def next(self):
        """The next event: id, kind, data; None at the end."""
        told = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            if line == "\n" and "event" in told:
                return told.get("id"), told["event"], json.loads(told["data"])
            if line == "\n":
                told = {}
            elif not line.startswith(":"):
                name, _, value = line.rstrip("\n").partition(": ")
                told[name] = value

    def decision(self, model):
        """The next decision about a model."""
        while True:
            _, kind, data = self.next()
            if kind == "decision" and data["model"] == model:
                return data

    def close(self):
        self._connection.close()


@contextmanager
def following(url, **more):
    stream = Stream(url, **more)
    try:
        yield stream
    finally:
        stream.close()


@pytest.fixture(scope="module")
def live(stage):
    return stage()


def test_decisions_and_runs_are_told(live):
    """Each new decision with its id; a run that moves without a decision too."""
    with following(live.peer.url) as stream:
        assert stream.next() == (None, "standing", {})

        live.fires("told", 0.6)
        last, kind, data = stream.next()
        assert (kind, data["model"], data["reason"]) == ("decision", "told", "triggered")
        assert int(last) == data["id"]

        assert stream.next()[1] == "standing"  # its dispatch
        live.runs(RunState.SUCCEEDED)
        assert stream.next()[1] == "standing"


def test_a_second_follower_is_told_that_it_may_begin(live):
    """From `standing` on it misses nothing, however long others follow already."""
    with following(live.peer.url) as first:
        assert first.next()[1] == "standing"
        with following(live.peer.url) as second:
            assert second.next()[1] == "standing"
            live.fires("both", 0.6)
            assert first.decision("both") == second.decision("both")


def test_a_reconnecting_client_gets_the_missed_events_and_some_before(live):
    """From 30 seconds before the last id on, for a commit may come later than its id."""
    live.fires("gap-1", 0.6)
    live.history.clock.pass_(timedelta(minutes=5))
    live.fires("gap-2", 0.6)  # time passes after each delivery
    live.history.clock.pass_(-timedelta(minutes=20) + timedelta(seconds=10))
    live.fires("gap-3", 0.6)
    ids = {row.model: row.id for row in live.history.log() if str(row.model).startswith("gap-")}

    with following(live.peer.url, last=ids["gap-3"]) as stream:
        told = [stream.next() for _ in range(2)]

    assert [data["model"] for _, _, data in told] == ["gap-2", "gap-3"]
    assert [int(one) for one, _, _ in told] == [ids["gap-2"], ids["gap-3"]]


def test_too_much_is_not_told_one_by_one(stage, monkeypatch):
    """Who was away for long reads everything anew."""
    live = stage()
    monkeypatch.setattr(events, "MOST_EVENTS", 1)
    for number in range(3):
        live.fires(f"much-{number}", 0.6)

    with following(live.peer.url, last=1) as stream:
        last, kind, _ = stream.next()

    assert kind == "reset"
    assert int(last) == max(row.id for row in live.history.log())


def test_followers_are_bounded(live, monkeypatch):
    """Whoever is too many is told to come later, and a place becomes free again."""
    monkeypatch.setattr(events, "MOST_FOLLOWERS", 1)

    def only_one():
        with following(live.peer.url) as first, following(live.peer.url) as second:
            return first.answer.status == 200 and second.answer.status == 503

    assert eventually(only_one)
    assert eventually(only_one)


def test_a_bad_id_is_refused(live):
    """An id that is none of ours."""
    assert live.peer.get("/events", headers={"Last-Event-ID": "x"}).status == 400


def test_only_readers_follow(stage):
    """The webhook's token does not; nobody without one does."""
    peer = stage(WITH_AUTH, ("webhook", "reader", "operator")).peer

    assert peer.get("/events").status == 401
    assert peer.get("/events", token="token-webhook").status == 403
    with following(peer.url, token="token-reader") as stream:
        assert stream.answer.status == 200
        assert stream.answer.getheader("Content-Type").startswith("text/event-stream")


def test_a_late_commit_is_told(live):
    """A decision whose id is smaller than one that was told already is told all the same."""
    with following(live.peer.url) as stream:
        assert stream.next()[1] == "standing"
        live.fires("late-1", 0.6)
        assert stream.decision("late-1")["reason"] == "triggered"
        newest = max(row.id for row in live.history.log())
        with live.history.store.begin() as tx:
            columns = "id, decided_at, source, alertname, fingerprint, reason, outcome, detail,"
            tx._db.execute(
                text(
                    f"INSERT INTO decisions ({columns} gates, config_hash, model) VALUES "  # noqa: S608
                    f"({newest - 999}, {newest - 999}, 'timer', '', '', 'cooldown', 'hold', '',"
                    " '[]', '', 'late-2')"
                )
            )
        assert stream.decision("late-2")["id"] == newest - 999


def test_a_shutdown_ends_the_streams(tmp_path):
    """SIGTERM is not held up by those who follow: long before the time for draining is over."""
    (tmp_path / "alone").mkdir()
    with serve(tmp_path) as receiver, following(receiver.url) as stream:
        assert stream.answer.status == 200
        assert stream.next()[1] == "standing"
        began = monotonic()
        receiver.process.send_signal(signal.SIGTERM)
        assert stream.next() is None
        assert receiver.process.wait(60) == 0
        followed = monotonic() - began

    with serve(tmp_path / "alone") as receiver:
        assert receiver.get("/-/ready").status == 200
        began = monotonic()
        receiver.process.send_signal(signal.SIGTERM)
        assert receiver.process.wait(60) == 0
        alone = monotonic() - began

    assert followed < alone + 10


def test_the_page_shows_what_happens(live, tab):
    """A new model appears by itself, is told to those who listen, and its run moves on."""
    page = tab(live.peer.url)
    page.get_by_text("Live", exact=True).wait_for()
    live.fires("newcomer", 0.7)

    card = page.locator(".card", has_text="newcomer")
    card.get_by_text("Retraining").wait_for()
    live.runs(RunState.FAILED)
    card.get_by_text("Fires, held").wait_for()
    page.locator("#said", has_text="newcomer").wait_for(state="attached")


def test_what_one_reads_stays_open(live, tab):
    """A refresh keeps opened details and the focus; updates can be stopped."""
    began = live._stamp(-timedelta(minutes=10))
    live.fires("folded", 0.6, starts_at=began)
    live.runs(RunState.SUCCEEDED)
    live.fires("folded", 0.61, 0.62, 0.63, starts_at=began)
    page = tab(f"{live.peer.url}/ui/models/folded")
    page.get_by_text("Live", exact=True).wait_for()
    fold = page.locator(".older").first
    fold.locator("summary").click()
    page.get_by_role("link", name="cooldown").first.focus()

    live.fires("folded", 0.64, starts_at=began)
    page.get_by_text("\u00d74 since").wait_for()

    assert page.locator(".older").first.get_attribute("open") is not None
    page.get_by_text("Live", exact=True).click()
    page.get_by_text("Updates stopped").wait_for()
    live.fires("folded", 0.65, starts_at=began)
    page.reload()
    page.get_by_text("\u00d75 since").wait_for()
    page.get_by_text("Updates stopped").wait_for()


def test_keys(live, tab):
    """Slash filters, j and k walk, Enter opens, ? helps, and they can be switched off."""
    live.fires("key-1", 0.6)
    live.fires("key-2", 0.6)
    page = tab(live.peer.url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("key-")
    page.keyboard.press("Enter")
    page.locator(".card").nth(1).wait_for()
    assert page.locator(".card").count() == 2

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    first = page.locator(".card h3").first.inner_text()
    assert page.evaluate("document.activeElement.textContent") == first
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=first, level=1).wait_for()

    page.keyboard.press("?")
    page.get_by_label("keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 0


def test_local_time_stands_beside_utc(peer, tab):
    """Every time is UTC with a relative word; the reader's own comes with JavaScript."""
    place = f"{peer.url}/ui/models/forecast-eu"
    far = tab(place, timezone_id="Asia/Kolkata")
    plain = tab(place, timezone_id="Asia/Kolkata", java_script_enabled=False)

    story = plain.locator("#story .at").first
    assert re.fullmatch(
        r"(\d\d \w+ )?\d\d:\d\d (\d+[dhms])+ ago", story.inner_text().replace("\n", " ")
    )
    utc, zoned = (
        story.locator("time").inner_text(),
        far.locator("#story .at time").first.inner_text(),
    )
    hours, minutes = map(int, utc[-5:].split(":"))
    local = f"{(hours + 5 + (minutes + 30) // 60) % 24:02}:{(minutes + 30) % 60:02}"
    assert zoned.startswith(utc)
    assert zoned.endswith(f"{local} local)")
    assert plain.locator(".local").count() == 0
    assert "Asia/" in far.locator("#zone").inner_text()


def test_local_time_stays_when_a_part_is_replaced(stage, tab):
    """What is fetched anew has it, too."""
    scene = stage()
    scene.fires("42", 0.6)
    page = tab(scene.peer.url, timezone_id="Asia/Kolkata")
    page.get_by_text("Live", exact=True).wait_for()
    scene.fires("43", 0.6)
    page.locator(".card", has_text="43").wait_for()

    assert page.locator(".card time").count() == page.locator(".card time .local").count() > 1


@pytest.mark.parametrize("width", [360, 1280])
def test_local_time_lies_over_nothing(peer, tab, width):
    """In the story it has its own column, on every screen."""
    page = tab(
        f"{peer.url}/ui/models/forecast-eu",
        viewport={"width": width, "height": 800},
        timezone_id="Asia/Kolkata",
    )

    for entry in page.locator("#story .entry").all()[:6]:
        time, about = entry.locator(".at").first, entry.locator(".about").first
        right = "(it) => it.getBoundingClientRect().x + it.scrollWidth"
        assert time.evaluate(right) <= about.bounding_box()["x"]
        assert time.bounding_box()["width"] >= 90
