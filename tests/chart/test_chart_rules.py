"""What the values change in the alerts of `rules/`, and that the rest stays what it is."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import HELMS, ROOT, notes, of_kind, rendered, template

SOURCES = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "rules").glob("*.yaml"))]

TUNED = """
prometheusRule:
  enabled: true
  action: train
  alerts:
    HighModelMAE: {threshold: 0.5, for: 2m, keepFiringFor: 1h}
    LowModelR2: {threshold: 0, for: 1h30m}
    ModelEvaluationStale: {for: 20m}
    RetrainBodiesRejected: {for: 1m}
"""


def alerts(specs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        rule["alert"]: rule
        for spec in specs
        for group in spec["groups"]
        for rule in group["rules"]
    }


def made(which: str, values: str) -> list[dict[str, Any]]:
    return [each["spec"] for each in of_kind(rendered(which, values=values), "PrometheusRule")]


@pytest.mark.parametrize("which", HELMS)
def test_thresholds_spans_and_the_action_are_values(which):
    """In the expression, in the label, and in the sentences that people read."""
    found = alerts(made(which, TUNED))
    mae, r2 = found["HighModelMAE"], found["LowModelR2"]

    assert mae["expr"] == "max by (namespace, user_id) (model_mae_score) > 0.5"
    assert (mae["for"], mae["keep_firing_for"]) == ("2m", "1h")
    assert mae["annotations"]["description"].endswith("has been above 0.5 for 2m.")
    assert r2["expr"] == "min by (namespace, user_id) (model_r2_score) < 0"
    assert r2["annotations"]["description"].endswith("has been below 0 for 1h30m.")
    assert (r2["for"], r2["keep_firing_for"]) == ("1h30m", "30m")
    assert {name for name, rule in found.items() if "action" in rule["labels"]} == {
        *("HighModelMAE", "LowModelR2")
    }
    assert mae["labels"] == {"action": "train", "severity": "warning"}
    assert found["ModelEvaluationStale"]["for"] == "20m"
    assert found["RetrainBodiesRejected"]["for"] == "1m"


@pytest.mark.parametrize("which", HELMS)
def test_the_alert_about_silence_looks_for_the_same_action(which):
    """It would otherwise watch alerts that nobody raises, and never fire."""
    silent = alerts(made(which, TUNED))["RetrainReceiverSilent"]

    assert silent["expr"].count('action="train"') == 2
    assert 'retrain"' not in silent["expr"]
    assert 'action="train"' in silent["annotations"]["description"]


def test_what_no_value_names_stays():
    """Every other alert is the repository's, word for word."""
    before, after = alerts(SOURCES), alerts(made("helm4", TUNED))
    changed = {name for name, rule in before.items() if after[name] != rule}

    assert before.keys() == after.keys()
    assert changed == {
        *("HighModelMAE", "LowModelR2", "ModelEvaluationStale", "RetrainBodiesRejected"),
        "RetrainReceiverSilent",
    }


def test_prometheus_takes_tuned_rules(tmp_path: Path):
    """As it takes the repository's."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing; install the package 'prometheus'")
    for number, spec in enumerate(made("helm4", TUNED)):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(spec))
    done = subprocess.run(
        [promtool, "check", "rules", *tmp_path.glob("*.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


REFUSED = [
    ("alerts: {HighModelMEA: {for: 2m}}", "set one of ModelMetricNaN"),
    ("alerts: {ModelMetricNaN: {threshold: 1}}", "add the alert to prometheusRule.disabledAlerts"),
    ("alerts: {HighModelMAE: {treshold: 1}}", "treshold"),
    ("alerts: {HighModelMAE: {for: soon}}", "for"),
    ("alerts: {HighModelMAE: {threshold: much}}", "threshold"),
]


@pytest.mark.parametrize("which", HELMS)
@pytest.mark.parametrize(("values", "told"), REFUSED)
def test_what_changes_nothing_is_refused(which, values, told):
    """A misspelt alert would go on with the threshold that it had."""
    said = template(which, values=f"prometheusRule: {{enabled: true, {values}}}")

    assert said.code != 0
    assert told in said.err


APART = """
auth: {existingSecret: tokens}
prometheusRule: {enabled: true, action: train}
alertmanagerConfig: {enabled: true}
"""
ALIKE = f"{APART[:-2]}, matchers: [{{name: action, value: train}}]}}"


@pytest.mark.parametrize("which", HELMS)
def test_a_route_that_asks_for_another_action_is_refused(which):
    """The chart's own alerts would never come."""
    said = template(which, values=APART)
    alike = template(which, values=ALIKE)

    assert said.code != 0
    assert "set prometheusRule.action and alertmanagerConfig.matchers alike" in said.err
    assert alike.code == 0, alike.err


def test_the_notes_route_what_the_rules_raise():
    """What is pasted asks for the same action."""
    told = notes("prometheusRule: {enabled: true, action: train}")

    assert """matchers: ['action="train"']""" in told
    assert 'matchers: [{name: action, value: "train", matchType: "="}]' in told
