"""A Kubernetes API on loopback as far as helm goes: it keeps objects and runs none of them.

Not an API server: no schema, no defaults, no controllers. A patch merges mappings and takes lists
as they are; what is asked of it are names, kinds, labels and who is still there.
"""

import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.peers.kubernetes_wire import read_body
from tests.peers.loopback import Loopback

Object = dict[str, Any]
Place = tuple[str, str | None, str]
"""Resource, namespace, name."""

RESOURCES = {
    "v1": {
        "namespaces": "Namespace",
        "configmaps": "ConfigMap",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "rbac.authorization.k8s.io/v1": {"roles": "Role", "rolebindings": "RoleBinding"},
    "monitoring.coreos.com/v1": {
        "servicemonitors": "ServiceMonitor",
        "prometheusrules": "PrometheusRule",
    },
    "monitoring.coreos.com/v1alpha1": {"alertmanagerconfigs": "AlertmanagerConfig"},
    "gateway.networking.k8s.io/v1": {"httproutes": "HTTPRoute"},
}
PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/v[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?"
)
VERBS = ["create", "delete", "get", "list", "patch", "update"]


class KubernetesPeer(Loopback):
    """The server, to be used with `with`.

    Attributes:
        objects: What it keeps, by place.

    """

    def __init__(self) -> None:
        self.objects: dict[Place, Object] = {}
        self.lock = Lock()
        self._made = 0
        super().__init__(_handler(self), waits=False)

    def kubeconfig(self, folder: Path) -> Path:
        """Write the file that leads here."""
        file = folder / "kubeconfig"
        context = {"name": "peer", "context": {"cluster": "peer", "user": "nobody"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "peer",
            "contexts": [context],
            "clusters": [{"name": "peer", "cluster": {"server": self.url}}],
            "users": [{"name": "nobody", "user": {}}],
        }
        file.write_text(yaml.safe_dump(config))
        return file

    def put(self, given: Object) -> Object:
        """Make an object, or put it in the place of another."""
        kinds = RESOURCES[given["apiVersion"]]
        (resource,) = [name for name, kind in kinds.items() if kind == given["kind"]]
        metadata = given["metadata"]
        return self.keep((resource, metadata.get("namespace"), metadata["name"]), given)

    def of_kind(self, *kinds: str) -> list[Object]:
        """Those of some kinds."""
        return [each for each in self.objects.values() if each["kind"] in kinds]

    def keep(self, place: Place, given: Object) -> Object:
        """Keep an object; what it is known by stays what it was."""
        before = self.objects.get(place)
        self._made += 1
        uid = before["metadata"]["uid"] if before else f"uid-{self._made}"
        own = {"uid": uid, "resourceVersion": str(self._made)}
        self.objects[place] = given | {"metadata": given["metadata"] | own}
        return self.objects[place]

    def answer(self, method: str, target: str, body: Object) -> tuple[int, Object]:
        """Do what is asked; status and content."""
        url = urlsplit(target)
        if method == "GET" and (found := discovered(url.path)) is not None:
            return 200, found
        match = PATH.fullmatch(url.path)
        if match is None:
            return status(404, f"nothing is at {url.path}")
        with self.lock:
            return self._answer(method, match.groupdict(), parse_qs(url.query), body)

    def _answer(
        self,
        method: str,
        at: Mapping[str, Any],
        query: Mapping[str, list[str]],
        body: Object,
    ) -> tuple[int, Object]:
        resource, namespace, name = at["resource"], at["namespace"], at["name"]
        if method == "GET" and name is None:
            return 200, self._listed(at["core"] or at["group"], resource, namespace, query)
        if method == "POST":
            name = body["metadata"]["name"]
        place = (resource, namespace, name)
        before = self.objects.get(place)
        if method == "POST" and before is not None:
            return status(409, f'{resource} "{name}" already exists', "AlreadyExists")
        applied = method == "PATCH" and "fieldManager" in query and "kind" in body
        if before is None and method != "POST" and not applied:
            return status(404, f'{resource} "{name}" not found', "NotFound")
        if method == "DELETE":
            del self.objects[place]
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if method == "PATCH" and not applied:
            body = merged(before, body)
        if method == "GET":
            return 200, before or {}
        return (201 if method == "POST" else 200), self.keep(place, body)

    def _listed(
        self, version: str, resource: str, namespace: str | None, query: Mapping[str, list[str]]
    ) -> Object:
        wanted = dict(
            term.split("=", 1)
            for selector in query.get("labelSelector", [])
            for term in selector.replace("==", "=").split(",")
        )
        items = [
            each
            for (of, within, _), each in sorted(self.objects.items(), key=str)
            if of == resource
            and namespace in {None, within}
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]
        kind = f"{RESOURCES[version][resource]}List"
        return {"kind": kind, "apiVersion": version, "metadata": {}, "items": items}


def merged(old: Any, new: Any) -> Any:
    """Merge a patch: mappings key by key; a list as it is, directives for its order left out."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    plain = {key: value for key, value in new.items() if not key.startswith("$")}
    kept = {key: value for key, value in old.items() if plain.get(key, value) is not None}
    return kept | {
        key: merged(old.get(key), value) for key, value in plain.items() if value is not None
    }


def status(code: int, message: str, reason: str = "NotFound") -> tuple[int, Object]:
    """A refusal as Kubernetes words it."""
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return code, told | {"message": message, "reason": reason, "code": code}


def discovered(path: str) -> Object | None:
    """What the server says that it has."""
    groups = [version for version in RESOURCES if "/" in version]
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(groups)}
    version = path.removeprefix("/api/").removeprefix("/apis/")
    kinds = RESOURCES.get(version)
    if kinds is None or path not in {f"/api/{version}", f"/apis/{version}"}:
        return None
    resources = [
        {
            "name": name,
            "singularName": kind.lower(),
            "namespaced": name != "namespaces",
            "kind": kind,
            "verbs": VERBS,
        }
        for name, kind in kinds.items()
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": resources,
    }


def _groups(versions: list[str]) -> list[Object]:
    names = {each.split("/")[0] for each in versions}
    found = []
    for name in sorted(names):
        served = [
            {"groupVersion": each, "version": each.split("/")[1]}
            for each in versions
            if each.split("/")[0] == name
        ]
        found.append({"name": name, "versions": served, "preferredVersion": served[0]})
    return found


def _handler(peer: KubernetesPeer) -> type[BaseHTTPRequestHandler]:
    """Conversations with this peer."""
    return type("Handler", (_Conversation,), {"peer": peer})


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    peer: KubernetesPeer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        body = {} if self.command == "DELETE" else read_body(raw)
        code, content = self.peer.answer(self.command, self.path, body)
        said = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  the names http.server looks for
