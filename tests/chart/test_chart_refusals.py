"""Values that the chart refuses: those that contradict each other, and misspelt ones."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, HELMS, template

CONTRADICTIONS = [
    ("replicaCount: 2", "set database.type to postgresql"),
    ("autoscaling: {enabled: true}", "set database.type to postgresql"),
    ("database: {existingSecret: x}", "set database.type to postgresql"),
    ("database: {type: postgresql}", "set database.existingSecret"),
    ("persistence: {enabled: false, existingClaim: x}", "set persistence.enabled to true"),
    ("podDisruptionBudget: {enabled: true}", "set replicaCount"),
    ("ingress: {enabled: true}", "set ingress.hosts"),
    ("httpRoute: {enabled: true, parentRefs: [{name: x}]}", "set httpRoute.hostnames"),
    ("httpRoute: {enabled: true, hostnames: [x]}", "set httpRoute.parentRefs"),
    ("kubeflow: {rbac: {create: true}}", "set kubeflow.rbac.namespaces"),
    ('kubeflow: {rbac: {create: true, namespaces: ["a{1-3}"]}}', "set names, or ranges"),
    ('kubeflow: {rbac: {create: true, namespaces: ["a{3..1}"]}}', "set a range that counts"),
    ('kubeflow: {rbac: {create: true, namespaces: ["a{1..1001}"]}}', "at most 1000 names"),
    ("kubeflow: {rbac: {create: true, namespaces: [Anna]}}", "set names, or ranges"),
    (
        "kubeflow: {rbac: {create: true, namespaces: [anna], "
        "namespaceSelector: {matchLabels: {a: b}}}}",
        "set kubeflow.rbac.namespaces instead",
    ),
    ("github: {appId: 1}", "set github.installationId"),
    ("serviceMonitor: {enabled: true}", "set auth.existingSecret"),
    ("alertmanagerConfig: {enabled: true}", "set auth.existingSecret"),
    ("podLabels: {app.kubernetes.io/name: x}", "set nameOverride"),
    ("commonLabels: {app.kubernetes.io/instance: x}", "set nameOverride"),
    ("podLabels: {retrain-receiver/store: x}", "set database.type"),
    ("config: {auth: {}}", "auth.existingSecret"),
    ('config: {storage: {url: "sqlite:///x"}}', "set database.type"),
    ("config: {targets: {t: {github: {repository: a/b}}}}", "set github.existingSecret"),
    ("config: {targets: {t: {kfp: {endpoint: local}}}}", "config.targets.t.kfp.endpoint"),
    (
        'config: {targets: {t: {kfp: {endpoint: "http://k:1", pipeline: pipelines/x.yaml}}}}',
        "add x.yaml to pipelines",
    ),
    ("extraEnv: {RETRAIN_RECEIVER_URL: x}", "remove extraEnv.RETRAIN_RECEIVER_URL"),
    (
        "{database: {type: postgresql, existingSecret: x}, autoscaling: {enabled: true, "
        "minReplicas: 9}}",
        "set autoscaling.maxReplicas",
    ),
    (
        "{database: {type: postgresql, existingSecret: x}, autoscaling: {enabled: true}, "
        "resources: {requests: {cpu: null}}}",
        "set resources.requests.cpu",
    ),
]


@pytest.mark.parametrize("which", HELMS)
@pytest.mark.parametrize(("values", "cure"), CONTRADICTIONS)
def test_contradictions_name_the_value_to_change(which, values, cure):
    """Nothing half-right is installed."""
    said = template(which, values=values)

    assert said.code != 0
    assert cure in said.err


MISSPELT: list[tuple[str, str]] = [
    ("replicas: 2", "replicas"),
    ("image: {tga: x}", "tga"),
    ("auth: {existingSecrets: x}", "existingSecrets"),
    ("config: {policy: []}", "policy"),
    ("database: {type: mysql}", "type"),
    ("serviceMonitor: {label: {}}", "label"),
    ("extraEnv: {A: 1}", "A"),
    ("terminationGracePeriodSeconds: 10", "terminationGracePeriodSeconds"),
    ("livenessProbe: {httpGet: {path: /}}", "httpGet"),
    ("persistence: {size: much}", "size"),
]


@pytest.mark.parametrize("which", HELMS)
@pytest.mark.parametrize(("values", "place"), MISSPELT)
def test_misspelt_values_are_refused(which, values, place):
    """The schema says where."""
    said = template(which, values=values)

    assert said.code != 0
    assert place in said.err


def test_the_schema_and_the_values_know_the_same_keys():
    """A value without a schema would be refused; a schema without a value is a ghost."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def differences(part: dict[str, Any], value: dict[str, Any], prefix: str = "") -> list[str]:
        known = part.get("properties", {})
        wrong = [f"{prefix}{key}" for key in value.keys() ^ known.keys()]
        for key in value.keys() & known.keys():
            below = known[key]
            if "properties" in below and isinstance(value[key], dict) and value[key]:
                wrong += differences(below, value[key], f"{prefix}{key}.")
        return wrong

    assert differences(schema, values) in ([], ["resources.claims"])


def test_the_schema_is_strict_and_needs_no_network():
    """A remote reference breaks every installation behind a firewall."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema))

    assert schema["additionalProperties"] is False
    assert "global" in schema["properties"]
    assert all(each.startswith("#/definitions/") for each in references)
