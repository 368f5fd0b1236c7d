"""The chart, rendered by helm 3 and 4; what the tests ask of its objects."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "charts" / "retrain-receiver"
TOOLS = ROOT / ".tools"
HELMS = ("helm3", "helm4")
CASES = tuple(
    sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
)
RELEASE, NAMESPACE = "retrain", "models-dev"
WORKLOADS = ("StatefulSet", "Deployment")

Object = dict[str, Any]


def tool(name: str) -> Path:
    """A fetched tool. Without it the test skips, and fails in CI."""
    path = TOOLS / name
    if not path.exists():
        reason = f"there is no .tools/{name}: run `make chart-tools`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would silently drop one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Make the mapping."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        doubled = {key for key in keys if keys.count(key) > 1}
        assert not doubled, f"{sorted(doubled)} twice, line {node.start_mark.line + 1}"
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Said:
    """What helm answered."""

    code: int
    out: str
    err: str


def helm(
    which: str, *arguments: str | Path, values: str | None = None, kubeconfig: Path | None = None
) -> Said:
    """Run one of the helms; `values` is read as one more values file.

    Without `kubeconfig` no cluster is asked: what is rendered may not depend on one.
    """
    command = [tool(which), *arguments, *(["-f", "-"] if values is not None else [])]
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HELM_NO_PLUGINS": "1"}
    if kubeconfig is not None:
        # What the server has is remembered by its address, and a port may be another's next time.
        environment |= {"KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.parent)}
    done = subprocess.run(
        command, input=values, capture_output=True, text=True, env=environment, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def template(
    which: str, *arguments: str | Path, values: str | None = None, chart: Path = CHART
) -> Said:
    """Render, and say how that went."""
    return helm(which, "template", RELEASE, chart, "-n", NAMESPACE, *arguments, values=values)


@cache
def case(which: str, name: str) -> tuple[Object, ...]:
    """The objects of one of `ci/*-values.yaml`."""
    return rendered(which, "-f", CHART / "ci" / f"{name}-values.yaml")


def rendered(which: str, *arguments: str | Path, values: str | None = None) -> tuple[Object, ...]:
    """The objects of some values."""
    said = template(which, *arguments, values=values)
    assert said.code == 0, said.err
    return objects(said.out)


def objects(text: str) -> tuple[Object, ...]:
    """The objects of a manifest."""
    return tuple(each for each in yaml.load_all(text, StrictLoader) if each)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def workload(objects: tuple[Object, ...]) -> Object:
    """The one StatefulSet or Deployment."""
    (found,) = of_kind(objects, *WORKLOADS)
    return found


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Every pod's specification, hooks too, with the name of what makes it."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each["spec"]
        elif "template" in each.get("spec", {}):
            yield name, each["spec"]["template"]["spec"]


def containers(spec: Object) -> list[Object]:
    """All containers of a pod."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def receiver_yaml(objects: tuple[Object, ...]) -> str:
    """The configuration that the chart made."""
    (text,) = [
        each["data"]["receiver.yaml"]
        for each in of_kind(objects, "ConfigMap")
        if "receiver.yaml" in each.get("data", {})
    ]
    return str(text)


def notes(values: str) -> str:
    """What the installer is told, by helm 4: helm 3 asks a cluster even for this."""
    said = helm(
        *("helm4", "install", RELEASE, CHART, "-n", NAMESPACE, "--dry-run=client"), values=values
    )
    assert said.code == 0, said.err
    return said.out.partition("NOTES:\n")[2]
