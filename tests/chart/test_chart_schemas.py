"""Every object is one that Kubernetes 1.25 to 1.37, Prometheus Operator and Gateway API take."""

import json
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import CASES, Object, case, of_kind, rendered, tool

KINDS = {
    *("AlertmanagerConfig", "ConfigMap", "Deployment", "HTTPRoute", "HorizontalPodAutoscaler"),
    *("Ingress", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "PodDisruptionBudget"),
    *("PrometheusRule", "Role", "RoleBinding", "Service", "ServiceAccount", "ServiceMonitor"),
    "StatefulSet",
}


BROKEN = [
    ("monitoring-all", "ServiceMonitor", "spec.endpoints.0.intervall", "30s"),
    ("monitoring-all", "ServiceMonitor", "spec.endpoints.0.interval", "soon"),
    ("monitoring-all", "PrometheusRule", "spec.groups.0.rules.0.foor", "10m"),
    ("monitoring-all", "AlertmanagerConfig", "spec.route.groupWaits", "10s"),
    ("httproute", "HTTPRoute", "spec.hostnamess", ["x"]),
    ("default", "StatefulSet", "spec.template.spec.containers.0.prots", []),
    ("default", "Service", "spec.ports.0.port", "http"),
]


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the models say of every object under every values file, and of some broken ones."""
    python = tool("venv/bin/python")
    done = subprocess.run(
        [python, Path(__file__).with_name("schemas.py")],
        input=json.dumps([*every_object(), *broken_objects()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def every_object() -> list[Object]:
    """Each once, however many values files make it."""
    texts = {json.dumps(each, sort_keys=True) for name in CASES for each in case("helm4", name)}
    return [json.loads(text) for text in sorted(texts)]


def broken_objects() -> Iterator[Object]:
    """One for each line of `BROKEN`, named after its number."""
    for number, (name, kind, place, value) in enumerate(BROKEN):
        thing = deepcopy(of_kind(case("helm4", name), kind)[0])
        thing["metadata"]["name"] = f"broken-{number}"
        at: Any = thing
        *steps, last = place.split(".")
        for step in steps:
            at = at[int(step)] if step.isdigit() else at[step]
        at[last] = value
        yield thing


def test_every_object_fits_its_model(told):
    """Under every values file; each kind that the chart can make is among them."""
    assert [each for each in told if "/broken-" not in each] == []
    assert {each["kind"] for each in every_object()} == KINDS


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_object_is_found(told, number):
    """The models see each of these mistakes: nothing passes because nobody looked."""
    last = BROKEN[number][2].rpartition(".")[2]

    assert any(f"/broken-{number}:" in each and last in each for each in told)


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_labels_are_what_the_operator_selects_by(kind):
    """kube-prometheus-stack ignores what lacks its release."""
    for each in of_kind(case("helm4", "monitoring-all"), kind):
        assert each["metadata"]["labels"]["release"] == "monitoring-dev"


def test_two_releases_share_a_namespace():
    """What goes to a foreign namespace carries the release's own in its name."""
    values = "kubeflow: {rbac: {create: true, namespaces: [anna]}}"
    made = of_kind(rendered("helm4", values=values), "Role", "RoleBinding")

    assert {each["metadata"]["namespace"] for each in made} == {"anna"}
    assert all("models-dev" in each["metadata"]["name"] for each in made)
