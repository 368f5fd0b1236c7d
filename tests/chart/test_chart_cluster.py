"""The chart on a real cluster: KUBECONFIG names one on which a namespace may be made.

The image must be there (kind load docker-image …): RETRAIN_IMAGE names it, and
RETRAIN_POSTGRES_IMAGE one of PostgreSQL.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, HELMS, ROOT, tool

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not os.environ.get("KUBECONFIG"), reason="KUBECONFIG names no cluster to install on"
    ),
]

RELEASE = "retrain"
NAME = "retrain-retrain-receiver"
POSTGRES_IMAGE = os.environ.get("RETRAIN_POSTGRES_IMAGE", "docker.io/library/postgres:17")
WAIT = ("--wait", "--timeout", "5m")
POST = """
import sys, urllib.request
token = open("/etc/retrain-receiver/secrets/auth/webhook").read().strip()
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/webhook", sys.stdin.buffer.read(), headers)
print(urllib.request.urlopen(request).status)
"""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 999,
    "fsGroup": 999,
    "seccompProfile": {"type": "RuntimeDefault"},
}
LOCKED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Cluster:
    """One namespace, which admits restricted pods only, and one of the helms."""

    def __init__(self, which: str, namespace: str) -> None:
        self._helm, self._kubectl, self.namespace = tool(which), tool("kubectl"), namespace

    def helm(self, *arguments: str | Path) -> str:
        """Run helm; it must succeed."""
        return self._run(self._helm, "-n", self.namespace, *arguments)

    def upgrade(self, *arguments: str | Path) -> None:
        """Install or upgrade, wait until it is ready, and let it test itself."""
        self.helm("upgrade", "--install", RELEASE, CHART, *image(), *arguments, *WAIT)
        self.helm("test", RELEASE, "--timeout", "3m")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl; it must succeed."""
        return self._run(self._kubectl, "-n", self.namespace, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """Read an object or a list."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make objects."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def post(self, workload: str, payload: str) -> None:
        """Send a notification from inside the pod."""
        body = (ROOT / "tests" / "payloads" / payload).read_text()
        told = self.kubectl("exec", "-i", workload, "--", "python", "-c", POST, stdin=body)
        assert told.strip() == "200"

    def decisions(self, workload: str) -> list[dict[str, Any]]:
        """What the receiver has decided, asked as NOTES say."""
        command = ("retrain-receiver", "decisions", "-o", "json")
        return list(json.loads(self.kubectl("exec", workload, "--", *command))["decisions"])

    def _run(self, *command: str | Path, stdin: str | None = None) -> str:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def image() -> list[str]:
    """Values for an image that was loaded into the cluster."""
    name = os.environ.get("RETRAIN_IMAGE")
    if not name:
        return []
    repository, _, tag = name.rpartition(":")
    return ["--set", f"image.repository={repository}", "--set-string", f"image.tag={tag}"]


def fresh_namespace(which: str) -> str:
    """A name that no test had before, in whatever process: the last one's may still be going."""
    return f"retrain-test-{which}-{secrets.token_hex(4)}"


@pytest.fixture(params=HELMS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A fresh namespace with tokens, gone afterwards; nothing is shared with another test."""
    made = Cluster(request.param, fresh_namespace(request.param))
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tokens"},
        "stringData": {role: f"{role}-{'x' * 32}" for role in ("webhook", "operator", "reader")},
    }
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": made.namespace, "labels": labels},
    }
    try:
        made.apply(namespace)
        made.apply(secret)
        yield made
    finally:
        made.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")


def test_zero_values_come_up_in_a_restricted_namespace(cluster):
    """Ready, closed, and exactly what `helm template` shows: Argo CD would see no drift."""
    cluster.upgrade()
    manifest = cluster.helm("template", RELEASE, CHART, "--no-hooks", *image())

    assert cluster.get("statefulset", NAME)["status"]["readyReplicas"] == 1
    assert cluster.kubectl("diff", "-f", "-", stdin=manifest) == ""


def test_upgrade_rollback_and_a_reinstallation_keep_what_was_decided(cluster):
    """The claim is there before, meanwhile and after; every version of the pod reads it."""
    workload = f"statefulset/{NAME}"
    cluster.upgrade("--set", "auth.existingSecret=tokens")
    cluster.post(workload, "01_single_firing_by_alertname.json")
    before = cluster.decisions(workload)

    cluster.upgrade("--reset-then-reuse-values", "--set", "config.server.max_body=1MiB")
    assert cluster.decisions(workload) == before
    cluster.helm("rollback", RELEASE, "1", *WAIT)
    assert cluster.decisions(workload) == before
    claim = cluster.get("pvc", f"{NAME}-data")["metadata"]["uid"]
    cluster.helm("uninstall", RELEASE, *WAIT)
    assert cluster.get("pvc", f"{NAME}-data")["metadata"]["uid"] == claim
    cluster.upgrade("--set", "auth.existingSecret=tokens")

    assert before
    assert cluster.decisions(workload) == before


def test_sqlite_becomes_postgresql_and_back(cluster):
    """By one value; the claim stays, the new store starts empty."""
    cluster.apply(*postgresql())
    cluster.kubectl("rollout", "status", "deployment/postgres", "--timeout", "5m")
    cluster.upgrade("--set", "auth.existingSecret=tokens")
    cluster.post(f"statefulset/{NAME}", "01_single_firing_by_alertname.json")
    before = cluster.decisions(f"statefulset/{NAME}")

    cluster.upgrade(
        *("--reset-then-reuse-values", "--set", "database.type=postgresql"),
        *("--set", "database.existingSecret=postgres", "--set", "replicaCount=2"),
    )
    assert cluster.get("deployment", NAME)["status"]["readyReplicas"] == 2
    assert cluster.get("pdb", NAME)
    assert cluster.decisions(f"deployment/{NAME}") == []
    cluster.helm("rollback", RELEASE, "1", *WAIT)

    assert cluster.decisions(f"statefulset/{NAME}") == before


def postgresql() -> list[dict[str, Any]]:
    """A database for one test."""
    labels = {"app": "postgres"}
    container = {
        "name": "postgres",
        "image": POSTGRES_IMAGE,
        "env": [
            {"name": "POSTGRES_PASSWORD", "value": "retrain"},
            {"name": "PGDATA", "value": "/data/db"},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--encoding=UTF8"},
        ],
        "ports": [{"containerPort": 5432}],
        "securityContext": LOCKED,
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}},
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "run", "mountPath": "/var/run/postgresql"},
        ],
    }
    pod = {
        "securityContext": RESTRICTED,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "run", "emptyDir": {}}],
    }
    url = "postgresql+psycopg://postgres:retrain@postgres/postgres"
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "postgres"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "postgres"},
            "spec": {"selector": labels, "ports": [{"port": 5432}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "postgres"},
            "stringData": {"url": url},
        },
    ]
