"""What the chart renders under every values file, by helm 3 and 4."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    CASES,
    CHART,
    HELMS,
    RELEASE,
    Object,
    case,
    containers,
    helm,
    of_kind,
    pods,
    receiver_yaml,
    rendered,
    template,
    workload,
)

SELECTOR = {"app.kubernetes.io/name": "retrain-receiver", "app.kubernetes.io/instance": RELEASE}
STORES = {"StatefulSet": "sqlite", "Deployment": "postgresql"}

EVERYTHING = """
config:
  targets:
    a: {github: {repository: acme/models, workflow: a.yaml}}
    b: {kfp: {endpoint: "https://kfp.example.com", pipeline: pipelines/b.yaml}}
  policies: [{name: p, match: ['a="b"'], target: a, model: {name: "{x}", labels: {x: "[a-z]+"}}}]
pipelines: {b.yaml: "x: 1"}
auth: {existingSecret: auth}
github: {existingSecret: github, appId: 1, installationId: 2}
kubeflow: {token: {enabled: true}, rbac: {create: true, namespaces: [anna]}}
database: {type: postgresql, existingSecret: database}
autoscaling: {enabled: true}
serviceMonitor: {enabled: true}
prometheusRule: {enabled: true}
alertmanagerConfig: {enabled: true}
dashboards: {enabled: true}
networkPolicy: {enabled: true}
ingress: {enabled: true, hosts: [a.example.com]}
httpRoute: {enabled: true, hostnames: [a.example.com], parentRefs: [{name: gateway}]}
"""


@pytest.mark.parametrize("which", HELMS)
@pytest.mark.parametrize("name", CASES)
def test_every_values_file_passes_the_linter(which, name):
    """Strictly: warnings are errors."""
    said = helm(which, "lint", "--strict", CHART, "-f", CHART / "ci" / f"{name}-values.yaml")

    assert said.code == 0, said.out + said.err


@pytest.mark.parametrize("name", CASES)
def test_both_helms_render_the_same_objects(name):
    """Nothing depends on helm's version."""
    three, four = case("helm3", name), case("helm4", name)

    assert sorted(three, key=json.dumps) == sorted(four, key=json.dumps)


@pytest.mark.parametrize("name", CASES)
def test_every_environment_name_is_there_once_and_is_a_text(name):
    """Helm 4 refuses an installation with doubles or numbers."""
    for where, spec in pods(case("helm4", name)):
        for container in containers(spec):
            names = [each["name"] for each in container.get("env", [])]
            assert len(names) == len(set(names)), where
            assert all(isinstance(each.get("value", ""), str) for each in container.get("env", []))


VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def violations(spec: Object) -> list[str]:
    """What `restricted` Pod Security refuses."""
    of_pod = spec.get("securityContext", {})
    found = [each for each in ("hostNetwork", "hostPID", "hostIPC") if spec.get(each)]
    found += [
        f"volume {each['name']}" for each in spec.get("volumes", []) if not VOLUMES & each.keys()
    ]
    for each in containers(spec):
        own = {**of_pod, **each.get("securityContext", {})}
        demands = {
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "drop": own.get("capabilities", {}).get("drop") == ["ALL"],
            "add": not own.get("capabilities", {}).get("add"),
            "runAsNonRoot": own.get("runAsNonRoot") is True,
            "runAsUser": own.get("runAsUser") != 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "hostPort": not any("hostPort" in port for port in each.get("ports", [])),
        }
        found += [f"{each['name']}: {name}" for name, met in demands.items() if not met]
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_pod_is_restricted(name):
    """Pod Security `restricted` admits every pod, the test hook's too."""
    found = {where: violations(spec) for where, spec in pods(case("helm4", name))}

    assert found
    assert not any(found.values()), found


@pytest.mark.parametrize("name", CASES)
def test_our_containers_are_locked_down_and_bounded(name):
    """Read-only root, no API token, no secret in the environment, memory bounded, CPU not."""
    for where, spec in pods(case("helm4", name)):
        assert spec["automountServiceAccountToken"] is False, where
        for container in spec["containers"]:
            if container["name"] not in {"receiver", "test"}:
                continue
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "memory" in container["resources"]["limits"]
            assert "cpu" not in container["resources"]["limits"]
            assert "secretKeyRef" not in json.dumps(container.get("env", []))


@pytest.mark.parametrize("name", CASES)
def test_selectors_never_change(name):
    """Selectors hold name and instance, which no version, label or feature touches.

    A Service's may change, and holds the store as well: pods of the other one are none of its.
    """
    rendered_ = case("helm4", name)
    found = workload(rendered_)
    store = {"retrain-receiver/store": STORES[found["kind"]]}
    for each in of_kind(rendered_, "Service"):
        assert each["spec"]["selector"] == SELECTOR | store
    for each in of_kind(rendered_, "PodDisruptionBudget"):
        assert each["spec"]["selector"]["matchLabels"] == SELECTOR

    assert found["spec"]["selector"] == {"matchLabels": SELECTOR}
    labels = found["spec"]["template"]["metadata"]["labels"]
    assert (SELECTOR | store).items() <= labels.items()


@pytest.mark.parametrize("name", CASES)
def test_the_test_pod_is_nobody_elses(name):
    """The Service would otherwise send it notifications, and a Deployment would count it."""
    for each in of_kind(case("helm4", name), "Pod"):
        labels = each["metadata"]["labels"]
        hooks = each["metadata"]["annotations"]

        assert not SELECTOR.items() <= labels.items()
        assert hooks["helm.sh/hook"] == "test"
        assert "hook-succeeded" in hooks["helm.sh/hook-delete-policy"]


@pytest.mark.parametrize("name", CASES)
def test_nothing_runs_around_an_upgrade(name):
    """The store is migrated at the start; the only hook is the test."""
    hooks = {
        each["metadata"].get("annotations", {}).get("helm.sh/hook", "test")
        for each in case("helm4", name)
    }

    assert hooks == {"test"}


def test_rendering_depends_on_the_values_alone():
    """Argo CD renders without the cluster, again and again: no look-up, chance, clock or gate.

    Look-ups stand in one file; tests/chart/test_chart_releases.py holds what they may change.
    """
    words = r"\b(lookup|rand\w*|uuidv4|gen(CA|Signed|Self|Private)\w*|htpasswd|now|ago)\b"
    texts = {path: path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file()}
    actions = {
        str(path): [
            action
            for action in re.findall(r"\{\{(.*?)\}\}", text, re.DOTALL)
            if not action.strip("- ").startswith("/*")
        ]
        for path, text in texts.items()
    }
    asking = str(CHART / "templates" / "_cluster.tpl")
    actions[asking] = [re.sub(r"\blookup\b", "", action) for action in actions[asking]]
    gated = r"\.Capabilities|\.Release\.(Revision|IsUpgrade|IsInstall)"

    assert {
        path: action
        for path, each in actions.items()
        for action in each
        if re.search(f"{words}|{gated}", re.sub(r'"[^"]*"', "", action))
    } == {}


def test_sqlite_has_one_pod_a_claim_that_stays_and_no_budget():
    """One process owns the file; the claim outlives the release and can grow."""
    found = case("helm4", "default")
    stateful = workload(found)
    (claim,) = of_kind(found, "PersistentVolumeClaim")

    assert (stateful["kind"], stateful["spec"]["replicas"]) == ("StatefulSet", 1)
    assert "volumeClaimTemplates" not in stateful["spec"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not of_kind(found, "PodDisruptionBudget", "HorizontalPodAutoscaler")


def test_postgresql_has_several_pods_spread_and_guarded():
    """A rolling update never takes one away before its successor is ready."""
    found = case("helm4", "postgres-ha")
    deployment = workload(found)
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]

    assert (deployment["kind"], deployment["spec"]["replicas"]) == ("Deployment", 3)
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    assert all(each["labelSelector"]["matchLabels"] == SELECTOR for each in spread)
    assert of_kind(found, "PodDisruptionBudget")
    assert not of_kind(found, "PersistentVolumeClaim")


def test_an_autoscaler_owns_the_number_of_pods():
    """Replicas that helm sets too would undo it at every upgrade."""
    found = case("helm4", "postgres-autoscaling")

    assert "replicas" not in workload(found)["spec"]
    assert of_kind(found, "HorizontalPodAutoscaler")


def test_without_values_nothing_optional_is_there():
    """Zero values: a pod, its store, its way in."""
    kinds = {each["kind"] for each in case("helm4", "default")}

    assert kinds == {
        *("ConfigMap", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"),
        "StatefulSet",
    }


def test_a_changed_configuration_is_a_new_pod():
    """A ConfigMap's change alone would start nothing."""

    def checksum(values: str) -> str:
        annotations = workload(rendered("helm4", values=values))["spec"]["template"]["metadata"]
        return str(annotations["annotations"]["checksum/config"])

    assert len({checksum("{}"), checksum("config: {server: {max_body: 1MiB}}")}) == 2
    assert checksum("commonLabels: {a: b}") == checksum("{}")


ANYWHERE = "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize(
    ("name", "host", "own"), [("default", ANYWHERE, "127.0.0.1"), ("openshift", "[::]", "[::1]")]
)
def test_the_receiver_listens_where_the_service_reaches_it(name, host, own):
    """Not on loopback; and the pod's own commands ask where it listens."""
    container = workload(case("helm4", name))["spec"]["template"]["spec"]["containers"][0]
    port = container["ports"][0]["containerPort"]
    environment = {each["name"]: each["value"] for each in container["env"]}

    assert container["args"][-1] == f"{host}:{port}"
    assert environment["RETRAIN_RECEIVER_URL"] == f"http://{own}:{port}"


@pytest.mark.parametrize("which", HELMS)
def test_a_range_of_namespaces_is_each_of_them(which):
    """Twenty tenants need not be typed; zeros at the front stay, and none comes twice."""
    values = """
    kubeflow: {rbac: {create: true, namespaces: ["user{08..11}", user08, anna, "a{9..10}-x"]}}
    """
    made = rendered(which, values=values)
    found = [
        [each["metadata"]["namespace"] for each in of_kind(made, kind)]
        for kind in ("Role", "RoleBinding")
    ]

    names = ["user08", "user09", "user10", "user11", "anna", "a9-x", "a10-x"]
    assert found == [names, names]


def test_large_numbers_stay_whole():
    """Helm's numbers are floats; 78901234 must not become 7.8901234e+07."""
    config = yaml.safe_load(receiver_yaml(case("helm3", "github-app")))
    app = config["targets"]["retrain"]["github"]["app"]

    assert (app["id"], app["installation_id"]) == ("1234567", 78901234)


NEEDED = ("enabled", "create", "type", "existingSecret", "installationId", "appId")
NEEDED_TOO = ("namespaceSelector", "hosts", "hostnames", "parentRefs", "namespaces")


def test_a_key_that_an_older_release_lacks_breaks_nothing():
    """`helm upgrade` without values reuses the old ones: no section and no key may be missed."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    emptied = [{section: None} for section in values] + [
        {section: {key: None for key in keys if key not in NEEDED + NEEDED_TOO}}
        for section, keys in values.items()
        if isinstance(keys, dict)
    ]

    def failed(lacking: dict[str, Any]) -> str | None:
        said = template("helm4", "--set-json", json.dumps(lacking), values=EVERYTHING)
        # A sentence of ours that names a value is an answer, a pointer of Go's is none.
        answered = said.code == 0 or re.search(r"execution error at .*: .+ (set|add) ", said.err)
        return None if answered else f"{lacking}: {said.err}"

    with ThreadPoolExecutor(2) as pool:
        assert [each for each in pool.map(failed, emptied) if each] == []


SILENT = "networkPolicy: {enabled: true}"

ANNOUNCING = """
networkPolicy: {enabled: true}
config:
  announcements: [{name: on-call, slack: {url_file: /etc/slack/url}}]
"""


@pytest.mark.parametrize(("values", "reachable"), [(ANNOUNCING, True), (SILENT, False)])
def test_subscribers_can_be_reached_through_the_network_policy(values, reachable):
    """Port 443 is open only if somebody is to be asked or told there."""
    (policy,) = of_kind(rendered("helm4", values=values), "NetworkPolicy")

    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert (443 in ports) is reachable


BRIDGES = """
networkPolicy: {enabled: true}
config:
  targets:
    argo: {http: {url: "https://argo-server.argo.svc:2746/api/v1/workflows/training/submit"}}
    airflow: {http: {url: "http://airflow/api/v1/dags/{user_id}/dagRuns"}}
    other: {http: {url: "HTTPS://argo-server.argo.svc:2746/api/v1/workflows/other/submit"}}
"""


@pytest.mark.parametrize(
    ("values", "opened"),
    [
        (BRIDGES, {80, 2746}),
        (BRIDGES.replace(":2746", ""), {80, 443}),
        (BRIDGES.replace("true}", "true, egress: {http: {ports: [{port: 1}]}}}"), {1}),
        (BRIDGES.replace("true}", "true, egress: {http: null}}"), set()),
        (SILENT, set()),
    ],
)
def test_http_targets_can_be_reached_through_the_network_policy(values, opened):
    """At the ports of their addresses, each once, and at no other."""
    (policy,) = of_kind(rendered("helm4", values=values), "NetworkPolicy")

    ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert sorted(set(ports) - {53}) == sorted(opened)
    assert len(ports) == len(opened) + 2
