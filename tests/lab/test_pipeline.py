"""examples/pipelines: the compiled pipeline retrains, refuses and reports."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from receiver.core.reports import parse_report
from receiver.dispatchers.pipelines import fill_parameters, read_package
from tests.contract.kfp_setup import dispatcher, order
from tests.demo.kfp_environment import PYTHON, kfp_python, need_kfp_environment
from tests.lab.shop import EXAMPLES, SERVER, origin, run
from tests.peers.kfp import KfpPeer

SOURCE = EXAMPLES / "pipelines" / "retrain.py"
COMPILED = SOURCE.with_suffix(".yaml")
ROLL_BACK = SOURCE.with_name("roll_back.py")
SOLD = Path(__file__).with_name("sold.py")

RUN = """
import json, sys
from kfp import components, local
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1], raise_on_error=True)
task = components.load_component_from_file(sys.argv[2])(**json.loads(sys.argv[3]))
print("OUTPUTS", json.dumps(task.outputs))
"""

CALL = """
import json, sys
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
import retrain
given = json.loads(sys.argv[3])
files = given.pop("files").items()
files = {name: SimpleNamespace(path=path, metadata={}) for name, path in files}
getattr(retrain, sys.argv[2]).python_func(**given, **files)
"""


@pytest.fixture(autouse=True)
def _environment():
    need_kfp_environment()


@pytest.fixture
def shop(tmp_path):
    """A folder with a first model."""
    run(PYTHON, SERVER / "first_models.py", "--workdir", tmp_path, "user01")
    return tmp_path


def sell(workdir, level, *, batches=16):
    """Flats were sold at this level of drift."""
    run(sys.executable, SOLD, SERVER, workdir, level, str(batches))


def retrain(workdir, **arguments):
    """Run the compiled pipeline on this machine; its one line of report."""
    given = json.dumps({"workdir": str(workdir), "user_id": "user01", **arguments})
    ran = kfp_python("-c", RUN, workdir / "pipeline-root", COMPILED, given)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (outputs,) = [line for line in ran.stdout.splitlines() if line.startswith("OUTPUTS ")]
    return json.loads(outputs.removeprefix("OUTPUTS "))["retrain_verdict"]


def call(component, files, **given):
    """Run one component by itself."""
    given["files"] = {name: str(path) for name, path in files.items()}
    return kfp_python("-c", CALL, SOURCE.parent, component, json.dumps(given))


def test_a_better_model_is_deployed_and_the_next_one_is_not(shop):
    """Champion and challenger: after a drift the challenger wins; a second one can't."""
    sell(shop, "high")
    first = parse_report(retrain(shop, dispatch_id="01abc", drift_score=0.62))
    served = (shop / "models" / "user01" / "model.joblib").read_bytes()
    second = parse_report(retrain(shop, dispatch_id="02def"))

    assert first.verdict == "promoted"
    assert first.metrics["mae"] < 0.9 * first.metrics["champion_mae"]
    assert second.verdict == "rejected"
    assert (shop / "models" / "user01" / "model.joblib").read_bytes() == served
    assert origin(shop, "user01")["dispatch_id"] == "01abc"
    assert origin(shop, "user01")["drift_score"] == 0.62


def test_a_forest_is_trained_when_it_is_asked_for(shop):
    """As many trees as it was told, which lose against a line here, and are not deployed."""
    sell(shop, "none")
    challenger = shop / "challenger"
    files = {"challenger": challenger, "held_out": shop / "held-out"}
    ran = call("train", files, workdir=str(shop), user_id="user01", n_estimators=7, max_depth=3)
    assert ran.returncode == 0, ran.stderr
    trees = "m = __import__('joblib').load(__import__('sys').argv[1]); print(len(m), m.max_depth)"

    assert run(PYTHON, "-c", trees, challenger).split() == ["7", "3"]
    assert parse_report(retrain(shop, n_estimators=7)).verdict == "rejected"


def test_a_deploy_can_be_taken_back(shop):
    """The model that was replaced is served again, and a second time the new one."""
    served = shop / "models" / "user01" / "model.joblib"
    first = served.read_bytes()
    sell(shop, "high")
    retrain(shop)
    second = served.read_bytes()
    assert second != first
    back = ("env", f"MODELS_DIR={shop}", "USER_ID=user01", sys.executable, ROLL_BACK)

    run(*back)
    assert served.read_bytes() == first

    run(*back)
    assert served.read_bytes() == second
    nobody = subprocess.run(
        ["env", f"MODELS_DIR={shop}", "USER_ID=user02", sys.executable, ROLL_BACK],
        capture_output=True,
        text=True,
        check=False,
    )
    assert nobody.returncode == 1
    assert "no model of user02 before" in nobody.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({}, "are needed"), ({"user_id": "../user01"}, "is no name of a model")],
)
def test_too_little_or_a_path_is_refused(shop, arguments, said):
    """A run without data fails and says so; a name never leads out of the folder."""
    files = {"challenger": shop / "challenger", "held_out": shop / "held-out"}
    given = {"workdir": str(shop), "user_id": "user01", "n_estimators": 0, "max_depth": 0}
    ran = call("train", files, **{**given, **arguments})

    assert ran.returncode != 0
    assert said in ran.stderr


def test_the_receiver_can_order_it():
    """Its parameters are those that docs/policies.md sends, and a KFP server is told its tasks."""
    given = order("http://kfp", inputs={"user_id": "user01", "drift_score": 0.62})
    spec = read_package(COMPILED).spec

    assert fill_parameters(spec, given) == {
        "user_id": "user01",
        "drift_score": 0.62,
        "dispatch_id": given.id,
    }


def test_a_kfp_server_takes_it():
    """The dispatcher posts the compiled package, and follows the run it made."""
    with KfpPeer() as peer:
        inputs = {"user_id": "user01", "drift_score": 0.62}
        wanted = order(peer.url, inputs=inputs, place={"pipeline": str(COMPILED)})
        started = dispatcher().start(wanted)

        (run_made,) = peer.runs.values()
    assert run_made["run_id"] == started.id
    names = json.dumps(run_made["pipeline_spec"])
    assert "retrain-verdict-promoted" in names
    assert "retrain-verdict-rejected" in names


def test_on_a_cluster_the_inference_service_is_rolled_over(shop, monkeypatch):
    """Deploy patches the tenant's InferenceService, so that new pods load the new model."""
    (shop / "evaluation").write_text("{}")
    challenger = shop / "models" / "user01" / "model.joblib"
    with kubernetes_api() as (seen, kubeconfig):
        (shop / "kubeconfig").write_text(json.dumps(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(shop / "kubeconfig"))
        ran = call(
            "deploy",
            {"challenger": challenger, "evaluation": shop / "evaluation"},
            user_id="user01",
            drift_score=0.62,
            dispatch_id="01abc",
            workdir=str(shop),
            serving_namespace="serving",
        )

    assert ran.returncode == 0, ran.stderr

    assert seen == [
        (
            "PATCH /apis/serving.kserve.io/v1beta1/namespaces/serving/inferenceservices/user01",
            {"spec": {"predictor": {"annotations": {"retrain-dispatch-id": "01abc"}}}},
        )
    ]


def test_on_a_cluster_models_are_read_and_swapped_on_the_claim():
    """Who has `workdir` mounts the claim of examples/kubernetes there; nobody runs as root."""
    package = read_package(COMPILED)
    executors = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounted = {
        name: [(each["constant"], each["mountPath"]) for each in one.get("pvcMount", [])]
        for name, one in executors.items()
    }
    at = package.spec["root"]["inputDefinitions"]["parameters"]["workdir"]["defaultValue"]
    needing = {
        f"exec-{name.removeprefix('comp-')}"
        for name, component in package.spec["components"].items()
        if "workdir" in component.get("inputDefinitions", {}).get("parameters", {})
        and "executorLabel" in component
    }

    assert needing == {"exec-train", "exec-evaluate", "exec-deploy"}
    assert {name for name, mounts in mounted.items() if mounts} == needing
    assert all(mounts in ([], [("models", at)]) for mounts in mounted.values())
    assert executors.keys() == package.spec["deploymentSpec"]["executors"].keys()
    assert {json.dumps(one["securityContext"], sort_keys=True) for one in executors.values()} == {
        '{"runAsGroup": "65532", "runAsNonRoot": true, "runAsUser": "65532"}'
    }


def test_every_component_runs_in_the_image_that_is_built():
    """By one name in pipeline, Job and the Dockerfile, which has what the components import."""
    dockerfile = (SOURCE.parent / "Dockerfile").read_text()
    (image,) = re.findall(r"docker build --tag (\S+) ", dockerfile)
    executors = read_package(COMPILED).spec["deploymentSpec"]["executors"].values()
    jobs = ("training-job.yaml", "receiver-jobs-values.yaml")
    copied = re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
    kept = re.findall(r"^!(.*)$", (SOURCE.parent / ".dockerignore").read_text(), re.MULTILINE)

    assert {each["container"]["image"] for each in executors} == {image}
    for job in jobs:
        text = (EXAMPLES / "kubernetes" / job).read_text()
        assert re.findall(r"image: (\S+)", text) == [image]
    assert sorted(" ".join(copied).split()) == sorted(kept)
    assert all((SOURCE.parent / name).exists() for name in kept)
    pins = (SOURCE.parent / "requirements-mlflow.txt").read_text().splitlines()
    locked = {line.partition("==")[0] for line in pins}
    assert {"kfp", "kubernetes", "scikit-learn", "joblib", "mlflow-skinny"} <= locked


def test_the_compiled_pipeline_is_the_source(tmp_path):
    """retrain.yaml is what retrain.py compiles to; if not, run the command in its docstring."""
    compiled = kfp_python(SOURCE, tmp_path / "retrain.yaml")

    assert compiled.returncode == 0, compiled.stderr
    assert COMPILED.read_text() == (tmp_path / "retrain.yaml").read_text()


@contextmanager
def kubernetes_api():
    """An API server that takes patches and remembers them."""
    seen = []

    class Answers(BaseHTTPRequestHandler):
        def do_PATCH(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((f"{self.command} {self.path}", body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    cluster = {"server": f"http://127.0.0.1:{server.server_port}"}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "peer", "cluster": cluster}],
        "contexts": [{"name": "peer", "context": {"cluster": "peer", "user": "peer"}}],
        "users": [{"name": "peer", "user": {}}],
        "current-context": "peer",
    }
    try:
        yield seen, kubeconfig
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
