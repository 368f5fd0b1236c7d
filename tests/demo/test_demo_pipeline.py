import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from receiver.core.reports import Verdict, parse_report
from receiver.demo.artefact import ServedModel
from receiver.demo.evaluation import Quality, mean_absolute_error, r2_score
from receiver.demo.live import TARGET, read_table, write_table
from receiver.demo.model_server import PER_TICK, WINDOW, ModelServer
from tests.demo.kfp_environment import (
    DEMO,
    kfp_python,
    need_kfp_environment,
    prepare,
    run_pipeline,
)

TURNOVER = WINDOW // PER_TICK
"""After so many ticks nothing old is left in the window."""

pytestmark = pytest.mark.usefixtures("_environment")


@pytest.fixture(scope="module", autouse=True)
def _environment():
    need_kfp_environment()


@dataclass
class Retraining:
    """What was seen before, during and after."""

    workdir: Path
    healthy: Quality
    drifted: Quality
    repaired: Quality
    bystander: Quality

    @property
    def artefact(self):
        """What is served in the end."""
        return json.loads((self.workdir / "served" / "42.json").read_text())


@pytest.fixture(scope="module")
def retraining(tmp_path_factory):
    """A model that was good, drifted, and was retrained by the real pipeline."""
    workdir = tmp_path_factory.mktemp("demo")
    prepare(workdir, "42", "43")
    with ModelServer(("127.0.0.1", 0), workdir, ["42", "43"]) as server:

        def quality(user_id="42"):
            for _ in range(TURNOVER):
                server.models[user_id].tick()
            return server.models[user_id].quality()

        healthy = quality()
        server.models["42"].stream.has_drifted = True
        drifted = quality()
        ran = run_pipeline(workdir, user_id="42", drift_score=drifted.mae, dispatch_id="01abc")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return Retraining(workdir, healthy, drifted, quality(), quality("43"))


def test_the_first_model_is_good(retraining):
    """Before the drift neither alert has a reason."""
    assert retraining.healthy.good


def test_drift_crosses_both_thresholds(retraining):
    """The drift is real: the same model on the new data is bad by both numbers."""
    assert retraining.drifted.breaches.keys() == {"HighModelMAE", "LowModelR2"}


def test_retraining_repairs_the_model(retraining):
    """The deployed model is as good on drifted data as the first one was before."""
    assert retraining.repaired.good
    assert retraining.repaired.mae < 0.5 * retraining.drifted.mae


def test_a_neighbour_is_left_alone(retraining):
    """The other model neither drifts nor is it replaced."""
    assert retraining.bystander.good
    assert ServedModel.load(retraining.workdir / "served" / "43.json").dispatch_id == ""


def test_the_artefact_says_where_it_comes_from(retraining):
    """A served model names the dispatch that made it, and the number that ordered it."""
    assert retraining.artefact["dispatch_id"] == "01abc"
    assert retraining.artefact["drift_score"] == retraining.drifted.mae


def test_pipeline_and_model_server_count_alike(retraining):
    """The pipeline's MAE and R² are those that the model server would export."""
    model = ServedModel.load(retraining.workdir / "served" / "42.json")
    [held_out] = (retraining.workdir / "pipeline-root").glob("*/train/held_out")
    rows = read_table(held_out)
    actual = [row[TARGET] for row in rows]
    predicted = [model.predict(row) for row in rows]

    challenger = retraining.artefact["evaluation"]["challenger"]
    assert challenger["mae"] == pytest.approx(mean_absolute_error(actual, predicted))
    assert challenger["r2"] == pytest.approx(r2_score(actual, predicted))


def test_no_sample_is_both_trained_on_and_held_out(retraining):
    """A sample that came twice stands on one side only."""
    [held_out] = (retraining.workdir / "pipeline-root").glob("*/train/held_out")
    unseen = read_table(held_out)

    assert all(row["row_id"] % 3 == 0 for row in unseen)
    assert len(unseen) + retraining.artefact["trained_on"] == WINDOW


def test_a_challenger_that_is_no_better_is_not_deployed(tmp_path):
    """A run that finds nothing better succeeds and leaves the served model as it is."""
    rows = [{"row_id": float(i), "radius": i / 10, TARGET: i / 5} for i in range(60)]
    perfect = {"features": ["radius"], "coefficients": [2.0], "intercept": 0.0, "dispatch_id": ""}
    for folder in ("recent", "served"):
        (tmp_path / folder).mkdir()
    write_table(tmp_path / "recent" / "42.csv", rows)
    served = tmp_path / "served" / "42.json"
    served.write_text(json.dumps(perfect))

    ran = run_pipeline(tmp_path, user_id="42")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(served.read_text()) == perfect
    report = parse_report(next((tmp_path / "pipeline-root").glob("*/evaluate/report")).read_text())
    assert report.verdict is Verdict.REJECTED
    assert report.metrics.keys() == {"mae", "r2", "champion_mae"}


def test_a_name_that_is_a_path_is_refused(tmp_path):
    """A user_id never leads out of the demo's folder."""
    ran = run_pipeline(tmp_path, user_id="../42")

    assert ran.returncode != 0
    assert "is no user_id of the demo" in ran.stdout


def test_the_compiled_pipeline_is_the_source(tmp_path):
    """retrain.yaml is what pipeline.py compiles to; if not, run the command in its docstring."""
    fresh = tmp_path / "retrain.yaml"
    compiled = kfp_python(DEMO / "pipeline.py", fresh)

    assert compiled.returncode == 0, compiled.stderr
    assert (DEMO / "retrain.yaml").read_text() == fresh.read_text()
