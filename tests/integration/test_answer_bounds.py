"""Whatever is stored within the limits, an answer about it has a bound, and nothing is lost."""

import json

import pytest
from sqlalchemy import text

from receiver.store.column_types import to_micros
from receiver.web import decisions, exports
from receiver.web.responses import PAGE_BYTES
from tests.posts import entry, post
from tests.serving import Peer

FULL = {"padding": "x" * 60_000}
MANY = 40
"""Alerts with such labels are twice as much as a page may have."""


@pytest.fixture
def full(peer):
    """A model for each of many alerts whose labels are nearly at their bound."""
    for number in range(MANY):
        assert peer.post("/webhook", post(entry(f"m{number:03}", labels=FULL))).status == 200
    return peer


def pages(peer, name, key, **query):
    """Every page of a list; none is over the bound."""
    found, asked = [], {**query, "limit": "500"}
    while True:
        answer = peer.get(f"/{name}", asked)
        assert len(answer.body) <= PAGE_BYTES + 1000
        page = answer.json()
        found.append(page[key])
        if page["next_cursor"] is None:
            return found
        asked["cursor"] = page["next_cursor"]


def test_a_page_ends_at_its_bytes(full):
    """It has fewer rows than were asked for, and says where the next one begins."""
    decided = pages(full, "decisions", "decisions")
    models = pages(full, "models", "models")

    assert len(decided) > 1
    assert [row["model"] for page in decided for row in page] == [
        f"m{number:03}" for number in reversed(range(MANY))
    ]
    assert len(models) > 1
    assert [row["model"] for page in models for row in page] == [
        f"m{number:03}" for number in range(MANY)
    ]
    assert all(row["firing_count"] == 1 for page in models for row in page)


@pytest.mark.parametrize("kind", ["application/x-ndjson", "text/csv"])
def test_an_export_is_made_in_parts_and_has_everything(full, history, kind, monkeypatch):
    """Each part is bounded by bytes; together they are the whole log."""
    write = {"application/x-ndjson": decisions.as_ndjson, "text/csv": decisions.as_csv}[kind]
    parts = list(write(history.store, {"filters": {}, "before": None}))
    whole = full.get("/decisions", headers={"Accept": kind}).body

    assert b"".join(parts) == whole
    assert max(map(len, parts)) <= max(exports.EXPORTED_BYTES, 2 * 61_000 + 1000)
    assert len(parts) >= MANY // 2


def test_a_model_shows_its_oldest_alerts_and_has_all_of_them(peer):
    """The lists and the page say how many there are; pages of the model have each once."""
    alerts = [entry("42", labels={"pod": f"p{number}"}) for number in range(250)]
    peer.post("/webhook", post(*alerts))

    (listed,) = peer.get("/models").json()["models"]
    first = peer.get("/models/42").json()
    found = [
        one["fingerprint"] for page in pages(peer, "models/42", "firing_alerts") for one in page
    ]
    second = peer.get("/models/42", {"cursor": first["next_cursor"]}).json()
    last = peer.get("/models/42", {"limit": "250"}).json()

    assert (len(listed["firing_alerts"]), listed["firing_count"]) == (100, 250)
    assert (len(first["firing_alerts"]), first["firing_count"]) == (100, 250)
    assert [one["fingerprint"] for one in second["firing_alerts"]] == found[100:200]
    assert sorted(found) == sorted(alert["fingerprint"] for alert in alerts)
    assert (len(last["firing_alerts"]), last["next_cursor"]) == (250, None)
    assert (first["state"], first["explain"]) == (second["state"], second["explain"])
    assert "and 150 more" in Peer(peer.url).get("/ui/models/42").text
    assert "and 246 more" in Peer(peer.url).get("/").text


def test_a_cursor_that_is_none_of_ours_is_refused(peer):
    """400, as for every other list."""
    peer.post("/webhook", post(entry("42")))

    assert peer.get("/models/42", {"cursor": "here"}).status == 400


def test_alerts_of_a_model_are_bounded_by_bytes_too(peer):
    """A hundred full ones would be 6 MB."""
    for number in range(MANY):
        peer.post("/webhook", post(entry("42", labels={**FULL, "pod": f"p{number:03}"})))

    (listed,) = peer.get("/models").json()["models"]
    found = [one for page in pages(peer, "models/42", "firing_alerts") for one in page]
    shown = Peer(peer.url).get("/ui/models/42")

    assert 0 < len(json.dumps(listed)) <= PAGE_BYTES // 4 + 2000
    assert (len(found), listed["firing_count"]) == (MANY, MANY)
    assert shown.status == 200


def test_rejections_come_in_pages(peer):
    """Bytes that are no text take six times as much as JSON."""
    for number in range(4):
        peer.post("/webhook", b"\x01" * 60_000 + b"%d" % number)

    found = [row for page in pages(peer, "rejections", "rejections") for row in page]

    assert [row["body"][-1] for row in found] == ["3", "2", "1", "0"]


TRIED = 1300
"""Attempts of four days without a target."""


@pytest.fixture
def tried(peer, history):
    """A dispatch whose target was away for long."""
    peer.post("/webhook", post(entry("42")))
    (dispatch,) = history.dispatches()
    row = {"id": dispatch.id, "at": to_micros(history.now()), "detail": "d" * 500}
    attempt = "INSERT INTO attempts VALUES (:id, :n, :at, :at, 'unavailable', NULL, :detail)"
    transition = "INSERT INTO transitions VALUES (:id, :n + 1, :at, 'pending', :detail, NULL)"
    with history.store.begin() as tx:
        for insert in (attempt, transition):
            tx._db.execute(text(insert), [{**row, "n": n + 1} for n in range(TRIED)])
    return dispatch


def test_a_dispatch_that_was_tried_for_days_has_all_of_it_in_pages(peer, tried, cli):
    """The last steps first; the command line has them as one."""
    path, found = f"/dispatches/{tried.id}", []
    answer = peer.get(path)
    while True:
        assert len(answer.body) <= PAGE_BYTES
        page = answer.json()
        found.insert(0, page)
        if page["next_cursor"] is None:
            break
        answer = peer.get(path, {"cursor": page["next_cursor"]})
    told = json.loads(cli("dispatches", tried.id, "-o", "json", url=peer.url).out)

    for steps, many in (("attempts", TRIED), ("transitions", TRIED + 1)):
        numbers = [one["number"] for page in found for one in page[steps]]
        assert numbers == [*range(1, many + 1)]
        assert [one["number"] for one in told[steps]] == numbers
    assert "next_cursor" not in told
    for cursor in ("x", "1-2-3", "-", "1-99999999999999999999"):
        assert peer.get(path, {"cursor": cursor}).status == 400


def test_its_page_shows_the_last_steps(peer, tried, history):
    """And says how many were before."""
    (decision,) = history.log(dispatch_id=tried.id)
    for path in (f"/ui/dispatches/{tried.id}", f"/ui/decisions/{decision.id}"):
        page = Peer(peer.url).get(path)
        assert len(page.body) < 250_000
        assert f"{TRIED - 100} earlier attempts" in page.text


def test_the_page_shows_the_beginning_of_a_long_alert(peer):
    """And where all of it is."""
    long = entry("42")
    long["annotations"]["padding"] = "x" * 1_000_000
    (told,) = peer.post("/webhook", post(long)).json()["decisions"]

    page = Peer(peer.url).get(f"/ui/decisions/{told['id']}")

    assert len(page.body) < 100_000
    assert "It is longer" in page.text
    assert len(peer.get(f"/decisions/{told['id']}").body) > 1_000_000
