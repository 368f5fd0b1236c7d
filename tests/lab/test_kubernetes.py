"""examples/kubernetes and the InferenceService: valid, locked down, fit to each other."""

import json
import re
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from receiver import __version__
from receiver.cli.commands import app
from tests.chart.rendering import CHART, StrictLoader, containers, helm, objects, of_kind, tool
from tests.chart.test_chart_config import laid_out
from tests.lab.shop import EXAMPLES
from tests.processes import ROOT

FOLDER = EXAMPLES / "kubernetes"
FILES = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "receiver-values.yaml"})
SERVICE = yaml.safe_load((EXAMPLES / "model-server" / "inferenceservice.yaml").read_text())
THINGS = [each for file in FILES for each in yaml.load_all(file.read_text(), StrictLoader) if each]

NOT_OF_A_POD = {"minReplicas", "maxReplicas", "annotations", "labels"}
"""What KServe's predictor holds besides a pod's fields; no small package has its schema."""


def predictor_as_pod():
    """The InferenceService's predictor is a pod's specification, and some fields of its own."""
    spec = {k: v for k, v in SERVICE["spec"]["predictor"].items() if k not in NOT_OF_A_POD}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}


def complaints(things):
    """What the schemas of Kubernetes say."""
    done = subprocess.run(
        [tool("venv/bin/python"), ROOT / "tests" / "chart" / "schemas.py"],
        input=json.dumps(things),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def named(thing):
    """A Job that names itself gets a name, for the complaints."""
    metadata = thing["metadata"]
    return thing | {"metadata": {"name": metadata.get("generateName", "") + "x"} | metadata}


def pods():
    """Every pod's specification."""
    yield predictor_as_pod()["spec"]
    for each in THINGS:
        if each["kind"] == "CronJob":
            yield each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif each["kind"] in {"Job", "Deployment"}:
            yield each["spec"]["template"]["spec"]


def test_kubernetes_takes_every_object():
    """In all its versions from 1.25; a misspelt field is found."""
    broken = json.loads(json.dumps(predictor_as_pod()))
    broken["spec"]["containers"][0]["volumeMount"] = []
    things = [named(each) for each in (*THINGS, predictor_as_pod())]

    assert complaints(things) == []
    assert complaints([broken])


def test_the_inference_service_is_one_of_kserve():
    """As the pipeline's deploy patches it."""
    assert (SERVICE["apiVersion"], SERVICE["kind"]) == (
        "serving.kserve.io/v1beta1",
        "InferenceService",
    )
    assert SERVICE["spec"].keys() == {"predictor"}
    assert SERVICE["spec"]["predictor"]["containers"][0]["name"] == "kserve-container"
    assert SERVICE["metadata"]["namespace"] == "serving"


@pytest.mark.parametrize("spec", [*pods()])
def test_every_pod_is_restricted(spec):
    """As the namespaces demand, and with bounds."""
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for each in containers(spec):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each["resources"]["limits"]["memory"]


def test_the_charts_values_are_a_valid_configuration(tmp_path):
    """A pasted example must start."""
    said = helm("helm4", "template", "retrain", CHART, "-f", FOLDER / "receiver-values.yaml")
    assert said.code == 0, said.err
    file = laid_out(objects(said.out), tmp_path)
    checked = CliRunner().invoke(app, ["check-config", "--config", str(file)])

    assert checked.exit_code == 0, checked.output


def test_the_cron_job_calls_the_chart_by_its_name():
    """Service, port, token and version are those of the release that the README installs."""
    said = helm(
        *("helm4", "template", "retrain", CHART, "-n", "retrain"),
        *("-f", FOLDER / "receiver-values.yaml"),
    )
    (service,) = of_kind(objects(said.out), "Service")
    text = (FOLDER / "check-drift.yaml").read_text()
    port = service["spec"]["ports"][0]["port"]

    assert f"http://{service['metadata']['name']}.retrain:{port}" in text
    assert f"retrain-receiver:{__version__}" in text
    assert "secretName: retrain-auth" in text


def test_the_cron_jobs_arguments_are_the_commands(tmp_path):
    """They are read by the command itself, which then finds nobody to ask."""
    (job,) = [each for each in THINGS if each["metadata"].get("name") == "check-drift"]
    (container,) = containers(job["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    arguments = [*container["args"], "--prometheus", "http://127.0.0.1:1"]
    (tmp_path / "token").write_text("a-token")
    said = CliRunner().invoke(app, [*arguments, "--token-file", str(tmp_path / "token")])

    assert "127.0.0.1:1 is unreachable" in str(said.exception)


def test_without_kserve_the_same_pod_serves():
    """The Deployment is the InferenceService's pod, under the name that KServe would give it."""
    deployment, service = yaml.load_all((FOLDER / "serving.yaml").read_text(), StrictLoader)
    scaled = yaml.safe_load((FOLDER / "serving-hpa.yaml").read_text())["spec"]["scaleTargetRef"]
    pod = deployment["spec"]["template"]

    assert pod["spec"] == predictor_as_pod()["spec"]
    assert deployment["metadata"]["name"] == scaled["name"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["annotations"] == SERVICE["spec"]["predictor"]["annotations"]


def test_mlflow_is_as_new_as_its_client_and_answers_to_its_names():
    """The image's tag is the locked client's; every name of its Service is allowed."""
    things = [*yaml.load_all((FOLDER / "mlflow.yaml").read_text(), StrictLoader)]
    (deployment,) = [each for each in things if each["kind"] == "Deployment"]
    (container,) = containers(deployment["spec"]["template"]["spec"])
    lock = (EXAMPLES / "pipelines" / "requirements-mlflow.txt").read_text()
    client = re.search(r"^mlflow-skinny==(\S+)", lock, re.MULTILINE)
    (allowed,) = [arg for arg in container["args"] if arg.startswith("--allowed-hosts=")]

    assert client is not None
    assert container["image"].endswith(f":v{client[1]}")
    hosts = allowed.partition("=")[2].split(",")
    assert {"mlflow:5000", "mlflow.training:5000", "localhost:5000"} <= {*hosts}


def test_the_smoke_script_is_bash_and_names_what_is_there():
    """It needs a cluster, so that here only its words are checked."""
    script = FOLDER / "smoke.sh"
    subprocess.run(["bash", "-n", script], check=True)

    for name in re.findall(r"--(?:filename|values) (\S+)", script.read_text()):
        assert (FOLDER / name).exists()
