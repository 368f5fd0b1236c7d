"""examples/kubernetes and the InferenceService: valid, locked down, fit to each other."""

import json
import re
import shutil
import subprocess

import certifi
import pytest
import yaml
from typer.testing import CliRunner

from receiver import __version__
from receiver.cli.commands import app
from receiver.core.http_api import HttpApi, HttpOrder, message_in, run_id_in, state_in
from receiver.core.runs import RunState
from tests.chart.rendering import (
    CHART,
    StrictLoader,
    containers,
    helm,
    objects,
    of_kind,
    receiver_yaml,
    tool,
    workload,
)
from tests.chart.test_chart_config import laid_out
from tests.contract.http_setup import DISPATCH_ID, OUR_ID, order, target_of
from tests.lab.shop import EXAMPLES
from tests.processes import ROOT

FOLDER = EXAMPLES / "kubernetes"
VALUES = sorted(FOLDER.glob("receiver-*values.yaml"))
FILES = sorted(set(FOLDER.glob("*.yaml")) - set(VALUES))
SERVICE = yaml.safe_load((EXAMPLES / "model-server" / "inferenceservice.yaml").read_text())
MONITOR = yaml.safe_load((EXAMPLES / "model-server" / "podmonitor.yaml").read_text())
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
    things = [named(each) for each in (*THINGS, MONITOR, predictor_as_pod())]

    assert complaints(things) == []
    assert complaints([broken])


BROKEN = [
    ("PodMonitor", "spec.podMetricsEndpoints.0.prot", "metrics"),
    ("NetworkPolicy", "spec.policyType", ["Ingress"]),
    ("AuthorizationPolicy", "spec.rules.0.from.0.source.principal", ["x"]),
    ("AuthorizationPolicy", "spec.rules.0.to.0.operation.method", ["GET"]),
    ("VirtualService", "spec.http.0.retry", {"attempts": 0}),
    ("VirtualService", "apiVersion", "networking.istio.io/v2"),
]


def broken_things():
    """One for each line of `BROKEN`, named after its number."""
    for number, (kind, place, value) in enumerate(BROKEN):
        broken = json.loads(json.dumps(next(e for e in (*THINGS, MONITOR) if e["kind"] == kind)))
        broken["metadata"]["name"] = f"broken-{number}"
        at = broken
        *steps, last = place.split(".")
        for step in steps:
            at = at[int(step)] if step.isdigit() else at[step]
        at[last] = value
        yield broken


def test_a_misspelt_field_of_a_policy_is_found():
    """A policy with a field that nobody reads guards nothing."""
    told = complaints([*broken_things()])

    for number, (kind, *_) in enumerate(BROKEN):
        assert any(each.startswith(f"{kind}/broken-{number}:") for each in told), kind


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


def test_the_exporter_is_scraped_by_its_name():
    """kube-prometheus-stack reads no annotations: the object names namespace, label and port."""
    (endpoint,) = MONITOR["spec"]["podMetricsEndpoints"]
    ports = {
        port.get("name"): (each["name"], port["containerPort"])
        for each in SERVICE["spec"]["predictor"]["containers"]
        for port in each["ports"]
    }

    assert ports[endpoint["port"]] == ("exporter", 9102)
    assert endpoint["path"] == "/metrics"
    assert MONITOR["spec"]["namespaceSelector"] == {
        "matchNames": [SERVICE["metadata"]["namespace"]]
    }
    for selector in (
        MONITOR["spec"]["selector"],
        thing("NetworkPolicy", "models")["spec"]["podSelector"],
    ):
        wanted = selector["matchLabels"].items()
        assert wanted <= SERVICE["metadata"]["labels"].items()
        (deployed,) = [
            e
            for e in THINGS
            if e["kind"] == "Deployment" and e["metadata"]["namespace"] == "serving"
        ]
        assert wanted <= deployed["spec"]["template"]["metadata"]["labels"].items()


def installed():
    """What the README installs, by kind."""
    said = helm(
        *("helm4", "template", "retrain", CHART, "-n", "retrain"),
        *("-f", FOLDER / "receiver-values.yaml"),
    )
    assert said.code == 0, said.err
    return objects(said.out)


def thing(kind, name):
    (found,) = [e for e in THINGS if (e["kind"], e["metadata"].get("name")) == (kind, name)]
    return found


def test_kubeflow_admits_the_receiver_that_is_installed():
    """By its namespace, its labels, its service account, and the port of its configuration."""
    pod = workload(installed())["spec"]["template"]
    config = yaml.safe_load(receiver_yaml(installed()))
    endpoint = config["targets"]["retrain-pipeline"]["kfp"]["endpoint"]
    (rule,) = thing("NetworkPolicy", "ml-pipeline-from-retrain-receiver")["spec"]["ingress"]
    (peer,) = rule["from"]
    (allowed,) = thing("AuthorizationPolicy", "ml-pipeline-from-retrain-receiver")["spec"]["rules"]
    (route,) = thing("VirtualService", "ml-pipeline-without-retries")["spec"]["http"]

    assert peer["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "retrain"}
    assert f":{rule['ports'][0]['port']}" == endpoint[-5:]
    account = pod["spec"]["serviceAccountName"]
    assert allowed["from"][0]["source"]["principals"] == [f"cluster.local/ns/retrain/sa/{account}"]
    assert f"http://{route['route'][0]['destination']['host']}".startswith(endpoint[:-5])
    assert route["retries"] == {"attempts": 0}


def test_the_receivers_policy_lets_in_who_calls_it():
    """The CronJob by its label, and Alertmanager and Prometheus as the chart has them."""
    (policy,) = of_kind(installed(), "NetworkPolicy")
    template = thing("CronJob", "check-drift")["spec"]["jobTemplate"]["spec"]["template"]
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    own = [each["podSelector"]["matchLabels"] for each in peers if "namespaceSelector" not in each]
    others = [each["namespaceSelector"]["matchLabels"] for each in peers if len(each) > 1]

    assert template["metadata"]["labels"] in own
    assert others == [{"kubernetes.io/metadata.name": "monitoring"}] * 2


def test_the_models_policy_opens_the_ports_that_there_are():
    """The server's to those who ask models, the exporter's to Prometheus alone."""
    serving, scraping = thing("NetworkPolicy", "models")["spec"]["ingress"]
    ports = [
        port["containerPort"]
        for each in SERVICE["spec"]["predictor"]["containers"]
        for port in each["ports"]
    ]

    assert [rule["ports"][0]["port"] for rule in (serving, scraping)] == ports
    assert [peer["podSelector"]["matchLabels"] for peer in scraping["from"]] == [
        {"app.kubernetes.io/name": "prometheus"}
    ]


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_charts_values_are_a_valid_configuration(values, tmp_path):
    """A pasted example must start."""
    said = helm("helm4", "template", "retrain", CHART, "-f", values)
    assert said.code == 0, said.err
    file = laid_out(objects(said.out), tmp_path)
    authority = tmp_path / "var/run/secrets/kubernetes/ca.crt"
    if authority.parent.exists():
        shutil.copyfile(certifi.where(), authority)
    checked = CliRunner().invoke(app, ["check-config", "--config", str(file)])

    assert checked.exit_code == 0, checked.output


def by_kind(kind):
    """Every object of this kind, by namespace and name."""
    return {
        (each["metadata"].get("namespace"), each["metadata"].get("name")): each
        for each in THINGS
        if each["kind"] == kind
    }


def training_job():
    """The Job that is started by hand."""
    return yaml.safe_load((FOLDER / "training-job.yaml").read_text())


@pytest.fixture
def target(tmp_path):
    """The Kubernetes API as a target of the receiver."""
    config = yaml.safe_load((FOLDER / "receiver-jobs-values.yaml").read_text())["config"]
    return target_of(yaml.safe_dump(config), tmp_path)


def jobs_of_the_receiver(target):
    """The Job that the receiver posts for user01, with a value and without one."""
    return [
        HttpOrder(HttpApi.at(each.place), each).content()[1]
        for each in (order(target, value=0.62), order(target, value=None))
    ]


def test_the_receiver_posts_the_job_that_is_started_by_hand(target):
    """Valid in every version of Kubernetes, and but for its name and what it is told the same."""
    by_hand = training_job()
    told, untold = jobs_of_the_receiver(target)

    assert complaints([told, untold]) == []
    assert told["metadata"]["name"] == OUR_ID
    specs = [each["spec"]["template"]["spec"] for each in (by_hand, told, untold)]
    environments = [
        {each["name"]: each.get("value", "") for each in spec["containers"][0].pop("env")}
        for spec in specs
    ]
    assert specs[0] == specs[1] == specs[2]
    assert environments[1].keys() == environments[2].keys() <= environments[0].keys()
    assert environments[0] | environments[1] == environments[0] | {
        "DISPATCH_ID": DISPATCH_ID,
        "DRIFT_SCORE": "0.62 ",
    }
    assert environments[2]["DRIFT_SCORE"] == ""


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        (None, RunState.RUNNING),
        (["SuccessCriteriaMet"], RunState.SUCCEEDED),
        (["SuccessCriteriaMet", "Complete"], RunState.SUCCEEDED),
        (["Complete"], RunState.SUCCEEDED),
        (["FailureTarget", "Failed"], RunState.FAILED),
        (["Failed"], RunState.FAILED),
    ],
)
def test_how_a_job_stands_is_read_from_its_first_condition(target, conditions, state):
    """Before Kubernetes 1.31 there was one condition at the end, since then two."""
    listed = [{"type": each, "status": "True", "message": "why"} for each in conditions or []]
    answer = {"metadata": {"name": OUR_ID}, "status": {"conditions": listed} if listed else {}}
    api = HttpApi.at(order(target).place)

    assert state_in(api, answer)[0] is state
    assert run_id_in(api, {}, answer) == OUR_ID
    assert message_in(api, answer) == ("why" if listed else "")


def test_trainings_may_do_what_they_do_and_no_more():
    """Deploy's PATCH, and the receiver's POST and GETs; nothing else of anything else."""
    roles, accounts = by_kind("Role"), by_kind("ServiceAccount")
    bound = {
        (each["metadata"]["namespace"], each["roleRef"]["name"]): {
            (subject["namespace"], subject["name"]) for subject in each["subjects"]
        }
        for each in by_kind("RoleBinding").values()
    }
    job = training_job()
    account = (job["metadata"]["namespace"], job["spec"]["template"]["spec"]["serviceAccountName"])

    assert bound.keys() == roles.keys()
    assert {name: role["rules"] for name, role in roles.items()} == {
        ("serving", "roll-over"): [
            {
                "apiGroups": ["serving.kserve.io"],
                "resources": ["inferenceservices"],
                "verbs": ["patch"],
            }
        ],
        ("training", "start-trainings"): [
            {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list"]}
        ],
    }
    assert account in accounts
    assert account in bound["serving", "roll-over"]
    # KFP runs what receiver-values.yaml orders in this namespace as this account.
    kfp = yaml.safe_load((FOLDER / "receiver-values.yaml").read_text())["config"]["targets"]
    where = kfp["retrain-pipeline"]["kfp"]["namespace"]
    assert (where, "default-editor") in bound["serving", "roll-over"]


def test_the_receivers_account_is_the_charts():
    """The Role to create Jobs is bound to whom the chart runs as, by the README's names."""
    values = FOLDER / "receiver-jobs-values.yaml"
    said = helm("helm4", "template", "retrain", CHART, "-n", "retrain", "-f", values)
    (account,) = of_kind(objects(said.out), "ServiceAccount")
    binding = by_kind("RoleBinding")["training", "start-trainings-by-the-receiver"]

    assert [(each["namespace"], each["name"]) for each in binding["subjects"]] == [
        ("retrain", account["metadata"]["name"])
    ]


def test_both_namespaces_see_one_folder():
    """Each claim is bound to a volume of its own, and both volumes lead to the same place."""
    volumes = by_kind("PersistentVolume")
    claims = {
        (namespace, name): claim
        for (namespace, name), claim in by_kind("PersistentVolumeClaim").items()
        if name == "models"
    }
    bound = {}
    for (namespace, name), claim in claims.items():
        volume = volumes[None, claim["spec"]["volumeName"]]["spec"]
        assert volume["claimRef"] == {"namespace": namespace, "name": name}
        assert volume["storageClassName"] == claim["spec"]["storageClassName"] == ""
        assert volume["accessModes"] == claim["spec"]["accessModes"] == ["ReadWriteMany"]
        bound[namespace] = volume["hostPath"]

    assert bound.keys() == {"serving", "training"}
    assert bound["serving"] == bound["training"]
    assert len(volumes) == len(claims)


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
