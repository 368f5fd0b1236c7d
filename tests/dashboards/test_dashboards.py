"""Every panel shows something of a real receiver, in a real Prometheus."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from receiver.core.models import ModelState
from tests.e2e.alerting import Exporter, program
from tests.metric_names import known, used
from tests.peers.github import GithubPeer
from tests.posts import entry
from tests.processes import Station, now
from tests.serving import Peer
from tests.waiting import GENEROUS, eventually, free_port

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dashboards").glob("*.json"))
EVERY_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)

RECEIVER = """\
server: {{metrics_open: true}}
storage: {{min_free: 0}}
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: {github}
      inputs: {{user_id: "{{user_id}}"}}
policies:
  - name: drift
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {{name: "{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: wf
    settle: 0s
"""

PROMETHEUS = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: retrain-receiver
    static_configs: [{{targets: ['127.0.0.1:{receiver}'], labels: {{namespace: ml}}}}]
  - job_name: models
    static_configs: [{{targets: ['127.0.0.1:{models}'], labels: {{namespace: ml}}}}]
"""

VARIABLES = {
    "$__rate_interval": "2m",
    "$__range": "5m",
    "$namespace": ".*",
    "$job": ".*",
    "$user_id": ".*",
}
"""What Grafana would put in their place: everything, and a window that holds the traffic."""


@dataclass(frozen=True)
class Query:
    """What one target of a panel, or one annotation, asks for."""

    where: str
    expr: str
    legend: str

    @property
    def plain(self) -> str:
        """The query as Prometheus is asked."""
        expr = self.expr
        for name, value in VARIABLES.items():
            expr = expr.replace(name, value)
        assert "$" not in expr, f"{self.where} uses an unknown variable: {expr}"
        return expr


def load(file: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(file.read_text())
    return board


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(file: Path) -> list[Query]:
    """All queries of a dashboard."""
    board = load(file)
    found = [
        Query(f"{file.name}: {panel['title']}", target["expr"], target["legendFormat"])
        for panel in panels(board)
        for target in panel["targets"]
    ]
    marks = [mark for mark in board["annotations"]["list"] if "expr" in mark]
    return found + [
        Query(f"{file.name}: {mark['name']}", mark["expr"], mark["titleFormat"]) for mark in marks
    ]


class Models(Exporter):
    """Model servers that also say when they evaluated."""

    def text(self) -> str:
        """The metrics in Prometheus' format."""
        evaluated = "model_last_eval_timestamp_seconds"
        return super().text() + "".join(
            f'{evaluated}{{user_id="{model}"}} 1795348800\n' for model in self.scores
        )


@contextmanager
def prometheus(folder: Path, path: str, receiver: int, models: int) -> Iterator[Peer]:
    """Scrape both every second, from the block's beginning to its end."""
    port = free_port()
    config = PROMETHEUS.format(receiver=receiver, models=models)
    (folder / "prometheus.yml").write_text(config)
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                path,
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield Peer(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(GENEROUS)


def ask(server: Peer, query: str) -> list[dict[str, Any]]:
    """The series that an instant query gives."""
    answer = server.get("/api/v1/query", {"query": query})
    assert answer.status == 200, f"{query}: {answer.text}"
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def answers(server: Peer, query: str) -> bool:
    try:
        return len(ask(server, query)) > 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """A Prometheus that watched a receiver decide, dispatch, follow, help and not help."""
    path = program("prometheus")
    folder = tmp_path_factory.mktemp("dashboards")
    (folder / "token").write_text("peer-token")
    with ExitStack() as started:
        github = started.enter_context(GithubPeer())
        config = RECEIVER.format(github=github.base_url)
        station = started.enter_context(Station(folder, config))
        models = started.enter_context(Models())
        models.scores = {"helped": (0.2, 0.9), "not-helped": (0.6, 0.5), "runs": (0.7, 0.4)}
        server = started.enter_context(prometheus(folder, path, station.port, models.port))
        # What is counted before the first scrape is no increase.
        eventually(lambda: answers(server, "retrain_build_info"))
        make_traffic(station, github)
        yield server


def make_traffic(station: Station, github: GithubPeer) -> None:
    """Let one model recover, one not, and one be retrained still."""
    api, began = station.api, now()
    firing = [
        entry(model, name=name, starts_at=began)
        for model in ("helped", "not-helped", "runs")
        for name in ("HighModelMAE", "LowModelR2")
    ]
    api.notify(*firing)
    github.wait_until(lambda: len(github.runs) == 3)
    eventually(lambda: len(api.dispatches(state="running")) == 3)
    for run in github.runs:
        if run.inputs["user_id"] != "runs":
            github.finish(run.id, "success")
    eventually(lambda: len(api.dispatches(state="succeeded")) == 2)
    api.notify(*firing)
    api.notify(entry("not-helped", name="LowModelR2", starts_at=now(), fingerprint="another"))
    api.notify(*({**alert, "status": "resolved", "endsAt": now()} for alert in firing[:2]))


@EVERY_FILE
def test_every_query_has_data(scraped, file):
    """No panel, marker or legend stays empty where everything is well."""
    missing = queries(file)

    def found_all():
        for query in list(missing):
            series = ask(scraped, query.plain)
            if any(one["value"][1] != "NaN" for one in series):
                wanted = set(re.findall(r"{{(\w+)}}", query.legend))
                assert all(wanted <= one["metric"].keys() for one in series), query
                missing.remove(query)
        assert not missing
        return True

    eventually(found_all, within=60, every=1)


@EVERY_FILE
def test_every_variable_offers_something(scraped, file):
    """People choose from lists that are not empty."""
    for variable in load(file)["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert match is not None
        selector = Query(variable["name"], match[1], "").plain
        answer = scraped.get(f"/api/v1/label/{match[2]}/values", {"match[]": selector})
        assert answer.json()["data"], variable["name"]


@EVERY_FILE
def test_every_query_asks_for_metrics_that_exist(file):
    """A name that nobody exports is hidden by `or vector(0)` for ever."""
    for query in queries(file):
        assert used(query.plain), query.where
        assert used(query.plain) <= known(), query.where


@EVERY_FILE
def test_no_panel_is_lost(file):
    """Ids and places are unique, and everything reads from the chosen data source."""
    board = load(file)
    taken = [
        (panel["gridPos"]["y"] + row, panel["gridPos"]["x"] + column)
        for panel in board["panels"]
        for row in range(panel["gridPos"]["h"])
        for column in range(panel["gridPos"]["w"])
    ]
    assert len(taken) == len(set(taken))
    assert all(column < 24 for _, column in taken)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert board["templating"]["list"][0]["name"] == "datasource"
    for part in [*panels(board), *(t for panel in panels(board) for t in panel["targets"])]:
        assert part["datasource"] == chosen
    for panel in panels(board):
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs))


@EVERY_FILE
def test_every_variable_can_be_all_without_the_label(file):
    """Without Kubernetes there is no `namespace`: `.*` matches its absence, a list does not."""
    for variable in load(file)["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["includeAll"]
            assert variable["allValue"] == ".*"


def test_dashboards_can_live_side_by_side():
    """Grafana finds them by uid, people by title."""
    boards = [load(file) for file in FILES]

    assert len({board["uid"] for board in boards}) == len(boards) == 2
    assert len({board["title"] for board in boards}) == 2
    assert all(board["schemaVersion"] >= 39 for board in boards)


def test_thresholds_are_those_of_the_rules():
    """The lines in the panels are where the alerts fire."""
    rules = [
        rule
        for name in ("model-quality", "model-metrics")
        for group in yaml.safe_load((ROOT / "rules" / f"{name}.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]
    limits = {rule["alert"]: float(rule["expr"].split()[-1]) for rule in rules[:2]}
    limits["ModelEvaluationStale"] = float(rules[3]["expr"].split()[-1])

    drawn = {}
    for panel in panels(load(ROOT / "dashboards" / "models.json")):
        about = [name for name in limits if panel["description"].startswith(f"{name} fires")]
        for name in about:
            drawn[name] = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]

    assert drawn == limits


def test_every_state_of_a_model_has_its_colour():
    """A state that the timeline does not map would be a bare number."""
    lines = [p for file in FILES for p in panels(load(file)) if p["type"] == "state-timeline"]
    assert len(lines) == 2
    for line in lines:
        texts = {
            int(number): shown["text"]
            for mapping in line["fieldConfig"]["defaults"]["mappings"]
            for number, shown in mapping["options"].items()
        }
        expr = line["targets"][0]["expr"]
        weights = re.findall(r'(\d) \* retrain_model_state\{[^}]*state="(\w+)"', expr)
        assert {int(number): state for number, state in weights} == texts
        assert set(texts.values()) == {state.value for state in ModelState}
