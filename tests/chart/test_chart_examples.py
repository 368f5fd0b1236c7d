"""The GitOps example installs what it says: its names fit each other and the chart."""

import re
import subprocess
from fnmatch import fnmatch

import pytest
import yaml
from typer.testing import CliRunner

from receiver import __version__
from receiver.cli.commands import app
from tests.chart.rendering import CHART, ROOT, helm, objects, of_kind
from tests.chart.test_chart_config import laid_out

FOLDER = ROOT / "examples" / "argocd"
ENVIRONMENTS = ("dev", "prod")
SECRET_NAMES = re.compile(r"[nN]ame: (retrain-receiver-(?:auth|webhook|github|database|tls))\b")


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


def project(environment):
    """What Applications of an environment may do."""
    found = yaml.safe_load_all((FOLDER / "projects.yaml").read_text())
    (spec,) = [each["spec"] for each in found if each["metadata"]["name"] == environment]
    return spec


def allows(spec, namespace):
    """Whether a project lets its Applications into a namespace."""
    return any(fnmatch(namespace, each["namespace"]) for each in spec["destinations"])


def stack(environment):
    """The Application of kube-prometheus-stack."""
    return yaml.safe_load((FOLDER / f"stack-{environment}.yaml").read_text())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_project_allows_what_is_installed_and_not_the_other_environment(environment):
    """Every namespace, every source, and of what is in no namespace each kind."""
    spec = project(environment)
    home = application(environment)["spec"]["destination"]["namespace"]
    made = installed(environment)
    sources = [*application(environment)["spec"]["sources"], stack(environment)["spec"]["source"]]
    other = ENVIRONMENTS[1 - ENVIRONMENTS.index(environment)]

    assert application(environment)["spec"]["project"] == environment
    assert stack(environment)["spec"]["project"] == environment
    assert {source["repoURL"] for source in sources} <= {*spec["sourceRepos"]}
    assert not of_kind(made, "ClusterRole", "ClusterRoleBinding", "Namespace")
    namespaces = {each["metadata"].get("namespace", home) for each in made}
    namespaces |= {namespace for namespace, _ in sealed(environment)}
    namespaces |= {f"monitoring-{environment}", "kube-system"}
    assert [one for one in namespaces if not allows(spec, one)] == []
    assert not any(allows(spec, f"{one}-{other}") for one in ("monitoring", "retrain", "models"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_stack_takes_what_the_receiver_brings_and_nothing_of_the_other(environment):
    """Release, namespaces of AlertmanagerConfig and dashboards, whom its operator looks after."""
    app = stack(environment)
    values = app["spec"]["source"]["helm"]["valuesObject"]
    made = installed(environment)
    home = application(environment)["spec"]["destination"]["namespace"]
    (config,) = of_kind(made, "AlertmanagerConfig")
    alertmanager = values["alertmanager"]["alertmanagerSpec"]
    taken = alertmanager["alertmanagerConfigNamespaceSelector"]["matchLabels"]
    searched = values["grafana"]["sidecar"]["dashboards"]["searchNamespace"]
    operator = values["prometheusOperator"]

    assert app["metadata"]["name"] == app["spec"]["destination"]["namespace"]
    assert app["metadata"]["name"] == f"monitoring-{environment}"
    assert [*taken.values()] == [config["metadata"].get("namespace", home)]
    assert home in searched
    assert all(operator[name] == [app["metadata"]["name"]] for name in operator)


def test_the_definitions_are_installed_once():
    """By an Application of their own, whose project may."""
    app = yaml.safe_load((FOLDER / "stack-crds.yaml").read_text())
    allowed = project(app["spec"]["project"])["clusterResourceWhitelist"]

    assert "CustomResourceDefinition" in {each["kind"] for each in allowed}
    assert all(stack(one)["spec"]["source"]["helm"]["skipCrds"] for one in ENVIRONMENTS)
    assert "prune" not in app["spec"]["syncPolicy"]["automated"]


def test_people_reach_dev_by_tls_under_one_name(tmp_path):
    """Ingress, links and the README's certificate say one name, which no public CA signs."""
    (ingress,) = of_kind(installed("dev"), "Ingress")
    values = yaml.safe_load((FOLDER / "dev" / "values.yaml").read_text())
    (rule,), (tls,) = ingress["spec"]["rules"], ingress["spec"]["tls"]
    command = re.search(r"openssl req (?:.*\\\n)*.*", (FOLDER / "README.md").read_text())
    assert command is not None
    subprocess.run(["bash", "-c", command[0]], cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "tls.crt", "-noout", "-ext", "subjectAltName"],
        check=True,
        capture_output=True,
        text=True,
    )

    host = rule["host"]
    assert host.endswith(".local")
    assert tls == {"secretName": "retrain-receiver-tls", "hosts": [host]}
    assert values["config"]["server"]["external_url"] == f"https://{host}"
    assert f"DNS:{host}" in shown.stdout


def test_the_ingress_controller_of_dev_may_come_in():
    """The network policy would otherwise shut out the way that the Ingress opens."""
    (policy,) = of_kind(installed("dev"), "NetworkPolicy")
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]

    assert {"kubernetes.io/metadata.name": "ingress-nginx"} in [
        peer.get("namespaceSelector", {}).get("matchLabels") for peer in peers
    ]
