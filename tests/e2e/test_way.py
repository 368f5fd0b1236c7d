"""doctor, metrics, check-drift and send-test beside a real Prometheus and Alertmanager."""

import pytest
import yaml

from receiver.cli.thresholds import DEFAULTS, parse_threshold
from receiver.core.fingerprints import fingerprint_of
from tests.commands import Peculiar, closed_port
from tests.e2e.alerting import Alerting
from tests.peers.github import GithubPeer
from tests.posts import entry
from tests.processes import ROOT, Station
from tests.waiting import eventually

GOOD, BAD, UNKNOWN = (0.2, 0.9), (0.62, 0.4), (float("nan"), 0.9)

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      inputs: {user_id: "{user_id}", drift_score: "{value}", reason: "{alertname}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    dedup_window: 3s
"""


@pytest.fixture(scope="module")
def github():
    with GithubPeer() as peer:
        yield peer


@pytest.fixture(scope="module")
def station(tmp_path_factory, warm, github):
    """The receiver that Alertmanager's route leads to."""
    folder = tmp_path_factory.mktemp("receiver")
    (folder / "token").write_text("peer-token")
    config = CONFIG.replace("BASE_URL", github.base_url)
    with Station(folder, config, start=warm) as station:
        yield station


@pytest.fixture(scope="module")
def alerting(tmp_path_factory, station):
    with Alerting(tmp_path_factory.mktemp("alerting"), f"{station.url}/webhook") as alerting:
        alerting.exporter.scores = {"well": GOOD, "bad": BAD, "unknown": UNKNOWN}
        yield alerting


@pytest.fixture(scope="module")
def lonely(tmp_path_factory, warm, github):
    """A receiver that no Alertmanager knows."""
    folder = tmp_path_factory.mktemp("lonely")
    (folder / "token").write_text("peer-token")
    config = CONFIG.replace("BASE_URL", github.base_url)
    with Station(folder, config, start=warm) as station:
        yield station


@pytest.fixture
def prometheus(alerting, cli):
    """Where Prometheus listens, once it has seen the models."""
    url = alerting.prometheus

    def sees():
        ended = cli("metrics", "--prometheus", url, "-o", "json")
        assert ended.code == 0, ended.err
        return len(ended.json["models"]) >= 3

    eventually(sees)
    return url


class TestMetrics:
    """metrics: how good the models are."""

    def test_each_model_is_shown_as_it_is(self, cli, prometheus):
        """Numbers as Prometheus has them; NaN is shown, and null where JSON has no word for it."""
        table = cli("metrics", "--prometheus", prometheus)
        rows = cli("metrics", "--prometheus", prometheus, "-o", "json").json["models"]

        shown = {row["user_id"]: (row["mae"], row["r2"]) for row in rows}
        assert shown.items() >= {"well": GOOD, "bad": BAD, "unknown": (None, 0.9)}.items()
        assert "NaN" in table.out
        assert "0.6200" in table.out

    def test_one_model(self, cli, prometheus):
        """A name shows only this one; one that nobody knows is not found."""
        one = cli("metrics", "well", "--prometheus", prometheus, "-o", "csv")

        assert [row["user_id"] for row in one.rows] == ["well"]
        assert cli("metrics", "nobody", "--prometheus", prometheus).code == 3

    def test_what_fires_is_shown(self, cli, prometheus):
        """An alert of a model stands beside its numbers."""

        def firing():
            rows = cli("metrics", "bad", "--prometheus", prometheus, "-o", "json").json["models"]
            return rows[0]["firing"]

        assert eventually(lambda: len(firing()) == 2 and firing()) == [
            "HighModelMAE",
            "LowModelR2",
        ]


class TestCheckDrift:
    """check-drift: one look, down the same ladder."""

    def test_found_decided_kept_and_resolved(self, cli, prometheus, alerting, lonely):
        """What is bad triggers once, stays one alert, and is resolved when it is found no more."""
        alerting.exporter.scores["found"] = BAD
        eventually(lambda: _mae(cli, prometheus, "found") == BAD[0])
        check = ("check-drift", "--prometheus", prometheus, *only("found"), "-o", "json")
        dry = cli(*check, "--dry-run", url=lonely.url)
        assert {each["reason"] for each in dry.json["decisions"]} == {"triggered", "in_flight"}
        assert lonely.api.decisions(model="found") == []

        first = cli(*check, url=lonely.url)
        assert [
            (each["model"], each["alertname"], each["reason"]) for each in first.json["decisions"]
        ] == [("found", "HighModelMAE", "triggered"), ("found", "LowModelR2", "in_flight")]
        assert {each["source"] for each in lonely.api.decisions(model="found")} == {"poll"}

        cli(*check, url=lonely.url)
        told = lonely.api.decisions(model="found", alertname="HighModelMAE", source="poll")
        assert len(told) == 2
        assert len({each["starts_at"] for each in told}) == 1

        alerting.exporter.scores["found"] = GOOD
        eventually(lambda: _mae(cli, prometheus, "found") == GOOD[0])
        last = cli(*check, url=lonely.url)
        assert {each["reason"] for each in last.json["decisions"]} == {"resolved"}
        assert lonely.api.model("found")["firing_alerts"] == []
        assert cli(*check, url=lonely.url).json["decisions"] == []

    def test_what_is_nan_is_neither_bad_nor_well(self, cli, prometheus, alerting, lonely):
        """A broken evaluation does not end an alert that an earlier check found."""
        scores = alerting.exporter.scores
        check = ("check-drift", "--prometheus", prometheus, "--threshold", "0.45")
        scores["breaks"] = BAD
        eventually(lambda: _mae(cli, prometheus, "breaks") == BAD[0])
        cli(*check, url=lonely.url)
        scores["breaks"] = UNKNOWN
        eventually(lambda: _mae(cli, prometheus, "breaks") is None)
        ended = cli(*check, url=lonely.url)

        assert len(lonely.api.model("breaks")["firing_alerts"]) == 1
        assert "NaN, about which nothing is known" in ended.err

    def test_alerts_of_others_are_not_ended(self, cli, prometheus, lonely):
        """What Alertmanager reported is Alertmanager's to resolve."""
        lonely.api.notify(_entry("well"))
        cli("check-drift", "--prometheus", prometheus, url=lonely.url)

        assert len(lonely.api.model("well")["firing_alerts"]) == 1

    def test_other_numbers_and_labels(self, cli, prometheus, lonely):
        """Any PromQL and alertname; what no policy takes is complained about."""
        ended = cli(
            *("check-drift", "--prometheus", prometheus, "-o", "csv"),
            *("--threshold", "Odd: max by (user_id) (model_r2_score) < 0.5"),
            url=lonely.url,
        )

        assert ended.code == 1
        assert "Odd,firing,0.4,unmatched" in ended.out
        assert "lead to no model" in ended.err

    def test_no_series_is_no_health(self, cli, prometheus, lonely):
        """A broken scrape resolves nothing: nothing is posted at all."""
        cli("check-drift", "--prometheus", prometheus, url=lonely.url)
        before = lonely.api.decisions()
        ended = cli(
            *("check-drift", "--prometheus", prometheus),
            *("--threshold", "HighModelMAE: max by (user_id) (gone) > 1"),
            url=lonely.url,
        )

        assert ended.code == 1
        assert "nothing was decided" in ended.err
        assert lonely.api.decisions() == before

    def test_defaults_are_those_of_the_rules(self):
        """check-drift and rules/model-quality.yaml call the same models bad."""
        rules = yaml.safe_load((ROOT / "rules" / "model-quality.yaml").read_text())
        wanted = {rule["alert"]: rule["expr"] for rule in rules["groups"][0]["rules"]}

        for each in map(parse_threshold, DEFAULTS):
            sign = ">" if each.above else "<"
            assert wanted[each.alertname] == f"{each.expression} {sign} {each.limit}"


class TestSendTest:
    """send-test: the way through, without consequences."""

    def test_directly(self, cli, lonely):
        """It is observed and starts nothing."""
        ended = cli("send-test", "-o", "json", url=lonely.url)

        assert ended.json["reason"] == "observed"
        assert ended.json["source"] == "poll"
        assert lonely.api.dispatches(model="retrain-test") == []
        assert cli("send-test", url=lonely.url).out.startswith("observed: ")

    def test_no_policy_takes_it(self, cli, lonely):
        """Labels that lead nowhere are an error."""
        ended = cli("send-test", "--label", "alertname=Other", url=lonely.url)

        assert ended.code == 1
        assert "mend `policies`" in ended.err

    def test_through_alertmanager(self, cli, alerting, station):
        """It goes Prometheus' way, and what was decided is shown."""
        ended = cli(
            *("send-test", "--alertmanager", alerting.alertmanager, "-o", "json"), url=station.url
        )

        assert ended.json["reason"] == "observed"
        assert ended.json["source"] == "alertmanager"
        assert "it arrived after" in ended.err

    def test_no_route_leads_here(self, cli, alerting, lonely):
        """It says what to look at."""
        ended = cli(
            *("send-test", "--alertmanager", alerting.alertmanager, "--wait", "1s"),
            url=lonely.url,
        )

        assert ended.code == 1
        assert "amtool config routes test" in ended.err
        assert f"url: {lonely.url}/webhook" in ended.err


class TestDoctor:
    """doctor: one line for each part of the way."""

    def test_all_is_well(self, cli, prometheus, alerting, station):
        """Each part is named once, and the test alert is decided here."""
        ended = cli(
            *("doctor", "--prometheus", prometheus, "--alertmanager", alerting.alertmanager),
            *("--config", str(station.config), "-o", "json"),
            url=station.url,
        )

        states = {each["what"]: each["state"] for each in ended.json["findings"]}
        assert states == {
            "prometheus": "ok",
            "targets": "warn",  # this receiver is not scraped
            "models": "warn",  # one is NaN
            "rules": "ok",
            "notifier": "ok",
            "alertmanager": "ok",
            "receiver": "ok",
            "rejections": "ok",
            "configuration": "ok",
            "chain": "ok",
            "target wf": "ok",
            "route": "ok",
        }

    def test_each_fault_has_its_cure(self, cli, prometheus, alerting, lonely, tmp_path):
        """A wrong token, a missing rule and a route that leads elsewhere are three lines."""
        config = tmp_path / "other.yaml"
        (tmp_path / "token").write_text("wrong")
        config.write_text(
            lonely.config.read_text().replace("HighModelMAE|LowModelR2", "SomethingElse")
        )
        ended = cli(
            *("doctor", "--prometheus", prometheus, "--alertmanager", alerting.alertmanager),
            *("--config", str(config), "--wait", "1s"),
            url=lonely.url,
        )

        assert ended.code == 1
        lines = {line.split()[1]: line for line in ended.out.splitlines() if line.startswith("✗")}
        assert lines.keys() == {"rules", "target", "route"}
        assert "rule_files" in lines["rules"]
        assert "answered 401" in lines["target"]
        assert "amtool config routes test" in lines["route"]

    def test_nobody_is_there(self, cli, tmp_path):
        """Every part is reported, whichever is down; nothing waits for what can't come."""
        nowhere = f"http://127.0.0.1:{closed_port()}"
        ended = cli(
            *("doctor", "--prometheus", nowhere, "--alertmanager", nowhere, "-o", "csv"),
            *("--config", str(tmp_path / "none.yaml")),
            url=nowhere,
        )

        assert ended.code == 1
        states = [line.split(",")[0] for line in ended.out.splitlines()[1:]]
        assert states == ["fail", *["skip"] * 4, "fail", "fail", "skip", "fail", "fail"]

    def test_a_stranger_answers(self, cli):
        """Some other program is no Prometheus."""
        with Peculiar(200) as stranger:
            ended = cli(
                *("doctor", "--no-test", "--prometheus", stranger.url),
                *("--alertmanager", stranger.url),
                url=stranger.url,
            )

        assert ended.code == 1
        assert "not as Prometheus does" in ended.out
        assert "not as Alertmanager does" in ended.out


def test_lint_asks_the_running_programs(cli, prometheus, alerting, station):
    """Their rules, routes and labels as they are, not as files say."""
    asked = ("--prometheus", prometheus, "--alertmanager", alerting.alertmanager)
    ended = cli("lint", "--config", str(station.config), *asked, "-o", "json")

    assert ended.code == 0
    assert (ended.json["errors"], ended.json["warnings"]) == (0, 0)
    elsewhere = cli("lint", "--config", str(station.config), *asked, "--receiver", "nobody")
    assert elsewhere.code == 1
    assert "error: there is no receiver nobody [receiver-missing]" in elsewhere.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["metrics", "--prometheus", "prometheus:9090"], "is not an address"),
        (["metrics", "--prometheus", "http://a:b@c"], "--prometheus-token-file"),
        (["check-drift", "--threshold", "mae<0.3"], "can't be read"),
        (["check-drift", "--threshold", "mae=1.2.3"], "can't be read"),
        (["check-drift", "--label", "x"], "is not NAME=VALUE"),
        (["send-test", "--wait", "soon"], "is not a duration"),
    ],
)
def test_usage(cli, args, said):
    """What can't be read is told with how to write it."""
    ended = cli(*args)

    assert ended.code == 2
    assert said in ended.err


def test_a_token_is_asked_for(cli):
    """A Prometheus behind a login says which option helps."""
    with Peculiar(401) as guarded:
        ended = cli("metrics", "--prometheus", guarded.url)

    assert ended.code == 1
    assert "give --prometheus-token-file" in ended.err


def test_a_query_that_prometheus_refuses(cli, prometheus, lonely):
    """Its own words are shown."""
    ended = cli(
        "check-drift", "--prometheus", prometheus, "--threshold", "A: max by ( > 1", url=lonely.url
    )

    assert ended.code == 1
    assert "Prometheus refuses with 400" in ended.err


def only(user_id):
    """The usual thresholds for one model."""
    return (
        *(
            "--threshold",
            f'HighModelMAE: max by (user_id) (model_mae_score{{user_id="{user_id}"}}) > 0.45',
        ),
        *(
            "--threshold",
            f'LowModelR2: min by (user_id) (model_r2_score{{user_id="{user_id}"}}) < 0.75',
        ),
    )


def _mae(cli, prometheus, user_id):
    rows = cli("metrics", user_id, "--prometheus", prometheus, "-o", "json").json["models"]
    return rows[0]["mae"]


def _entry(user_id):
    """What Alertmanager would post of a model, with the fingerprint that it would have."""
    labels = {"alertname": "HighModelMAE", "user_id": user_id}
    return entry(user_id, fingerprint=fingerprint_of(labels))
