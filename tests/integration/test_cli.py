"""The commands that ask a running receiver: what they print."""

import csv
import io
import json
import re

import pytest

from tests.commands import EVIL, SHOWN, WHY
from tests.fakes import refused
from tests.posts import entry, post
from tests.serving import host
from tests.waiting import eventually


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


class TestShowing:
    """decisions, models, explain, dispatches."""

    def test_decisions(self, ask):
        """The table shows what was decided and why, newest first, in plain text off a terminal."""
        ended = ask("decisions", "--source", "alertmanager")

        lines = ended.out.splitlines()
        assert ended.code == 0
        assert re.split(r"\s{2,}", lines[0]) == [
            "TIME (UTC)",
            "ID",
            "MODEL",
            "ALERT",
            "REASON",
            "DETAIL",
        ]
        assert [re.split(r"\s{2,}", line)[-2] for line in lines[1:]] == [
            "in_flight",
            "unmatched",
            "triggered",
            "triggered",
        ]
        assert lines[-1].endswith("nothing holds it back: one run at pipeline is ordered")
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d{16}  42 ", lines[1])

    def test_strangers_text_is_harmless(self, ask):
        """Escapes, bidi marks, line ends and markup in labels are shown, not obeyed."""
        table, whole = ask("decisions", "--reason", "unmatched"), ask("decisions", "-o", "json")
        (stranger,) = [one for one in whole.json["decisions"] if one["alertname"] == EVIL]
        one = ask("decisions", str(stranger["id"]))
        tables = [
            ask("decisions", "--reason", "unmatched", "-o", "csv"),
            ask("decisions", str(stranger["id"]), "-o", "csv"),
        ]

        for ended in (table, one, *tables):
            assert SHOWN in ended.out
        for ended in (table, one, whole, *tables):
            assert "\x1b" not in ended.out
            assert "\u202e" not in ended.out

    @pytest.mark.parametrize(
        ("path", "args"),
        [
            ("/decisions?limit=50", ["decisions"]),
            ("/decisions?limit=2", ["decisions", "--limit", "2"]),
            ("/models?limit=50", ["models"]),
            ("/models?limit=1", ["models", "--limit", "1"]),
            ("/models/43", ["explain", "43"]),
            ("/dispatches?limit=50", ["dispatches"]),
            ("/models/none", ["explain", "none"]),
        ],
    )
    def test_json_is_what_the_api_answered(self, cli, history, tmp_path, path, args):
        """`-o json` prints the API's answer as it is."""
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(entry("42"), entry("43"), entry("none", name=EVIL)))
            peer.post("/webhook", post(entry("none")))
            ended = cli(*args, "-o", "json", url=peer.url)

            assert ended.json == peer.get(path).json()

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--model", "42"),
            ("--policy", "drift"),
            ("--alertname", "LowModelR2"),
            ("--fingerprint", entry("43")["fingerprint"]),
            ("--status", "firing"),
            ("--reason", "triggered"),
            ("--outcome", "hold"),
            ("--source", "alertmanager"),
            ("--dispatch-id", "{dispatch_id}"),
            ("--notification-id", "{notification_id}"),
            ("--since", "1h"),
            ("--since", "2100-01-01T00:00:00Z"),
            ("--until", "2000-01-01T00:00:00Z"),
        ],
    )
    def test_filters(self, ask, served, option, value):
        """Every filter of the API is an option of the same name."""
        newest = served.get("/decisions").json()["decisions"][0]
        value = value.format(**newest)

        ended = ask("decisions", option, value, "-o", "json")

        name = option.removeprefix("--").replace("-", "_")
        assert ended.json == served.get("/decisions", {name: value}).json()

    def test_csv_is_the_apis(self, ask, served):
        """`-o csv` of decisions is the API's own table, cut at the limit unless `--all`.

        Only what a terminal would obey is made visible.
        """
        table = served.get("/decisions", headers={"Accept": "text/csv"}).text
        table = table.replace(f'"{EVIL}"', SHOWN)

        assert ask("decisions", "--all", "-o", "csv").out == table
        assert ask("decisions", "-o", "csv").out == table
        assert (
            ask("decisions", "--limit", "2", "-o", "csv").rows
            == list(csv.DictReader(io.StringIO(table, newline="")))[:2]
        )

    def test_all_as_json(self, ask, served):
        """`--all -o json` prints one decision a line."""
        listed = served.get("/decisions").json()["decisions"]

        lines = ask("decisions", "--all", "-o", "json").out.splitlines()

        assert [json.loads(line) for line in lines] == listed

    @pytest.mark.parametrize("name", ["models", "dispatches"])
    def test_csv_of_lists(self, cli, history, tmp_path, name):
        """CSV has every field of the API, nested ones as JSON, and a heading if empty."""
        with host(history, tmp_path) as peer:
            empty = cli(name, "-o", "csv", url=peer.url)
            peer.post("/webhook", post(entry("42"), entry("43")))
            full = cli(name, "-o", "csv", url=peer.url)
            listed = peer.get(f"/{name}").json()[name]

        assert empty.out.strip().split(",") == list(listed[0])
        assert [row["model"] for row in full.rows] == [one["model"] for one in listed]
        nested = next(field for field, value in listed[0].items() if isinstance(value, dict))
        assert json.loads(full.rows[0][nested]) == listed[0][nested]

    @pytest.mark.parametrize("name", ["models", "dispatches"])
    def test_all_pages(self, cli, history, tmp_path, name):
        """Without `--all` a hint on stderr says that there are more; with it all are shown."""
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(*(entry(f"m{n:03}") for n in range(520))))
            some = cli(name, url=peer.url)
            everything = cli(name, "--all", "-o", "json", url=peer.url)

        assert len(some.out.splitlines()) == 51
        assert some.err == "there are more: --all, or --limit up to 500\n"
        assert len({one["model"] for one in everything.json[name]}) == 520
        assert everything.err == ""

    def test_models(self, ask):
        """The table shows how each model stands; their target refuses every connection."""
        for model in ("42", "43"):
            assert eventually(lambda name=model: "waiting" in ask("models", "-q", name).out)
        heading, *lines = ask("models").out.splitlines()

        assert heading.startswith("MODEL  STATE    POLICY  FIRING ")
        assert [line.split()[:3] for line in lines][:2] == [
            ["42", "waiting", "drift"],
            ["43", "waiting", "drift"],
        ]
        assert "HighModelMAE, LowModelR2" in lines[0]

    def test_explain(self, cli, history, tmp_path):
        """It says in the API's words what holds a model, each rung, and the next attempt."""
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(entry("42")))
            history.run_to_its_end()
            ended = cli("explain", "42", url=peer.url)
            table = cli("explain", "42", "-o", "csv", url=peer.url)
            (run,) = history.dispatches()

        cooldown = f"in cooldown for another 5h59m: run run-{run.id} ended at 12:00 UTC"
        assert ended.out.splitlines()[:12] == [
            "model 42: held",
            f"{cooldown}; next attempt at 18:00 UTC if it still fires",
            "",
            "✓ paused     no pause is in force",
            "✓ in_flight  nothing of this model is in flight",
            f"✗ cooldown   {cooldown}",
            "✓ observed   the policy acts",
            "",
            "held by       cooldown",
            "next attempt  2026-11-22 18:00:00 UTC",
            "policy        drift",
            "firing        HighModelMAE since 2026-11-22 11:00:00 UTC, value 0.62",
        ]
        assert f"{run.id}  succeeded" in ended.out
        assert [(row["rung"], row["applies"]) for row in table.rows] == [
            ("paused", "False"),
            ("in_flight", "False"),
            ("cooldown", "True"),
            ("observed", "False"),
        ]

    def test_one_model(self, ask):
        """`models MODEL` is what `explain` says; a filter beside it is a mistake."""
        assert ask("models", "42").out == ask("explain", "42").out
        assert ask("models", "42", "--state", "held").code == 2
        assert ask("models", "nobody").code == 3

    def test_one_policy(self, ask):
        """`policies POLICY` shows this one only; of one that is not there, which there are."""
        assert [one["name"] for one in ask("policies", "drift", "-o", "csv").rows] == ["drift"]
        ended = ask("policies", "dirft")
        assert (ended.code, "there is no policy dirft; there are: drift" in ended.err) == (3, True)

    def test_terminals_are_not_told_of_http(self, ask):
        """What the API calls by its paths and fields has a command's name here."""
        assert "see `retrain-receiver models`" in ask("explain", "nobody").err
        ended = ask("pause", "nobody", *WHY)
        assert "--policy model-quality --label user_id=42" in ended.err
        assert "{" not in ended.err

    def test_one_decision(self, ask, served):
        """One decision is shown with its rungs and the alert as it came."""
        one = served.get("/decisions?model=42&reason=triggered").json()["decisions"][0]

        ended = ask("decisions", str(one["id"]))

        assert ended.out.startswith(f"triggered: {one['detail']}\n")
        assert "✓ duplicate  this delivery is new" in ended.out
        assert f"dispatch      {one['dispatch_id']}" in ended.out
        assert f'"fingerprint": "{entry()["fingerprint"]}"' in ended.out
        assert ask("decisions", str(one["id"]), "-o", "json").json["alert"]["status"] == "firing"
        assert ask("decisions", str(one["id"]), "-o", "csv").rows[0]["model"] == "42"

    def test_dispatches(self, ask, served):
        """The list can be filtered; one is shown with its transitions and attempts."""
        listed = served.get("/dispatches").json()["dispatches"]
        dispatch_id = listed[0]["id"]

        assert all(one["id"] in ask("dispatches").out for one in listed)
        assert len(ask("dispatches", "--model", "42", "-o", "csv").rows) == 1
        assert ask("dispatches", "--target", "none", "-o", "csv").rows == []
        assert ask("dispatches", "--state", "succeeded", "-o", "csv").rows == []
        one = ask("dispatches", dispatch_id).out
        assert one.startswith(f"dispatch {dispatch_id}: ")
        assert "target    pipeline (kfp)" in one
        assert "ordered by policy drift" in one
        assert ask("dispatches", dispatch_id, "-o", "json").json["transitions"]
        assert ask("dispatches", dispatch_id, "-o", "csv").rows[0]["id"] == dispatch_id


class TestActing:
    """retrain, pause, resume, and what can be done about a dispatch."""

    def test_pause_and_resume(self, ask, served):
        """Each act prints the decision that it left; its reason is in the audit log."""
        paused = ask("pause", "42", "--for", "4h", *WHY)
        resumed = ask("resume", "42", *WHY, "-o", "json")

        assert paused.code == 0
        assert re.match(
            r"operator: model 42 paused until (\S+ )?\d\d:\d\d UTC by anonymous: the reason why\n"
            r"decision \d{16}\n",
            paused.out,
        )
        assert resumed.json["detail"] == "model 42 resumed by anonymous: the reason why"
        assert served.get(f"/decisions/{resumed.json['id']}").json() == resumed.json

    @pytest.mark.parametrize(
        ("args", "detail"),
        [
            (["--policy", "drift"], "policy drift"),
            (["--everything"], "everything"),
            (["42"], "model 42"),
            (["new", "--policy", "drift", "--label", "user_id=new"], "model new"),
        ],
    )
    def test_scopes(self, ask, args, detail):
        """A model, a policy or everything: only what was named is paused."""
        paused = ask("pause", *args, *WHY, "-o", "csv").rows
        resumed = ask("resume", *args, *WHY, "-o", "csv").rows

        assert paused[0]["detail"] == f"{detail} paused until resumed by anonymous: the reason why"
        assert resumed[0]["detail"] == f"{detail} resumed by anonymous: the reason why"

    @pytest.mark.parametrize(
        ("args", "whose"),
        [(["--policy", "drift"], "policy drift"), (["--everything"], "everything")],
    )
    def test_release(self, ask, args, whose):
        """It says how many runs that may order; a model alone is approved instead."""
        released = ask("release", *args, *WHY, "-o", "csv").rows

        said = f"{whose} released from storms (0 models, 0 runs at most) by anonymous"
        assert released[0]["detail"] == f"{said}: the reason why"

    def test_retrain(self, ask):
        """It orders one run; while that is in flight it says so and exits 1."""
        named = ("retrain", "99", "--policy", "drift", "--label", "user_id=99", *WHY)
        first, second = ask(*named), ask("retrain", "99", *WHY)

        assert first.code == 0
        assert first.out.startswith("triggered: ordered by anonymous: the reason why\n")
        dispatch_id = first.out.split()[-1]
        assert second.code == 1
        assert second.out.startswith(f"in_flight: dispatch {dispatch_id} is ")

    def test_a_key_is_honoured(self, ask, served):
        """The same command under the same key is done once; without one, twice."""
        before = len(served.get("/decisions?source=operator").json()["decisions"])
        same = [ask("pause", "42", *WHY, "--idempotency-key", "k", "-o", "json") for _ in "12"]
        other = [ask("pause", "42", *WHY, "-o", "json") for _ in "12"]
        ask("resume", "42", *WHY)

        after = len(served.get("/decisions?source=operator").json()["decisions"])
        assert same[0].json == same[1].json
        assert other[0].json["id"] != other[1].json["id"]
        assert after - before == 4

    def test_retry_and_abandon(self, cli, history, tmp_path):
        """A refused dispatch is retried, then abandoned; in another state that is refused."""
        history.target.accidents = [refused]
        with host(history, tmp_path) as peer:
            peer.post("/webhook", post(entry("42")))
            history.send()
            (row,) = history.dispatches()
            retried = cli("dispatches", row.id, "--retry", *WHY, url=peer.url)
            twice = cli("dispatches", row.id, "--retry", *WHY)
            abandoned = cli("dispatches", row.id, "--abandon", *WHY)

        assert f"\noperator: dispatch {row.id} retried by anonymous: " in retried.out
        assert twice.code == 1
        assert twice.err.startswith("only a parked or refused dispatch can be retried; ")
        assert f"\noperator: dispatch {row.id} abandoned by anonymous: " in abandoned.out
