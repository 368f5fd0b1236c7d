"""Compares objects with their models; runs in the environment of requirements/chart.txt.

Reads a list of objects as JSON from standard input, writes the list of complaints.
"""

import functools
import json
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate.utils as kubernetes
from cloudcoil.models.prometheus_operator import v1, v1alpha1

VERSIONS = tuple(f"1.{minor}" for minor in range(25, 38))
OPERATOR = {
    ("monitoring.coreos.com/v1", "PodMonitor"): v1.PodMonitor,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): v1.ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): v1.PrometheusRule,
    ("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig"): v1alpha1.AlertmanagerConfig,
}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


TEXT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 65535}
HOST = {"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[-a-z0-9]+)*$"}
# What Gateway API v1 says of the fields that we use; no package carries its strict schema.
MATCH = closed(
    ["path"],
    path=closed(
        ["type", "value"],
        type={"enum": ["Exact", "PathPrefix", "RegularExpression"]},
        value={"type": "string", "pattern": "^/"},
    ),
)
HTTP_ROUTE = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "gateway.networking.k8s.io/v1"},
    kind={"const": "HTTPRoute"},
    metadata={"type": "object"},
    spec=closed(
        ["parentRefs", "hostnames", "rules"],
        parentRefs={
            "type": "array",
            "minItems": 1,
            "items": closed(["name"], name=TEXT, namespace=TEXT, sectionName=TEXT, port=NUMBER),
        },
        hostnames={"type": "array", "minItems": 1, "maxItems": 16, "items": HOST},
        rules={
            "type": "array",
            "minItems": 1,
            "maxItems": 16,
            "items": closed(
                ["matches", "backendRefs"],
                # More than 8 were refused before Gateway API 1.1.
                matches={"type": "array", "maxItems": 8, "items": MATCH},
                backendRefs={
                    "type": "array",
                    "items": closed(["name", "port"], name=TEXT, port=NUMBER),
                },
            ),
        },
    ),
)

TEXTS = {"type": "array", "minItems": 1, "items": TEXT}
# What Istio 1.22 says of the fields that the examples use.
ISTIO = {
    "AuthorizationPolicy": closed(
        ["selector", "action", "rules"],
        selector=closed(["matchLabels"], matchLabels={"type": "object"}),
        action={"enum": ["ALLOW", "DENY"]},
        rules={
            "type": "array",
            "items": closed(
                ["from"],
                **{
                    "from": {
                        "type": "array",
                        "items": closed(["source"], source=closed([], principals=TEXTS)),
                    }
                },
                to={
                    "type": "array",
                    "items": closed(
                        ["operation"], operation=closed([], methods=TEXTS, paths=TEXTS)
                    ),
                },
            ),
        },
    ),
    "VirtualService": closed(
        ["hosts", "http"],
        exportTo=TEXTS,
        hosts=TEXTS,
        http={
            "type": "array",
            "items": closed(
                ["route"],
                route={
                    "type": "array",
                    "items": closed(
                        ["destination"],
                        destination=closed(
                            ["host"], host=TEXT, port=closed(["number"], number=NUMBER)
                        ),
                    ),
                },
                retries=closed(["attempts"], attempts={"type": "integer", "minimum": 0}),
            ),
        },
    ),
}
OURS = {"HTTPRoute": HTTP_ROUTE} | {
    kind: {"properties": {"apiVersion": {"enum": [f"{group}.istio.io/v1"]}, "spec": ISTIO[kind]}}
    for kind, group in (("AuthorizationPolicy", "security"), ("VirtualService", "networking"))
}


def complaints(thing: dict[str, Any]) -> Iterator[str]:
    """Say what is wrong with one object."""
    model = OPERATOR.get((thing["apiVersion"], thing["kind"]))
    if model is not None:
        try:
            made = model.model_validate(thing)
        except ValueError as error:
            yield str(error)
        else:
            # Unknown fields are dropped without a word: what comes back must be what went in.
            back = made.model_dump(by_alias=True, exclude_unset=True, mode="json")
            yield from differences(thing, back)
    elif thing["kind"] in OURS:
        for error in jsonschema.Draft7Validator(OURS[thing["kind"]]).iter_errors(thing):
            yield f"{error.json_path}: {error.message}"
    else:
        for version in VERSIONS:
            try:
                kubernetes.validate(thing, version, strict=True)
            except jsonschema.ValidationError as error:
                place = ".".join(map(str, error.path))
                yield f"Kubernetes {version}: {place}: {error.message}"
            except kubernetes.SchemaNotFoundError as error:
                yield error.message


def differences(one: Any, two: Any, place: str = "") -> Iterator[str]:
    """Where two trees differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            if key in one and key in two:
                yield from differences(one[key], two[key], f"{place}.{key}")
            else:
                yield f"{place}.{key} is no field of this kind"
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for number, (left, right) in enumerate(zip(one, two, strict=True)):
            yield from differences(left, right, f"{place}[{number}]")
    elif one != two:
        yield f"{place}: {one!r} became {two!r}"


def main() -> None:
    """Check all objects."""
    kubernetes.schema_contents = functools.cache(kubernetes.schema_contents)
    things = json.load(sys.stdin)
    json.dump(
        [
            f"{each['kind']}/{each['metadata']['name']}: {complaint}"
            for each in things
            for complaint in complaints(each)
        ],
        sys.stdout,
    )


if __name__ == "__main__":
    main()
