"""The command `backtest`: what it shows, writes, and says of what it can't use."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from receiver.backtest.files import save
from receiver.backtest.histories import Firing, history_of
from receiver.store.store import Store
from tests.commands import Peculiar
from tests.examples import alert, resolved
from tests.fakes import NOON, FakeTarget, HandClock
from tests.histories import History
from tests.processes import ROOT

HOUR = timedelta(hours=1)

VECTOR = '{"status": "success", "data": {"resultType": "vector", "result": []}}'

NAMELESS = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {"alertname": "HighModelMAE", "alertstate": "firing"},
                    "values": [[1000, "1"], [1060, "1"]],
                }
            ],
        },
    }
)
FOLDER = ROOT / "examples" / "backtest"
CONFIG, ALERTS = str(FOLDER / "receiver.yaml"), str(FOLDER / "history.json")
EXAMPLE = ("--config", CONFIG, "--alerts", ALERTS, "--draws", "20")


@pytest.fixture
def run(cli):
    """Run the command."""
    return lambda *args: cli("backtest", *args)


def test_the_example_of_the_docs_is_what_the_command_prints(run):
    """Its numbers come from the files that stand beside it."""
    text = (ROOT / "docs" / "backtest.md").read_text()
    command, shown = re.search(r"```console\n\$ (.*?)\n(.*?)```", text, re.DOTALL).groups()
    args = command.replace("examples/backtest", str(FOLDER)).split()[2:]

    ended = run(*args)

    assert ended.code == 0, ended.err
    assert ended.out.strip() == shown.strip()


def test_everything_as_json(run):
    """Per rule and model: runs, money, bad hours and what held them; and the oracle's."""
    found = run(*EXAMPLE, "--cost", "12USD", "--bad-hour", "3", "-o", "json").json

    assert [one["name"] for one in found["results"]] == [
        "receiver.yaml",
        "every alert",
        "cooldown only",
    ]
    first = found["results"][0]
    assert first["draws"] == 20
    assert first["money"]["mean"] == pytest.approx(12 * first["runs"]["mean"])
    assert sum(first["held"].values()) == pytest.approx(first["bad_hours"]["mean"])
    assert len(first["models"]) == found["models"] == 6
    assert sum(one["runs"] for one in first["models"]) == pytest.approx(first["runs"]["mean"])
    cost = first["money"]["mean"] + 3 * first["bad_hours"]["mean"]
    assert first["cost"] == pytest.approx(cost)
    assert first["cost_to_oracle"] == pytest.approx(cost / found["oracle"]["cost"])
    assert all(one["cost_to_oracle"] >= 1 for one in found["results"])


def test_the_same_seed_tells_the_same(run):
    """And another one something else."""
    asked = (*EXAMPLE, "-o", "json")

    assert run(*asked).json == run(*asked).json
    assert run(*asked).json != run(*asked, "--seed", "2").json


ALERTMANAGER = """\
route:
  receiver: others
  routes:
    - {matchers: [team="else"], receiver: others}
    - receiver: retrain
      matchers: ['alertname=~"HighModelMAE|LowModelR2"']
      group_by: [user_id]
      group_wait: 2m
      group_interval: 10m
      repeat_interval: 12h
receivers:
  - {name: others}
  - {name: retrain, webhook_configs: [{url: "http://retrain:8080/webhook"}]}
"""


def test_the_route_of_the_user_is_played(run, tmp_path):
    """As if all that it says had been given by hand."""
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER)
    by_hand = ("--group-by", "user_id", "--group-wait", "2m", "--group-interval", "10m")

    read = run(*EXAMPLE, "--route", str(tmp_path / "alertmanager.yml"), "-o", "json").json

    told = run(*EXAMPLE, *by_hand, "--repeat-interval", "12h", "-o", "json").json
    assert read["results"] == told["results"]
    assert read["results"] != run(*EXAMPLE, "-o", "json").json["results"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("receivers: []\n", "has no `route`; give Alertmanager's own configuration"),
        (ALERTMANAGER.replace("/webhook", "/other"), "none of its receivers posts to us"),
        (ALERTMANAGER.replace("HighModelMAE|", "").replace("LowModelR2", "X"), "see `lint`"),
        ("route: [", "alertmanager.yml"),
    ],
)
def test_a_route_that_can_t_be_played(run, tmp_path, text, told):
    """A sentence with the cure."""
    (tmp_path / "alertmanager.yml").write_text(text)

    ended = run(*EXAMPLE, "--route", str(tmp_path / "alertmanager.yml"))

    assert ended.code == 1
    assert told in ended.err


def test_a_pair_of_assumptions(run):
    """Each is told whole, as if it had been given alone."""
    good, bad = ("--run-duration", "30m", "--helps", "0.9"), ("--run-duration", "2h", "--helps")
    pair = run(*EXAMPLE, "--run-duration", "30m,2h", "--helps", "0.9,0.5", "-o", "json").json

    assert pair["pair"] == [
        run(*EXAMPLE, *good, "-o", "json").json,
        run(*EXAMPLE, *bad, "0.5", "-o", "json").json,
    ]
    shown = run(*EXAMPLE, "--helps", "0.9,0.5").out
    assert "a run takes 40m, helps with chance 0.90" in shown
    assert "a run takes 40m, helps with chance 0.50" in shown


def test_another_policy_beside_it(run, tmp_path):
    """And a sweep, whose Pareto line is marked."""
    other = tmp_path / "other.yaml"
    text = (FOLDER / "receiver.yaml").read_text()
    other.write_text(text + "    cooldown: 24h\n")

    rows = run(*EXAMPLE, "--against", str(other), "--sweep", "cooldown=1h,24h", "-o", "csv").rows

    by_name = {row["name"]: row for row in rows}
    assert list(by_name)[:2] == ["receiver.yaml", "other.yaml"]
    assert by_name["other.yaml"] == {**by_name["cooldown 24h"], "name": "other.yaml"}
    assert float(by_name["other.yaml"]["runs"]) < float(by_name["receiver.yaml"]["runs"])
    assert float(by_name["cooldown 1h"]["bad_hours"]) < float(by_name["other.yaml"]["bad_hours"])
    table = run(*EXAMPLE, "--sweep", "cooldown=1h,6h").out
    assert "cooldown 1h *" in table


def test_files_of_one_name_are_told_apart(run, tmp_path):
    """By their paths: the same file in two folders is what one compares."""
    other = tmp_path / "receiver.yaml"
    other.write_text((FOLDER / "receiver.yaml").read_text() + "    cooldown: 24h\n")

    rows = run(*EXAMPLE, "--against", str(other), "-o", "csv").rows

    assert [row["name"] for row in rows][:2] == [CONFIG, str(other)]
    assert rows[0]["runs"] != rows[1]["runs"]


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]


def test_the_report_is_one_file_that_needs_nothing(run, tmp_path):
    """A timeline per model; no script, no address, and strangers' text is only text."""
    labels = {"alertname": "HighModelMAE", "user_id": "m1", "pod": "<script>alert(1)</script>"}
    history = history_of(NOON, NOON + 72 * HOUR, [(labels, [Firing(NOON, None)])])
    save(history, tmp_path / "history.json")
    page = tmp_path / "report.html"

    ended = run(
        "--config", CONFIG, "--alerts", str(tmp_path / "history.json"), "--html", str(page)
    )

    assert ended.code == 0, ended.err
    read = Tags()
    read.feed(page.read_text())
    assert read.tags.count("svg") == 1
    assert "script" not in read.tags
    assert read.links == []
    assert "m1" in page.read_text()


class Saying:
    """A server that answers everything with this."""

    def __init__(self, code, body):
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                status, said = (code, body) if body is not None else code(self.path)
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self.url

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Told(Saying):
    """A Prometheus in which one alert fires for days; it may answer a few questions only."""

    def __init__(self, lives=None):
        self._asked = 0
        self._lives = lives
        super().__init__(self._answer, None)

    def __enter__(self):
        super().__enter__()
        return self

    def _answer(self, path):
        self._asked += 1
        if self._lives is not None and self._asked > self._lives:
            return 503, {"status": "error", "error": "query timed out in expression evaluation"}
        query = {name: value[0] for name, value in parse_qs(urlsplit(path).query).items()}
        start, end = (int(float(query[name])) for name in ("start", "end"))
        labels = {"alertname": "HighModelMAE", "user_id": "m1"}
        step = int(query["step"])
        values = [[at, "1"] for at in range(start, end + 1, step)]
        if not query["query"].startswith("ALERTS"):
            values = [[at, str(at - start)] for at, _ in values]
            labels = {} if query["query"] == "nameless" else labels
            values = [[0, "x"]] if query["query"] == "words" else values
        result = [{"metric": labels, "values": values}]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}


def test_the_metric_is_drawn_over_its_model(run, tmp_path):
    """By the labels that name the model; an expression without them is told with the cure."""
    page = tmp_path / "report.html"
    span = ("--since", "2026-11-01T00:00:00Z", "--until", "2026-11-03T00:00:00Z", "--step", "1m")
    with Told() as peer:
        asked = ("--config", CONFIG, "--prometheus", peer.url, *span, "--html", str(page))
        drawn = run(*asked, "--metric", "model_mae_score")
        nameless = run(*asked, "--metric", "nameless")
        nothing = run(*asked, "--metric", "words")
    alone = run(*EXAMPLE, "--metric", "model_mae_score")

    assert drawn.code == 0, drawn.err
    (line,) = re.findall(r"<polyline points='(.*?)'.*?<title>(.*?)</title>", page.read_text())
    points = [tuple(map(float, one.split(","))) for one in line[0].split()]
    assert len(points) == 481
    assert (points[0], points[-1]) == ((0, -3), (960, -37))
    assert line[1].startswith("the metric, from 0 to ")
    assert "keep them, as in `avg by (user_id) (…)`" in nameless.err
    assert "is no range of numbers" in nothing.err
    assert (alone.code, "give --prometheus URL" in alone.err) == (2, True)


def test_each_decision_can_be_kept(run, tmp_path):
    """As lines that are a history themselves: what was decided once can be replayed again."""
    kept = tmp_path / "decisions.ndjson"

    assert run(*EXAMPLE, "--decisions", str(kept)).code == 0

    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {"triggered", "cooldown", "resolved"} <= {line["reason"] for line in lines}
    assert run("--config", CONFIG, "--alerts", str(kept), "--draws", "1").code == 0


def test_our_own_database(run, tmp_path, migrated):
    """What the log remembers, without a receiver; a missing file is told."""
    config = tmp_path / "receiver.yaml"
    config.write_text((FOLDER / "receiver.yaml").read_text())
    asked = ("--config", str(config), "--database", "--since", "2026-11-01T00:00:00Z")
    assert "there is no database" in run(*asked).err
    (tmp_path / "receiver.db").write_bytes(migrated.read_bytes())
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path}/receiver.db", clock)
    history = History(store, clock, FakeTarget())
    history.deliver(alert())
    clock.pass_(HOUR)
    beside = run(*asked)
    history.deliver(resolved(ends_at=clock.now()))
    store.close()

    found = run(*asked, "-o", "json").json

    assert found["bad_hours_untreated"] == 1
    assert beside.code == 1
    assert "export its log instead" in beside.err


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        ((), 2, "give one of --prometheus URL, --alerts FILE and --database"),
        (("--alerts", ALERTS, "--database"), 2, "give one of"),
        (("--alerts", CONFIG), 1, "neither JSON nor a JSON object a line"),
        (("--alerts", ALERTS, "--sweep", "colour=1"), 1, "write one of cooldown, settle"),
        (("--alerts", ALERTS, "--sweep", "cooldown=soon"), 1, "'soon' is not a duration"),
        (("--alerts", ALERTS, "--cost", "much"), 2, "write an amount and a unit, as 12USD"),
        (("--alerts", ALERTS, "--run-duration", "x"), 2, "--run-duration: 'x' is not a duration"),
        (("--alerts", ALERTS, "--helps", "2"), 2, "write a chance from 0 to 1, as 0.8"),
        (("--alerts", ALERTS, "--helps", "often"), 2, "write a chance from 0 to 1, as 0.8"),
        (("--alerts", ALERTS, "--helps", "0,1,1"), 2, "take one value, or two"),
        (("--database", "--since", "spring"), 2, "write 90d, 12h or 2026-11-22T09:14:00Z"),
        (("--prometheus", "http://127.0.0.1:1", "--since", "1h"), 4, "is unreachable"),
    ],
)
def test_what_it_can_t_use(run, args, code, told):
    """A sentence with the cure."""
    ended = run("--config", CONFIG, *args)

    assert ended.code == code
    assert told in ended.err


def test_policies_that_name_models_otherwise_are_not_compared(run, tmp_path):
    """They would be about other models."""
    other = tmp_path / "other.yaml"
    text = (FOLDER / "receiver.yaml").read_text()
    other.write_text(text.replace('name: "{user_id}", labels', 'name: "user-{user_id}", labels'))

    ended = run(*EXAMPLE, "--against", str(other))

    assert ended.code == 1
    assert "other.yaml: it names the model user-m0 where the first names m0" in ended.err


def test_a_page_of_grafana_is_no_prometheus(run):
    """It is told, with the option that names the address."""
    with Peculiar(200) as page:
        ended = run("--config", CONFIG, "--prometheus", page.url, "--since", "1h")

    assert ended.code == 1
    assert "answers, but not as Prometheus does (no JSON); see --prometheus" in ended.err


@pytest.mark.parametrize(
    ("code", "headers", "told"),
    [
        (401, {}, "asks for a token; give --prometheus-token-file"),
        (403, {}, "asks for a token; give --prometheus-token-file"),
        (302, {"Location": "/login"}, "answers, but not as Prometheus does (302); see --prometh"),
        (404, {}, "answers, but not as Prometheus does (404); see --prometheus"),
    ],
)
def test_an_address_that_does_not_let_us_in(run, code, headers, told):
    """A log-in, a token that is missing, another path: each with its cure."""
    with Peculiar(code, **headers) as page:
        ended = run("--config", CONFIG, "--prometheus", page.url, "--since", "1h")

    assert ended.code == 1
    assert told in ended.err


def test_grafana_s_own_api_is_no_prometheus(run):
    """What it answers in JSON is told, with the option that names the address."""
    with Saying(404, {"message": "Not found", "traceID": ""}) as url:
        ended = run("--config", CONFIG, "--prometheus", url, "--since", "1h")

    assert ended.code == 1
    assert "not as Prometheus does (404 'Not found'); see --prometheus" in ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty; give an answer of Prometheus"),
        ("<!doctype html>", "it is a web page, perhaps of Grafana"),
        ("alerts:\n- labels: {alertname: A}\n", "neither JSON nor a JSON object a line; give"),
        ('{"dashboard": {}}', "is no history; give an answer of Prometheus"),
        (VECTOR, "of one moment; ask /api/v1/query_range"),
        (NAMELESS, "let the rule keep that label (`by (…)`), or name the model by labels that"),
    ],
    ids=["empty", "page", "YAML", "other JSON", "vector", "nameless"],
)
def test_a_file_that_is_no_history(run, tmp_path, text, told):
    """Each kind of mistake, with what to give instead."""
    (tmp_path / "file").write_text(text)

    ended = run("--config", CONFIG, "--alerts", str(tmp_path / "file"))

    assert ended.code == 1
    assert told in ended.err


def test_an_empty_range(run):
    """The one that ends before it begins, before anybody is asked."""
    ended = run(
        *["--config", CONFIG, "--prometheus", "http://127.0.0.1:1"],
        *["--since", "1h", "--until", "2h"],
    )

    assert ended.code == 1
    assert "the range is empty: --until must be later than --since" in ended.err


def test_a_prometheus_that_fails_halfway(run, tmp_path):
    """What it told is kept where --save says, and how to go on is said."""
    kept, rest = tmp_path / "kept", tmp_path / "rest"
    asked = ("--config", CONFIG, "--step", "1m", "--until", "2026-11-05T00:00:00Z")
    since = ("--since", "2026-11-01T00:00:00Z")
    with Told(lives=2) as peer:
        broken = run(*asked, *since, "--prometheus", peer.url, "--save", str(kept))
    with Told(lives=2) as peer:
        lost = run(*asked, *since, "--prometheus", peer.url)
    went_on = re.search(r"go on with --since (\S+) --save", broken.err)
    with Told() as peer:
        run(*asked, "--since", went_on[1], "--prometheus", peer.url, "--save", str(rest))
        whole = run(*asked, *since, "--prometheus", peer.url, "-o", "json")

    both = run("--config", CONFIG, "--alerts", str(kept), "--alerts", str(rest), "-o", "json")

    assert broken.code == lost.code == 1
    assert "with --save FILE that would have been kept" in lost.err
    assert both.json["results"] == whole.json["results"]


def test_a_configuration_that_is_not_valid(run, tmp_path):
    """All its problems, as `check-config` tells them."""
    (tmp_path / "bad.yaml").write_text("polices: []")

    ended = run("--config", str(tmp_path / "bad.yaml"), "--alerts", ALERTS)

    assert ended.code == 1
    assert "did you mean 'policies'?" in ended.err
