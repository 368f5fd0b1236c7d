"""Releases as helm 3 and 4 make, switch and roll them back, on an API that runs no pods."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import CASES, CHART, HELMS, NAMESPACE, RELEASE, WORKLOADS, case, objects
from tests.chart.rendering import helm as run_helm
from tests.chart.test_chart_cluster import fresh_namespace
from tests.peers.kubernetes import KubernetesPeer

NAME = "retrain-retrain-receiver"
CLAIM = ("persistentvolumeclaims", NAMESPACE, f"{NAME}-data")
SERVICE = ("services", NAMESPACE, NAME)
POSTGRESQL = "database: {type: postgresql, existingSecret: postgres}"
SWITCHED = ("--reset-then-reuse-values", "--set", "database.type=postgresql")
SWITCHED = (*SWITCHED, "--set", "database.existingSecret=postgres", "--set", "replicaCount=2")
BACK = ("--reset-then-reuse-values", "--set", "database.type=sqlite")
BACK = (*BACK, "--set", "database.existingSecret=", "--set", "replicaCount=1")


class Cluster:
    """A cluster without pods, and one of the helms."""

    def __init__(self, which: str, peer: KubernetesPeer, kubeconfig: Path) -> None:
        self.which, self.peer, self.kubeconfig = which, peer, kubeconfig

    def helm(self, *arguments: str | Path, values: str | None = None) -> str:
        """Run helm; it must succeed."""
        said = run_helm(
            self.which, *arguments, "-n", NAMESPACE, values=values, kubeconfig=self.kubeconfig
        )
        assert said.code == 0, said.err
        return said.out

    def upgrade(self, *arguments: str | Path, values: str | None = None) -> None:
        """Install or upgrade; the objects are compared with their schemas elsewhere."""
        self.helm(
            *("upgrade", "--install", RELEASE, CHART, "--disable-openapi-validation", *arguments),
            values=values,
        )

    def workloads(self) -> list[str]:
        """The kinds of the workloads that are there."""
        return sorted(each["kind"] for each in self.peer.of_kind(*WORKLOADS))


@pytest.fixture
def peer() -> Iterator[KubernetesPeer]:
    with KubernetesPeer() as peer:
        yield peer


@pytest.fixture(params=HELMS)
def cluster(request: pytest.FixtureRequest, peer: KubernetesPeer, tmp_path: Path) -> Cluster:
    return Cluster(request.param, peer, peer.kubeconfig(tmp_path))


def test_no_two_tests_on_a_real_cluster_share_a_namespace():
    """The last one's may still be terminating, or be another process' at this moment."""
    names = [fresh_namespace(which) for which in (*HELMS, *HELMS)]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]{1,63}", each) for each in names)


def test_a_rollback_from_postgresql_finds_the_old_store(cluster):
    """By `helm rollback` at the first try: one workload, the same claim, a Service that fits."""
    cluster.upgrade()
    claim = cluster.peer.objects[CLAIM]["metadata"]["uid"]
    cluster.upgrade(*SWITCHED)
    assert cluster.workloads() == ["Deployment"]
    cluster.helm("rollback", RELEASE, "1")

    assert cluster.workloads() == ["StatefulSet"]
    assert cluster.peer.objects[CLAIM]["metadata"]["uid"] == claim
    assert cluster.peer.objects[SERVICE]["spec"]["selector"]["retrain-receiver/store"] == "sqlite"
    assert not cluster.peer.of_kind("PodDisruptionBudget")


def test_a_claim_that_left_its_release_comes_back_into_it(cluster):
    """Charts before this one let it go with the switch: the next upgrade takes it up again."""
    cluster.upgrade()
    kept = cluster.peer.objects.pop(CLAIM)
    cluster.upgrade(*SWITCHED)
    cluster.peer.objects[CLAIM] = kept
    cluster.upgrade(*SWITCHED)
    cluster.helm("rollback", RELEASE, "1")

    assert cluster.workloads() == ["StatefulSet"]
    assert cluster.peer.objects[CLAIM]["metadata"]["uid"] == kept["metadata"]["uid"]


def test_an_upgrade_cures_a_rollback_that_was_refused(cluster):
    """Helm 3 can't go back to a claim that a rollback dropped; after an upgrade it can."""
    cluster.upgrade(values=POSTGRESQL)
    cluster.upgrade(*BACK)
    claim = cluster.peer.objects[CLAIM]["metadata"]["uid"]
    cluster.helm("rollback", RELEASE, "1")
    refused = run_helm(
        *(cluster.which, "rollback", RELEASE, "2", "-n", NAMESPACE), kubeconfig=cluster.kubeconfig
    )
    assert (refused.code != 0) is (cluster.which == "helm3")
    cluster.upgrade(*SWITCHED)
    cluster.helm("rollback", RELEASE, "2")

    assert cluster.workloads() == ["StatefulSet"]
    assert cluster.peer.objects[CLAIM]["metadata"]["uid"] == claim


def test_an_upgrade_leads_back_too(cluster):
    """By values, from a release that began with PostgreSQL as well."""
    cluster.upgrade(values=POSTGRESQL)
    assert CLAIM not in cluster.peer.objects
    cluster.upgrade(*BACK)
    claim = cluster.peer.objects[CLAIM]["metadata"]["uid"]
    cluster.upgrade(*SWITCHED)
    cluster.upgrade(*BACK)

    assert cluster.workloads() == ["StatefulSet"]
    assert cluster.peer.objects[CLAIM]["metadata"]["uid"] == claim


def test_a_claim_that_is_not_kept_goes_with_its_store(cluster):
    """As `persistence.keep: false` says."""
    cluster.upgrade("--set", "persistence.keep=false")
    cluster.upgrade(*SWITCHED)

    assert CLAIM not in cluster.peer.objects


def test_the_claim_of_another_release_is_left_alone(cluster):
    """By its name alone it is not ours."""
    metadata = {"name": CLAIM[2], "namespace": NAMESPACE}
    theirs = {"meta.helm.sh/release-name": "theirs"}
    for annotations in ({}, {"annotations": theirs}):
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        cluster.peer.put(claim | {"metadata": metadata | annotations})
        cluster.upgrade(values=POSTGRESQL)

    assert "PersistentVolumeClaim" not in cluster.helm("get", "manifest", RELEASE)


def test_two_stores_never_stand_behind_one_service(cluster):
    """Whatever helm left behind: the Service leads to pods of the release's own store only."""
    cluster.upgrade()
    (old,) = cluster.peer.of_kind("StatefulSet")
    cluster.upgrade(*SWITCHED)
    cluster.peer.put(old)  # as a failed rollback does: it is nobody's now
    selector = cluster.peer.objects[SERVICE]["spec"]["selector"].items()

    assert {
        each["kind"]: selector <= each["spec"]["template"]["metadata"]["labels"].items()
        for each in cluster.peer.of_kind(*WORKLOADS)
    } == {"StatefulSet": False, "Deployment": True}


PROFILE = {"app.kubernetes.io/part-of": "kubeflow-profile"}
SELECTING = """
kubeflow:
  rbac:
    create: true
    namespaces: [cara]
    namespaceSelector: {matchLabels: {app.kubernetes.io/part-of: kubeflow-profile, team: ml}}
"""


def namespace(name: str, going: str | None = None, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": PROFILE | labels}
    if going is not None:
        metadata |= {"deletionTimestamp": going}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def test_labelled_namespaces_get_a_role_each(cluster):
    """Those with all the labels; a new one with the next upgrade, an old one loses its own."""
    for each in (namespace("anna", team="ml"), namespace("bela", team="ml"), namespace("dora")):
        cluster.peer.put(each)
    cluster.peer.put(namespace("eve", going="2026-11-30T12:00:00Z", team="ml"))
    cluster.upgrade(values=SELECTING)
    first = bound(cluster)
    cluster.peer.put(namespace("dora", team="ml"))
    cluster.peer.put(namespace("bela"))
    cluster.upgrade("--reuse-values")

    assert first == ["anna", "bela", "cara"]
    assert bound(cluster) == ["anna", "cara", "dora"]


def bound(cluster: Cluster) -> list[str]:
    """The namespaces in which the service account has a Role and a RoleBinding to it."""
    roles = [each["metadata"]["namespace"] for each in cluster.peer.of_kind("Role")]
    bindings = [each["metadata"]["namespace"] for each in cluster.peer.of_kind("RoleBinding")]
    assert sorted(roles) == sorted(bindings)
    return sorted(roles)


@pytest.mark.parametrize("name", CASES)
def test_a_cluster_changes_nothing_that_no_value_asks_for(name, peer, tmp_path):
    """With a cluster to be asked the same objects are rendered as without one, as by Argo CD."""
    peer.put(namespace("anna"))
    said = run_helm(
        *("helm4", "template", RELEASE, CHART, "-n", NAMESPACE, "--dry-run=server"),
        "--disable-openapi-validation",
        *("-f", CHART / "ci" / f"{name}-values.yaml"),
        kubeconfig=peer.kubeconfig(tmp_path),
    )
    assert said.code == 0, said.err

    assert sorted(objects(said.out), key=json.dumps) == sorted(case("helm4", name), key=json.dumps)
