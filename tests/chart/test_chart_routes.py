"""People reach the page and the API through the chart's Ingress or HTTPRoute, and nothing else."""

import pytest

from tests.chart.rendering import Object, of_kind, rendered
from tests.described import DOCUMENT

VALUES = """
ingress: {enabled: true, hosts: [a.example.com]}
httpRoute: {enabled: true, hostnames: [a.example.com], parentRefs: [{name: gateway}]}
"""

PAGE = ["/", "/ui/page.css", "/ui/models/42", "/ui/backtest"]

INSIDE = ("/webhook", "/metrics", "/-/")
"""For the cluster only: Alertmanager, Prometheus, the kubelet."""

MOST_MATCHES = 8
"""Of one rule: https://gateway-api.sigs.k8s.io/reference/spec/ (HTTPRouteRule, v1)."""


def ingress_paths(objects: tuple[Object, ...]) -> list[tuple[str, bool]]:
    (ingress,) = of_kind(objects, "Ingress")
    paths = ingress["spec"]["rules"][0]["http"]["paths"]
    return [(path["path"], path["pathType"] == "Prefix") for path in paths]


def route_paths(objects: tuple[Object, ...]) -> list[tuple[str, bool]]:
    (route,) = of_kind(objects, "HTTPRoute")
    rules = [[match["path"] for match in rule["matches"]] for rule in route["spec"]["rules"]]
    assert max(map(len, rules)) <= MOST_MATCHES
    return [(path["value"], path["type"] == "PathPrefix") for rule in rules for path in rule]


def reached(path: str, outside: list[tuple[str, bool]]) -> bool:
    """Whether one of them leads to a path; a prefix ends with a whole part of it."""
    return any(
        path == to or (is_prefix and path.startswith(f"{to}/")) for to, is_prefix in outside
    )


@pytest.mark.parametrize("paths", [ingress_paths, route_paths])
def test_the_page_and_the_api_are_reached_from_outside(paths):
    """All of it, also what was added since, and nothing that only the cluster needs."""
    outside = paths(rendered("helm4", values=VALUES))

    for path in [*PAGE, *DOCUMENT["paths"]]:
        assert reached(path, outside) is not path.startswith(INSIDE), path
