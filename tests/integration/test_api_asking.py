"""What the API answers: the audit log, how models stand, dispatches, the process itself."""

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from tests.described import DescribedPeer
from tests.fakes import refused
from tests.posts import entry, post
from tests.serving import host, refusal, serve

HOUR = timedelta(hours=1)
WHY = {"comment": "the reason why"}


def decided(peer, query=None):
    answer = peer.get("/decisions", query)
    assert answer.status == 200
    return answer.json()["decisions"]


def tell_a_story(peer, history):
    """Decisions of several kinds, an hour apart."""
    peer.post("/webhook", post(entry("42"), entry("43", name="LowModelR2"), entry(name="Other")))
    history.clock.pass_(HOUR)
    peer.post("/webhook", post(entry("42", name="LowModelR2")))
    history.clock.pass_(HOUR)
    peer.post("/webhook", post(entry("43", status="resolved", ends_at="2026-11-22T13:00:00Z")))
    peer.post("/models/42/pause", WHY)


class TestDecisions:
    """GET /decisions and GET /decisions/{id}."""

    @pytest.mark.parametrize(
        "name",
        [
            "model",
            "policy",
            "alertname",
            "fingerprint",
            "status",
            "reason",
            "outcome",
            "source",
            "dispatch_id",
            "notification_id",
        ],
    )
    def test_each_filter_alone(self, peer, history, name):
        """A filter leaves exactly the decisions that have this value, newest first."""
        tell_a_story(peer, history)
        everything = decided(peer)
        value = next(one[name] for one in everything if one[name])

        found = decided(peer, {name: value})

        assert found == [one for one in everything if one[name] == value]
        assert 0 < len(found) < len(everything)

    def test_filters_together(self, peer, history):
        """Several filters must all hold."""
        tell_a_story(peer, history)

        found = decided(peer, {"model": "42", "alertname": "HighModelMAE", "status": "firing"})

        assert [one["reason"] for one in found] == ["triggered"]
        assert decided(peer, {"model": "43", "reason": "operator"}) == []

    def test_newest_first(self, peer, history):
        """Ids and times fall from row to row."""
        tell_a_story(peer, history)

        ids = [one["id"] for one in decided(peer)]

        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 6

    @pytest.mark.parametrize(
        ("query", "times"),
        [
            ("since=2026-11-22T13:00:00Z", {"14", "13"}),
            ("since=2026-11-22T13:00:00.000001Z", {"14"}),
            ("since=2026-11-22T14:00:00%2b01:00", {"14", "13"}),
            ("since=2026-11-22T14:00:00+01:00", {"14", "13"}),
            ("until=2026-11-22T13:00:00Z", {"12"}),
            ("since=1h", {"14", "13"}),
            ("since=59m", {"14"}),
            ("until=1h", {"12"}),
            ("since=2h&until=1h", {"12"}),
            ("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59.999999Z", {"12", "13", "14"}),
            ("since=36500d", {"12", "13", "14"}),
        ],
    )
    def test_since_and_until(self, peer, history, query, times):
        """`since` belongs to the span, `until` does not; a duration counts back from now."""
        tell_a_story(peer, history)

        answer = peer.get(f"/decisions?{query}")

        assert {one["decided_at"][11:13] for one in answer.json()["decisions"]} == times

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("reasn=cooldown", "'reasn' is not a filter here; did you mean reason?"),
            ("colour=red", "'colour' is not a filter here; known: model, policy, alertname,"),
            ("model=1&model=2", "'model' is given more than once"),
            ("reason=none", "reason can be unmatched, invalid, resolved, duplicate, stale,"),
            ("outcome=%1b[2J", r"outcome can be skip, hold, trigger, note; not '\x1b[2J'"),
            ("source=", "source can be alertmanager, timer, operator, poll; not ''"),
            ("status=Firing", "status can be firing, resolved; not 'Firing'"),
            ("limit=0", "limit is a number from 1 to 500; not '0'"),
            ("limit=501", "limit is a number from 1 to 500; not '501'"),
            ("limit=-1", "limit is a number from 1 to 500; not '-1'"),
            ("limit=%D9%A3", r"limit is a number from 1 to 500; not '\u0663'"),
            (f"limit={'9' * 5000}", "limit is a number from 1 to 500; not '999"),
            ("cursor=x", "cursor 'x' is not one of ours"),
            (f"cursor={'9' * 30}", "cursor '999"),
            ("since=yesterday", "since is a time such as 2026-11-22T09:14:00Z or a duration"),
            ("until=2026-02-30T00:00:00Z", "until is a time such as"),
            ("since=99999999999999999d", "since is a time such as"),
        ],
    )
    def test_a_bad_question(self, idle, query, detail):
        """What can't be understood is refused with what would be, never answered too widely."""
        assert refusal(idle.get(f"/decisions?{query}"), 400).startswith(detail)

    def test_pages(self, peer):
        """A cursor walks 1,200 rows without a gap or a double, also while new ones arrive."""
        for part in range(4):
            peer.post("/webhook", post(*(entry(f"{part}-{n}", name="Other") for n in range(300))))
        everything = stream(peer, {})
        pages, cursor = [], {}
        while cursor is not None:
            answer = peer.get("/decisions", {"limit": "97", **cursor}).json()
            pages.append([one["id"] for one in answer["decisions"]])
            peer.post("/webhook", post(entry(f"late-{len(pages)}", name="Other")))
            cursor = answer["next_cursor"] and {"cursor": answer["next_cursor"]}

        assert [one for page in pages for one in page] == [one["id"] for one in everything]
        assert [len(page) for page in pages] == [97] * 12 + [36]

    def test_the_last_full_page_has_no_next(self, peer):
        """A page that ends where the log ends says so, instead of offering an empty one."""
        peer.post("/webhook", post(entry("1"), entry("2")))

        assert peer.get("/decisions?limit=2").json()["next_cursor"] is None
        assert peer.get("/decisions?limit=1").json()["next_cursor"] is not None

    def test_streams_hold_everything(self, peer):
        """NDJSON and CSV bring all that matches, in the same order, whatever `limit` says."""
        for part in range(4):
            peer.post("/webhook", post(*(entry(f"{part}-{n}", name="Other") for n in range(300))))
        peer.post("/webhook", post(entry("42")))

        lines = stream(peer, {"reason": "unmatched", "limit": "3"})
        table = peer.get("/decisions?reason=unmatched", headers={"Accept": "text/csv"})
        rows = list(csv.DictReader(io.StringIO(table.text, newline="")))

        assert len({one["id"] for one in lines}) == 1200
        assert [row["id"] for row in rows] == [str(one["id"]) for one in lines]
        assert list(rows[0]) == list(lines[0])
        assert json.loads(rows[0]["labels"]) == lines[0]["labels"]

    def test_an_empty_table_has_a_heading(self, idle):
        """CSV names its columns even if nothing matches; NDJSON is empty then."""
        table = idle.get("/decisions", headers={"Accept": "text/csv"})

        assert table.text.startswith("id,decided_at,source,policy,model,")
        assert len(table.text.splitlines()) == 1
        assert stream(idle, {}) == []

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
    def test_a_spreadsheet_takes_no_label_for_a_formula(self, peer, start):
        """Strangers' text that begins like a formula is quoted in CSV, and only there."""
        name = f"{start}cmd|' /C calc'!A0"
        peer.post("/webhook", post(entry(name=name)))

        table = peer.get("/decisions", headers={"Accept": "text/csv"})
        (row,) = csv.DictReader(io.StringIO(table.text, newline=""))

        assert row["alertname"] == f"'{name}"
        assert decided(peer)[0]["alertname"] == name

    def test_one_whole(self, peer):
        """One decision shows the rungs up to the one that decided, and the alert as it came."""
        sent = entry("42", labels={"odd": "<b>\u202e"})
        peer.post("/webhook", post(entry("43"), sent))
        brief = decided(peer, {"model": "42"})[0]

        found = peer.get(f"/decisions/{brief['id']}").json()

        assert {name: found[name] for name in brief} == brief
        assert [gate["rung"] for gate in found["gates"]] == [
            "unmatched",
            "invalid",
            "resolved",
            "duplicate",
            "stale",
            "paused",
            "in_flight",
            "cooldown",
            "observed",
            "triggered",
        ]
        assert [gate["rung"] for gate in found["gates"] if gate["applies"]] == ["triggered"]
        assert found["alert"] == sent

    @pytest.mark.parametrize("name", ["1", "x", "-1", "9" * 40, "%00"])
    def test_none_such(self, idle, name):
        """An id that is none of ours is answered 404 or 400, never 500."""
        answer = idle.get(f"/decisions/{name}")

        assert answer.status == (404 if name == "1" else 400)
        assert answer.detail


def stream(peer, query):
    """All decisions, from NDJSON."""
    answer = peer.get("/decisions", query, headers={"Accept": "application/x-ndjson"})
    assert answer.headers.get_content_type() == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


class TestModels:
    """GET /models and GET /models/{model}."""

    def test_each_state(self, peer, history):
        """`state` says first what a human must know first."""
        post_all = [entry(name) for name in ("held", "paused", "quiet", "running")]
        peer.post("/webhook", post(*post_all[:3]))
        history.run_to_its_end()
        peer.post("/models/paused/pause", WHY)
        history.clock.pass_(HOUR)
        ended = {"status": "resolved", "ends_at": "2026-11-22T12:30:00Z"}
        peer.post("/webhook", post(entry("quiet", **ended), entry("running")))
        history.target.accidents = []
        history.send()
        peer.post("/webhook", post(entry("wrong")))
        history.target.accidents = [refused]
        history.send()

        listed = peer.get("/models").json()["models"]

        assert {one["model"]: one["state"] for one in listed} == {
            "held": "held",
            "paused": "paused",
            "quiet": "quiet",
            "running": "running",
            "wrong": "attention",
        }

    def test_pages(self, peer):
        """Models are listed by name, and the cursor continues behind the last one."""
        names = [f"m{n:03}" for n in range(120)]
        peer.post("/webhook", post(*(entry(name) for name in names)))

        first = peer.get("/models", {"limit": "100"}).json()
        second = peer.get("/models", {"limit": "100", "cursor": first["next_cursor"]}).json()

        assert [one["model"] for one in first["models"] + second["models"]] == names
        assert second["next_cursor"] is None
        assert len(peer.get("/models").json()["models"]) == 50

    def test_explained(self, peer, history):
        """One model says what holds it, by which rung, and when it is tried next."""
        peer.post("/webhook", post(entry("42")))
        history.run_to_its_end()
        peer.post("/models/42/pause", {**WHY, "for": "30m"})

        found = peer.get("/models/42").json()

        explained = found["explain"]
        assert explained["holds"] == "paused"
        assert explained["detail"] == (
            "model 42 is paused until 12:30 UTC by anonymous: the reason why; "
            "next attempt at 12:30 UTC if it still fires"
        )
        assert explained["next_check_at"] == found["next_check_at"] == "2026-11-22T12:30:02Z"
        assert {gate["rung"]: gate["applies"] for gate in explained["gates"]} == {
            "paused": True,
            "in_flight": False,
            "cooldown": True,
            "observed": False,
        }
        assert found["paused"] == {
            "scope": "model",
            "until": "2026-11-22T12:30:02Z",
            "actor": "anonymous",
            "comment": "the reason why",
        }
        assert [run["state"] for run in found["runs"]] == ["succeeded"]
        assert found["dispatch"]["id"] == found["runs"][0]["id"]
        assert [alert["fingerprint"] for alert in found["firing_alerts"]] == [
            entry()["fingerprint"]
        ]

    @pytest.mark.parametrize("name", ["unknown", "%00", "%ff", "..", "a" * 3000])
    def test_none_such(self, idle, name):
        """An unknown model is answered 404 with where to look."""
        assert refusal(idle.get(f"/models/{name}"), 404) == (
            "no model is remembered by this name (test alerts leave none); see GET /models"
        )

    def test_a_filter_is_refused(self, idle):
        """Models have no filters: one that is given is not silently dropped."""
        assert "did you mean limit?" in refusal(idle.get("/models?limt=1"), 400)
        assert refusal(idle.get("/models/42?state=held"), 400)


class TestDispatches:
    """GET /dispatches and GET /dispatches/{id}."""

    def test_listed_and_filtered(self, peer, history):
        """Newest first; each filter leaves exactly the dispatches that have this value."""
        for name in ("1", "2"):
            peer.post("/webhook", post(entry(name)))
            history.run_to_its_end()
        peer.post("/webhook", post(entry("3")))
        everything = peer.get("/dispatches").json()["dispatches"]

        def found(**query: str) -> list[str]:
            return [one["model"] for one in peer.get("/dispatches", query).json()["dispatches"]]

        assert [one["model"] for one in everything] == ["3", "2", "1"]
        assert found(state="pending") == ["3"]
        assert found(state="succeeded") == ["2", "1"]
        assert found(model="2") == ["2"]
        assert found(target="pipeline", policy="drift") == ["3", "2", "1"]
        assert found(target="none") == []

    def test_pages(self, peer):
        """The cursor continues behind the last one, without a gap or a double."""
        peer.post("/webhook", post(*(entry(str(n)) for n in range(7))))
        seen, query = [], {"limit": "3"}
        while True:
            page = peer.get("/dispatches", query).json()
            seen.append([one["id"] for one in page["dispatches"]])
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]

        assert [len(page) for page in seen] == [3, 3, 1]
        ids = [one for page in seen for one in page]
        assert ids == sorted(set(ids), reverse=True)

    @pytest.mark.parametrize("query", ["stat=parked", "state=lost", "limit=x", "since=noon"])
    def test_a_bad_question(self, idle, query):
        """A filter that is none here is refused."""
        assert refusal(idle.get(f"/dispatches?{query}"), 400)

    def test_of_a_time(self, peer, history):
        """`since` and `until` bound when a run was ordered, as a time or as long ago."""
        peer.post("/webhook", post(entry("1")))
        history.clock.pass_(2 * HOUR)
        peer.post("/webhook", post(entry("2")))
        between = history.now() - HOUR

        def found(**query: str) -> list[str]:
            return [one["model"] for one in peer.get("/dispatches", query).json()["dispatches"]]

        assert found(since="1h") == ["2"]
        assert found(until="1h") == ["1"]
        assert found(since=between.isoformat()) == ["2"]
        assert found(since="3h", until=between.isoformat()) == ["1"]

    def test_one_whole(self, peer, history):
        """One dispatch shows every attempt and every state that it was in."""
        history.target.accidents = [refused]
        peer.post("/webhook", post(entry("42")))
        history.send()
        (row,) = history.dispatches()

        found = peer.get(f"/dispatches/{row.id}").json()

        assert found["state"] == "refused"
        assert [one["state"] for one in found["transitions"]] == ["pending", "sending", "refused"]
        assert [(one["failure"], one["status_code"]) for one in found["attempts"]] == [
            ("refused", 422)
        ]
        assert found["inputs"] == {"user_id": "42"}

    def test_none_such(self, idle):
        """An unknown dispatch is answered 404."""
        assert refusal(idle.get("/dispatches/none"), 404)


class TestWebhook:
    """What Alertmanager is answered; intake itself is tested elsewhere."""

    def test_a_dry_run_leaves_nothing(self, peer):
        """`dry_run` decides as usual and stores nothing."""
        answer = peer.post("/webhook?dry_run=true", post(entry("42"), entry(name="Other")))

        assert [one["reason"] for one in answer.json()["decisions"]] == ["triggered", "unmatched"]
        assert decided(peer) == []
        assert peer.get("/dispatches").json()["dispatches"] == []
        assert peer.get("/models").json()["models"] == []

    def test_what_was_rejected_is_kept(self, peer):
        """A body that we could not accept is answered 400 once, and shown under /rejections."""
        detail = refusal(peer.post("/webhook", {"version": "3"}), 400)

        (kept,) = peer.get("/rejections").json()["rejections"]

        assert kept["body"] == '{"version": "3"}'
        assert kept["detail"] == detail
        assert (kept["status_code"], kept["sender"], kept["size"]) == (400, "anonymous", 16)

    @pytest.mark.parametrize("query", ["source=operator", "dry_run=1"])
    def test_a_bad_question(self, idle, query):
        """A switch that is misspelt must not let a notification act."""
        assert refusal(idle.post(f"/webhook?{query}", post(entry("42"))), 400)
        assert decided(idle) == []

    def test_a_query_of_others_is_ignored(self, peer):
        """Alertmanager's URL may carry parameters that are not ours."""
        assert peer.post("/webhook?cluster=eu", post(entry("42"))).status == 200


def test_a_body_over_the_cap(history, tmp_path):
    """Over `server.max_body` the answer is 413; the beginning, as far as it came, is kept."""
    with host(history, tmp_path, "server: {max_body: 1KiB}") as plain:
        peer = DescribedPeer(plain.url)

        answers = [peer.post("/webhook", body) for body in (b"x" * 1025, iter([b"x" * 1025]))]

        for answer in answers:
            assert refusal(answer, 413) == "the body is over 1024 bytes (server.max_body)"
        assert peer.get("/rejections").json()["rejections"][0]["body"].startswith("xxx")


def test_reload(tmp_path):
    """A broken file changes nothing and says why; a good one takes effect."""
    with serve(tmp_path) as plain:
        peer, file = DescribedPeer(plain.url), tmp_path / "receiver.yaml"
        good = file.read_text()
        before = peer.post("/-/reload").json()
        file.write_text(good.replace("target:", "tarket:"))
        broken = peer.post("/-/reload")
        file.write_text(good.replace("name: drift", "name: moved"))
        after = peer.post("/-/reload").json()
        peer.post("/webhook", post(entry("42")))

        assert refusal(broken, 422).startswith("nothing was changed; receiver.yaml: ")
        assert "did you mean 'target'?" in broken.detail
        assert after["config_hash"] != before["config_hash"]
        assert [one["policy"] for one in decided(peer)] == ["moved"]


def test_metrics_without_a_store(tmp_path):
    """When the database is gone the lists answer 503, but the metrics can still be scraped."""
    with serve(tmp_path) as plain:
        peer = DescribedPeer(plain.url)
        whole = peer.get("/metrics").text
        with closing(sqlite3.connect(tmp_path / "receiver.db")) as db:
            db.execute("DROP TABLE dispatches")

        assert refusal(peer.get("/dispatches"), 503).startswith("the store can't commit now: ")
        assert peer.get("/metrics").status == 200
        assert "retrain_build_info" in peer.get("/metrics").text
        assert "# TYPE retrain_dispatches gauge" in whole


def test_draining(history, tmp_path):
    """Once asked to end it is not ready and takes nothing in, so that Alertmanager repeats it."""
    with host(history, tmp_path) as plain:
        peer = DescribedPeer(plain.url)
        assert peer.get("/-/ready").status == 200
        plain.service.draining.set()

        assert refusal(peer.get("/-/ready"), 503) == "shutting down"
        answer = peer.post("/webhook", post(entry("42")))
        assert refusal(answer, 503) == "shutting down: send it again"
        assert answer.headers["Retry-After"]
        assert decided(peer) == []
        assert peer.get("/-/healthy").status == 200


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/dispatches?stat=x&state=lost&since=noon&limit=0", ["stat", "state", "since", "limit"]),
        (
            "/decisions?resaon=x&outcome=y&until=noon&limit=0",
            ["resaon", "outcome", "until", "limit"],
        ),
        ("/models?plicy=x&state=lost&labels=y&limit=0", ["plicy", "state", "labels", "limit"]),
    ],
)
def test_all_mistakes_are_told_at_once(idle, path, wrong):
    """`errors` has each of them, `detail` all in one line; `type` is fixed."""
    answer = idle.get(path)

    said = [one["detail"] for one in answer.json()["errors"]]
    assert answer.status == 400
    assert [re.search(r"\w+", one)[0] for one in said] == wrong
    assert answer.json()["detail"] == "; ".join(said)
    assert answer.json()["type"] == "about:blank"


def test_all_mistakes_of_a_body_are_told_at_once(idle):
    """Each field of an act has an entry of its own."""
    answer = idle.post("/models/42/pause", {"for": "soon", "coment": "x"})

    said = [one["detail"].partition(":")[0] for one in answer.json()["errors"]]
    assert sorted(said) == ["coment", "comment", "for"]
