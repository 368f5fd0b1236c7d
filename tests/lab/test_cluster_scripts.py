"""deploy.sh, train.sh and cleanup.sh of examples/kubernetes, run against programs that record.

No cluster is here: that the objects are right is shown by their schemas, that they work is not.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import StrictLoader, containers
from tests.lab.recording import Recorder
from tests.lab.shop import EXAMPLES
from tests.lab.test_kubernetes import complaints, named

FOLDER = EXAMPLES / "kubernetes"
NO_KSERVE = {"kubectl get customresourcedefinition": (1, "")}
JOB = {"kubectl create": (0, "job.batch/retrain-user01-x7k2p\n")}


def deploy(tmp_path, *programs, **answers):
    recorder = Recorder(
        tmp_path / "bin",
        "docker",
        "kubectl",
        "sudo",
        *programs,
        answers=answers.pop("answers", {}),
    )
    ran = recorder.run(FOLDER / "deploy.sh", STORAGE_DIR="/srv/mlops")
    assert ran.returncode == 0, ran.stderr
    return recorder.calls


def train(tmp_path, *arguments, answers=JOB):
    recorder = Recorder(tmp_path / "bin", "kubectl", answers=answers)
    return recorder.run(FOLDER / "train.sh", *arguments), recorder.calls


def order_of(calls, *starts):
    """The places at which these calls come; each comes once."""
    found = [[at for at, call in enumerate(calls) if str(call).startswith(one)] for one in starts]
    assert all(len(places) == 1 for places in found), dict(zip(starts, found, strict=True))
    return [places[0] for places in found]


def test_deploy_builds_what_the_manifests_name(tmp_path):
    """Every image of the example's own that a manifest names is built under that name."""
    built = {
        call.arguments[call.arguments.index("--tag") + 1]
        for call in deploy(tmp_path)
        if call.arguments[0] == "build"
    }
    texts = [file.read_text() for file in (*FOLDER.glob("*.yaml"), INFERENCE_SERVICE)]

    assert built == set(
        re.findall(r"image: (ghcr\.io/retrain-receiver/example-\S+)", "".join(texts))
    )


def test_deploy_installs_in_an_order_that_works(tmp_path):
    """Namespaces, volumes, MLflow and the first model, then what serves it."""
    calls = deploy(tmp_path, answers=NO_KSERVE)
    order = order_of(
        calls,
        "kubectl apply --filename namespaces.yaml",
        "sudo install",
        "kubectl apply --filename -",
        "kubectl apply --filename mlflow.yaml --filename first-model.yaml",
        "kubectl --namespace training wait --for condition=Complete",
        "kubectl apply --filename serving.yaml",
        "kubectl --namespace serving rollout status",
    )

    assert order == sorted(order)
    (storage,) = [call.told for call in calls if call.arguments == ("apply", "--filename", "-")]
    assert storage.count("path: /srv/mlops") == 2
    assert complaints([*yaml.load_all(storage, StrictLoader)]) == []


def test_deploy_leaves_serving_to_kserve_where_it_is(tmp_path):
    """The InferenceService, and no Deployment of our own beside it."""
    said = [str(call) for call in deploy(tmp_path)]

    assert any(call.endswith("model-server/inferenceservice.yaml") for call in said)
    assert not any("serving.yaml" in call for call in said)


@pytest.mark.parametrize("programs", [("k3s",), ()])
def test_deploy_hands_the_images_to_k3s_where_it_is(tmp_path, programs, monkeypatch):
    """Its containerd does not see what Docker built."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    imported = [
        call for call in deploy(tmp_path, *programs) if "k3s ctr images import -" in str(call)
    ]

    assert len(imported) == len(programs)


def test_train_orders_a_job_with_its_parameters(tmp_path):
    """By the names that people know; the object is one that Kubernetes takes."""
    ran, calls = train(
        tmp_path,
        "--user",
        "user07",
        "--n-estimators",
        "200",
        "--max-depth",
        "20",
        "--run-name",
        "b-1",
    )
    assert ran.returncode == 0, ran.stderr
    (made,) = [call.told for call in calls if call.arguments[0] == "create"]
    (job,) = yaml.load_all(made, StrictLoader)
    (container,) = containers(job["spec"]["template"]["spec"])

    assert complaints([named(job)]) == []
    assert job["metadata"]["generateName"] == "retrain-user07-"
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "USER_ID": "user07",
        "DISPATCH_ID": "by-hand",
        "DRIFT_SCORE": "",
        "MODELS_DIR": "/mnt/models",
        "N_ESTIMATORS": "200",
        "MAX_DEPTH": "20",
        "RUN_NAME": "b-1",
        "MLFLOW_URI": "http://mlflow:5000",
    }
    assert str(calls[-1]).endswith("--timeout 1m job.batch/retrain-user01-x7k2p")


def test_train_logs_nowhere_where_no_mlflow_is(tmp_path):
    """A run that can't reach it would fail."""
    _, calls = train(tmp_path, answers={**JOB, "kubectl --namespace training get": (1, "")})
    (made,) = [call.told for call in calls if call.arguments[0] == "create"]

    assert '{name: MLFLOW_URI, value: ""}' in made


def test_train_fails_when_the_job_does(tmp_path):
    """Its exit code is that of the waiting."""
    ran, _ = train(tmp_path, answers={**JOB, "kubectl --namespace training wait": (1, "")})

    assert ran.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--n-estimators", "many"),
        ("--n-estimators",),
        ("--user", "user01}, {name: X"),
        ("--run-name", 'x"}'),
        ("--trees", "7"),
    ],
)
def test_train_refuses_what_it_does_not_know(tmp_path, arguments):
    """Nothing that is typed becomes YAML or a command."""
    ran, calls = train(tmp_path, *arguments)

    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: train.sh")
    assert calls == []


@pytest.mark.parametrize("data", [True, False])
def test_cleanup_keeps_the_data_unless_told(tmp_path, data):
    """Models are somebody's work; namespaces and volumes are made again."""
    recorder = Recorder(tmp_path / "bin", "kubectl", "sudo")
    arguments = ["--data"] if data else []
    ran = recorder.run(FOLDER / "cleanup.sh", *arguments, STORAGE_DIR="/srv/mlops")
    said = [str(call) for call in recorder.calls]

    assert ran.returncode == 0, ran.stderr
    assert said[:2] == [
        "kubectl delete --ignore-not-found --filename namespaces.yaml",
        "kubectl delete --ignore-not-found persistentvolume models-serving models-training",
    ]
    assert said[2:] == (["sudo rm -rf -- /srv/mlops/models /srv/mlops/logs"] if data else [])


def test_cleanup_removes_every_volume_that_deploy_makes(tmp_path):
    """They are in no namespace, so that none takes them along."""
    made = yaml.load_all((FOLDER / "storage.yaml").read_text(), StrictLoader)
    volumes = [each["metadata"]["name"] for each in made if each["kind"] == "PersistentVolume"]

    assert f"persistentvolume {' '.join(volumes)}\n" in (FOLDER / "cleanup.sh").read_text()


def test_the_trainers_image_is_built_from_what_is_there():
    """Hadolint finds nothing, every file that is copied exists, and its Python is the server's."""
    file = EXAMPLES / "pipelines" / "Dockerfile"
    hadolint = Path(sys.executable).with_name("hadolint")
    said = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    copied = re.findall(r"^COPY (.*) \S+$", file.read_text(), re.MULTILINE)
    (base,) = re.findall(r"^FROM (\S+)$", file.read_text(), re.MULTILINE)

    assert said.returncode == 0, said.stdout
    assert all((file.parent / name).exists() for names in copied for name in names.split())
    # A model is a pickle: who loads it should be who stored it.
    assert f"FROM {base} AS base" in (EXAMPLES / "model-server" / "Dockerfile").read_text()


INFERENCE_SERVICE = EXAMPLES / "model-server" / "inferenceservice.yaml"
