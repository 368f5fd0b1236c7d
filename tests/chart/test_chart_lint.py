"""What the chart renders fits together."""

import json
from pathlib import Path

import pytest
import yaml

from receiver.lint.chain import Chain
from receiver.lint.findings import Severity
from receiver.lint.gathering import Sources, gather
from receiver.lint.linting import lint
from tests.chart.rendering import of_kind, rendered

VALUES = """
auth: {existingSecret: tokens}
prometheusRule: {enabled: true}
alertmanagerConfig: {enabled: true, tokenSecret: {name: tokens, key: webhook}}
config:
  targets:
    retrain:
      kfp: {endpoint: "http://ml-pipeline:8888", pipeline: x, parameters: {drift_score: "{value}"}}
  policies:
    - name: model-quality
      match: ['alertname=~"HighModelMAE|LowModelR2"']
      model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
      target: retrain
"""


EXAMPLES = Path(__file__).parents[2] / "examples"
ALERTS = {
    "prometheusRule": {"enabled": True},
    "alertmanagerConfig": {"enabled": True, "tokenSecret": {"name": "tokens", "key": "webhook"}},
}


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        EXAMPLES / "kubernetes" / "receiver-values.yaml",
        EXAMPLES / "argocd" / "dev" / "values.yaml",
        EXAMPLES / "argocd" / "prod" / "values.yaml",
    ],
    ids=["own", "kubernetes", "dev", "prod"],
)
def test_the_chart_is_lint_clean(given, tmp_path):
    """Its rules come by its route to its receiver; what the operator adds is a note."""
    text = given.read_text() if isinstance(given, Path) else given
    values = yaml.safe_load(text)
    objects = rendered(
        "helm4", values=yaml.safe_dump(values if given is VALUES else values | ALERTS)
    )
    (config,) = [
        each["data"]["receiver.yaml"]
        for each in of_kind(objects, "ConfigMap")
        if "receiver.yaml" in each["data"]
    ]
    (tmp_path / "receiver.yaml").write_text(config)
    for kind in ("AlertmanagerConfig", "PrometheusRule"):
        (tmp_path / f"{kind}.yaml").write_text(
            "\n---\n".join(json.dumps(each) for each in of_kind(objects, kind))
        )
    chain = gather(
        Sources(
            config=tmp_path / "receiver.yaml",
            alertmanager=tmp_path / "AlertmanagerConfig.yaml",
            rules=[str(tmp_path / "PrometheusRule.yaml")],
        )
    )
    assert isinstance(chain, Chain)

    assert chain.ours
    assert [str(each) for each in lint(chain) if each.severity is not Severity.NOTE] == []
