"""examples/drift-detector, and the pipeline's MLflow logging: each in an environment of its own.

The environments are heavy: `make example-environments` prepares them under .tools. Without them
what needs them says that it was not run, and fails in CI.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
import yaml

from tests.demo.kfp_environment import PYTHON, need_kfp_environment
from tests.e2e.alerting import program
from tests.lab.shop import EXAMPLES, SERVER, run
from tests.lab.test_pipeline import CALL, SOURCE, sell
from tests.processes import ROOT
from tests.serving import Peer
from tests.waiting import GENEROUS, eventually, free_port

FOLDER = EXAMPLES / "drift-detector"

ASKED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from live import City
from request_log import RequestLog
log = RequestLog(Path(sys.argv[2]) / "logs", "user01")
flats, prices = City("user01", seed=sys.argv[3]).draw(1000, sys.argv[3])
log.add(at=time.time(), id="1", status="ok", instances=flats, predictions=prices)
"""
"""A thousand flats are asked about."""


def environment(name):
    """The interpreter of a heavy environment."""
    python = ROOT / ".tools" / name / "bin" / "python"
    if not python.exists():
        reason = f"not run: there is no .tools/{name}; make example-environments"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return python


def test_the_rule_fires_for_what_drifted():
    """Unit tests by promtool: after 10 minutes, for this model, with the label that is routed."""
    promtool = program("promtool", "prometheus")
    said = subprocess.run(
        [promtool, "test", "rules", FOLDER / "rules-test.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stdout + said.stderr


def test_the_receiver_takes_its_alert():
    """Drift goes the same way as a high error: the example's policy matches its alertname."""
    policy = yaml.safe_load((EXAMPLES / "pipelines" / "receiver.yaml").read_text())["policies"][0]
    rule = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"][0]

    assert rule["alert"] in policy["match"][0]
    assert rule["labels"]["action"] == "retrain"


@pytest.mark.timeout(900)
def test_evidently_sees_the_drift_without_any_truth(tmp_path):
    """The feature that moved is over the rule's limit, and the others are not."""
    python = environment("drift-detector")
    need_kfp_environment()
    run(PYTHON, SERVER / "first_models.py", "--workdir", tmp_path, "user01")
    sell(tmp_path, "none", batches=20)
    sell(tmp_path, "high", batches=20)
    peer = Peer(f"http://127.0.0.1:{free_port()}")
    place = ("--listen", peer.url.removeprefix("http://"), "--every", "0.2")
    with (tmp_path / "log.txt").open("wb") as log:
        detector = subprocess.Popen(
            [python, FOLDER / "detector.py", "--workdir", tmp_path, *place],
            stdout=log,
            stderr=log,
        )
    try:
        found = eventually(lambda: scores(peer), within=3 * GENEROUS)
    finally:
        detector.terminate()
        detector.wait(GENEROUS)

    limit = limit_of_the_rule()
    assert found.keys() == {"income", "rooms", "age", "distance", "crime"}
    assert {column for column, score in found.items() if score > limit} == {"age"}


@pytest.mark.timeout(900)
def test_it_looks_once_for_cron_and_tells_alertmanager(tmp_path):
    """The same drift, without a process that stays; the reference outlives the log."""
    python = environment("drift-detector")
    need_kfp_environment()
    run(PYTHON, SERVER / "first_models.py", "--workdir", tmp_path, "user01", "user02")
    run(sys.executable, "-c", ASKED, SERVER, tmp_path, "none")
    detector = (python, FOLDER / "detector.py", "--workdir", tmp_path, "--once")
    calm = run(*detector)
    (tmp_path / "logs" / "user01.jsonl").unlink()
    run(sys.executable, "-c", ASKED, SERVER, tmp_path, "high")
    with alertmanager(tmp_path) as peer:
        drifted = run(*detector, "--alertmanager", peer.url)
        (told,) = eventually(lambda: peer.get("/api/v2/alerts").json())

    assert "user01: too few requests yet" in calm
    assert "user02: too few requests yet" in drifted
    scores_said = {name: float(score) for name, score in re.findall(r"(\w+)=([\d.]+)", drifted)}
    assert {column for column, score in scores_said.items() if score > limit_of_the_rule()} == {
        "age"
    }
    rule = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"][0]["rules"][0]
    assert told["labels"] == {"alertname": rule["alert"], "user_id": "user01", **rule["labels"]}
    assert float(told["annotations"]["value"]) > limit_of_the_rule()


def test_its_limit_is_that_of_the_rule():
    """Whoever looks once and whoever stays say the same."""
    assert f"LIMIT = {limit_of_the_rule()}\n" in (FOLDER / "detector.py").read_text()


def test_the_pipeline_logs_to_mlflow(tmp_path):
    """With `mlflow_uri` the evaluation is a run that carries the dispatch's id."""
    python = environment("mlflow")
    need_kfp_environment()
    run(PYTHON, SERVER / "first_models.py", "--workdir", tmp_path, "user01")
    model = str(tmp_path / "models" / "user01" / "model.joblib")
    (tmp_path / "held-out").write_text(json.dumps([[[0.0] * 5, 2.0], [[1.0] * 5, 3.0]]))
    given = {
        "user_id": "user01",
        "workdir": str(tmp_path),
        "dispatch_id": "01abc",
        "mlflow_uri": f"file://{tmp_path}/mlruns",
        "run_name": "experiment-1",
        "files": {
            "challenger": model,
            "held_out": str(tmp_path / "held-out"),
            "evaluation": str(tmp_path / "evaluation"),
        },
        "metrics": None,
    }
    code = CALL.replace(
        "getattr(",
        "given['metrics'] = SimpleNamespace(log_metric=lambda *_: None)\ngetattr(",
    )
    run(python, "-c", code, SOURCE.parent, "evaluate", json.dumps(given))

    logged = {file.name: file.read_text() for file in (tmp_path / "mlruns").rglob("*_mae")}
    tags = [file.read_text() for file in (tmp_path / "mlruns").rglob("tags/dispatch_id")]
    assert logged.keys() == {"champion_mae", "challenger_mae"}
    assert tags == ["01abc"]
    names = (tmp_path / "mlruns").rglob("tags/mlflow.runName")
    assert [file.read_text() for file in names] == ["experiment-1"]


def limit_of_the_rule():
    """Above which ModelDataDrift fires."""
    return float(re.findall(r"> ([\d.]+)", (FOLDER / "rules.yaml").read_text())[0])


@contextmanager
def alertmanager(folder):
    """A real one, which tells nobody."""
    binary = program("prometheus-alertmanager", "alertmanager")
    (folder / "alertmanager.yaml").write_text(
        "route: {receiver: none}\nreceivers: [{name: none}]\n"
    )
    peer = Peer(f"http://127.0.0.1:{free_port()}")
    place = f"--web.listen-address={peer.url.removeprefix('http://')}"
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--config.file=alertmanager.yaml", place, "--cluster.listen-address="],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: answers(peer))
        yield peer
    finally:
        process.terminate()
        process.wait(GENEROUS)


def answers(peer):
    """Whether somebody listens there."""
    try:
        return peer.get("/-/ready").status == 200
    except OSError:
        return False


def scores(peer):
    """What the detector exports of user01, by column."""
    try:
        text = peer.get("/metrics").text
    except OSError:
        return {}
    found = re.findall(r'^model_data_drift_score\{column="(\w+)".*\} (\S+)$', text, re.MULTILINE)
    return {column: float(score) for column, score in found}
