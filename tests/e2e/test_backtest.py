"""A life with real Prometheus and Alertmanagers, backtested: the same decisions one by one."""

import json
from datetime import timedelta

import pytest

from receiver.core.times import parse_time
from tests.e2e.alerting import Alerting
from tests.e2e.picky import Picky
from tests.processes import Station
from tests.waiting import eventually

GOOD, BAD = (0.2, 0.9), (0.62, 0.9)

MODELS = ("told-once-a", "told-once-b")

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      inputs: {user_id: "{user_id}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 20s
    settle: 1s
"""

OFF = timedelta(seconds=10)
"""How far a moment may be off: Prometheus evaluates each second and is asked for each second; one
Alertmanager waits up to a second for the other, a worker looks each second, the machine is busy.
Every hold of this life is twice as long, so that no decision can be another one for it."""


class Quick(Picky):
    """Every run succeeds as soon as it is asked about, and repairs nothing."""

    def _poll(self, asked):
        self.finish(asked.path.rpartition("/")[2], "success")
        return super()._poll(asked)


@pytest.fixture
def station(tmp_path):
    folder = tmp_path / "receiver"
    folder.mkdir()
    (folder / "token").write_text("peer-token")
    with (
        Quick() as peer,
        Station(folder, CONFIG.replace("BASE_URL", peer.base_url)) as station,
    ):
        yield station


def told(decisions):
    """Each decision that repeats none before it: two Alertmanagers tell everything twice."""
    return [
        (parse_time(one["decided_at"]), (one["fingerprint"], one["source"], one["reason"]))
        for one in sorted(decisions, key=lambda one: parse_time(one["decided_at"]))
        if one["reason"] != "duplicate"
    ]


def test_the_same_decisions_one_by_one(tmp_path, station, cli):
    """Triggered by the alert, again by the timer, and over: in the log, and in the backtest."""
    (tmp_path / "alerting").mkdir()
    with Alerting(tmp_path / "alerting", f"{station.url}/webhook") as alerting:
        alerting.exporter.scores = dict.fromkeys(MODELS, BAD)
        for model in MODELS:
            eventually(lambda name=model: station.api.reasons(name).count("triggered") == 2)
            alerting.exporter.scores[model] = GOOD
        for model in MODELS:
            eventually(lambda name=model: "resolved" in station.api.reasons(name))

        ended = cli(
            *["backtest", "--config", str(tmp_path / "receiver" / "receiver.yaml")],
            *["--prometheus", alerting.prometheus, "--since", "10m", "--step", "1s"],
            *["--group-by", "alertname,user_id", "--group-wait", "1s", "--group-interval", "2s"],
            *["--run-duration", "2s", "--helps", "0"],
            *["--decisions", str(tmp_path / "decisions"), "-o", "csv"],
        )

    assert ended.code == 0, ended.err
    replayed = [json.loads(line) for line in (tmp_path / "decisions").read_text().splitlines()]
    for model in MODELS:
        real = told(station.api.decisions(model=model))
        mine = told(one for one in replayed if one["model"] == model)
        assert [what for _, what in mine] == [what for _, what in real]
        assert [what[1:] for _, what in real] == [
            ("alertmanager", "triggered"),
            ("timer", "triggered"),
            ("alertmanager", "resolved"),
        ]
        assert all(
            abs(one - other) <= OFF for (one, _), (other, _) in zip(mine, real, strict=True)
        )
