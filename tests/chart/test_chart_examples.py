"""The GitOps example installs what it says: its names fit each other and the chart."""

import re

import pytest
import yaml
from typer.testing import CliRunner

from receiver import __version__
from receiver.cli.commands import app
from tests.chart.rendering import CHART, ROOT, helm, objects, of_kind
from tests.chart.test_chart_config import laid_out

FOLDER = ROOT / "examples" / "argocd"
ENVIRONMENTS = ("dev", "prod")
SECRET_NAMES = re.compile(r"name: (retrain-receiver-(?:auth|webhook|github|database))\b")


def application(environment):
    return yaml.safe_load((FOLDER / f"monitoring-{environment}.yaml").read_text())


def installed(environment):
    """What Argo CD would render."""
    spec = application(environment)["spec"]
    release = spec["sources"][0]["helm"]["releaseName"]
    values = FOLDER / environment / "values.yaml"
    said = helm(
        *("helm4", "template", release, CHART, "-n", spec["destination"]["namespace"]),
        *("-f", values),
    )
    assert said.code == 0, said.err
    return objects(said.out)


def sealed(environment):
    """Namespace and name of each placeholder -> its keys."""
    text = (FOLDER / environment / "sealedsecrets.yaml").read_text()
    return {
        (each["metadata"]["namespace"], each["metadata"]["name"]): set(
            each["spec"]["encryptedData"]
        )
        for each in yaml.safe_load_all(text)
        if each
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_application_points_to_this_chart_and_to_its_own_values(environment):
    """Version, values and secrets."""
    chart, files = application(environment)["spec"]["sources"]

    assert (chart["chart"], chart["targetRevision"]) == ("retrain-receiver", __version__)
    assert chart["helm"]["valueFiles"] == [f"$values/retrain-receiver/{environment}/values.yaml"]
    assert files["path"] == f"retrain-receiver/{environment}"
    assert (FOLDER / environment / files["directory"]["include"]).exists()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_example_is_a_valid_configuration(environment, tmp_path):
    """A pasted example must start."""
    file = laid_out(installed(environment), tmp_path)
    said = CliRunner().invoke(app, ["check-config", "--config", str(file)])

    assert said.exit_code == 0, said.output
    assert "warning" not in said.output


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_the_stack_selects_carries_its_release(environment):
    """kube-prometheus-stack ignores everything else."""
    made = of_kind(installed(environment), "ServiceMonitor", "PrometheusRule")

    assert made
    assert {each["metadata"]["labels"]["release"] for each in made} == {
        f"monitoring-{environment}"
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_secret_that_is_named_is_among_the_placeholders(environment):
    """In the namespace of the object that names it, with the keys that it takes."""
    home = application(environment)["spec"]["destination"]["namespace"]
    known, wanted = sealed(environment), set()
    for each in installed(environment):
        namespace = each["metadata"].get("namespace", home)
        text = yaml.safe_dump(each)
        wanted |= {(namespace, name) for name in SECRET_NAMES.findall(text)}
        for source in each.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", []):
            for part in source.get("projected", {}).get("sources", []):
                if "secret" in part:
                    keys = {item["key"] for item in part["secret"]["items"]}
                    assert keys <= known[home, part["secret"]["name"]]

    assert wanted == set(known)
