"""Alerts are walked down the tree as Alertmanager walks them."""

import shutil
import subprocess

import pytest
import yaml

from receiver.lint.alertmanager_files import read_alertmanager
from receiver.lint.documents import read_file
from receiver.lint.findings import CheckId
from receiver.lint.label_sets import LabelSet
from receiver.lint.routing import arrivals
from tests.lint.worlds import ALERTMANAGER, linted, told

HEAD = "receivers: [{name: a}, {name: b}, {name: retrain, webhook_configs: [{url: 'http://h/webhook'}]}]\n"
OURS = "matchers: ['alertname=~\"HighModelMAE|LowModelR2\"'], receiver: retrain"


def tree(text, default="a"):
    return f"{HEAD}route:\n  receiver: {default}\n  routes:\n" + "".join(
        f"    - {{{line}}}\n" for line in text
    )


def rules(*labels, expr="model_mae_score > 0.45"):
    return yaml.safe_dump(
        {
            "groups": [
                {
                    "name": "g",
                    "rules": [
                        {
                            "alert": "HighModelMAE",
                            "expr": expr,
                            "labels": dict(each.split("=") for each in labels),
                            "annotations": {"value": "{{ $value }}"},
                        }
                    ],
                }
            ]
        }
    )


def lost(found):
    ids = {
        CheckId.NO_ALERT_ARRIVES,
        CheckId.ALERT_GOES_ELSEWHERE,
        CheckId.ALERT_MAY_GO_ELSEWHERE,
        CheckId.ROUTE_SHADOWED,
    }
    return sorted({str(each.check) for each in found} & ids)


SURE = ["alert-goes-elsewhere", "no-alert-arrives"]
UNSURE = ["alert-may-go-elsewhere"]


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([OURS], []),
        (["match: {severity: page}, receiver: retrain"], []),
        (["match_re: {severity: 'pa.*'}, receiver: retrain"], []),
        (["matchers: ['severity!=page'], receiver: retrain"], SURE),
        (["matchers: [action=retrain], receiver: retrain"], SURE),
        # A label that series have by themselves, or that nobody sets.
        (["matchers: [namespace=ml], receiver: retrain"], UNSURE),
        (["matchers: ['user_id=~.+'], receiver: retrain"], UNSURE),
        (["matchers: ['user_id=~.*'], receiver: retrain"], []),
        # What stands before it.
        (["match: {severity: page}, receiver: b", OURS], SURE),
        (["match: {severity: page}, receiver: b, continue: true", OURS], []),
        (["match: {severity: info}, receiver: b", OURS], []),
        (["match: {namespace: ml}, receiver: b", OURS], UNSURE),
        (["match: {namespace: ml}, receiver: b, continue: true", OURS], []),
        (["receiver: b", OURS], [*SURE, "route-shadowed"]),
        # Nesting: a child narrows, and its parent takes what no child does.
        ([f"receiver: b, routes: [{{{OURS}}}]"], []),
        ([f"match: {{severity: info}}, receiver: b, routes: [{{{OURS}}}]"], SURE),
        ([f"{OURS}, routes: [{{match: {{severity: page}}, receiver: b}}]"], SURE),
        ([f"{OURS}, routes: [{{match: {{namespace: x}}, receiver: b}}]"], UNSURE),
        ([f"{OURS}, routes: [{{match: {{severity: page}}, receiver: b, continue: true}}]"], SURE),
        ([f"{OURS}, routes: [{{match: {{severity: page}}}}]"], []),
    ],
)
def test_where_an_alert_goes(routes, found, tmp_path):
    """Matchers, `continue`, order and nesting; "may" only where it depends on the series."""
    files = {"alertmanager.yml": tree(routes), "rules.yml": rules("severity=page")}

    assert lost(linted(tmp_path, files)) == sorted(found)


def test_what_is_aggregated_away_is_missing(tmp_path):
    """Whoever asks for it gets nothing, for sure."""
    routes = tree(["matchers: [namespace=ml], receiver: retrain"])
    kept = rules("a=b", expr="max by (namespace, user_id) (m) > 1")
    dropped = rules("a=b", expr="max by (user_id) (m) > 1")

    assert lost(linted(tmp_path, {"alertmanager.yml": routes, "rules.yml": kept})) == UNSURE
    assert lost(linted(tmp_path, {"alertmanager.yml": routes, "rules.yml": dropped})) == SURE


@pytest.mark.parametrize(
    ("matcher", "found"),
    [("job=a", UNSURE), ("job=~a|b|c", []), ("job=c", SURE), ("job!=c", [])],
)
def test_a_label_that_is_one_of_a_few(matcher, found, tmp_path):
    """What an expression lists is known: all of it, some of it or none of it is taken."""
    files = {
        "alertmanager.yml": tree([f'matchers: ["{matcher}"], receiver: retrain']),
        "rules.yml": rules("a=b", expr='m{job=~"a|b"} > 1'),
    }

    assert lost(linted(tmp_path, files)) == found


def test_what_another_route_took_is_not_left_to_the_parent(tmp_path):
    """`continue` lets siblings see it; the parent is told only what no child took."""
    routes = [
        "match: {namespace: x}, receiver: b, continue: true",
        "match: {job: y}, receiver: retrain",
    ]
    files = {"alertmanager.yml": tree(routes, default="retrain"), "rules.yml": rules("a=b")}

    assert lost(linted(tmp_path, files)) == UNSURE


def test_the_documented_route_needs_its_label(tmp_path):
    """Rules without `action`, as many teams have them, under the route of docs/operations.md."""
    route = ALERTMANAGER.replace("receiver: retrain\n", "receiver: nobody\n", 1).replace(
        "  group_by",
        "  routes:\n    - {matchers: ['action=\"retrain\"'], receiver: retrain}\n  group_by",
    )
    found = linted(tmp_path, {"alertmanager.yml": route, "rules.yml": rules("severity=warning")})

    assert [each[:2] for each in told(found)] == [
        ("alert-goes-elsewhere", 4),
        ("no-alert-arrives", 4),
    ]
    assert 'write alertname="HighModelMAE" here, or add action: retrain' in found[0].cure


def test_an_operators_matcher_is_told_as_such(tmp_path):
    """OnNamespace drops the alerts of every other namespace, and of none."""
    routes = tree(["matchers: ['namespace=\"ml\"'], receiver: ml/retrain/retrain"])
    routes = routes.replace("name: retrain", "name: ml/retrain/retrain")
    found = linted(
        tmp_path,
        {"alertmanager.yml": routes, "rules.yml": rules("a=b", expr="sum by (user_id) (m) > 1")},
    )

    assert "alertmanagerConfigMatcherStrategy" in found[0].cure


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")
@pytest.mark.parametrize(
    "routes",
    [
        [OURS],
        ["match: {severity: page}, receiver: b, continue: true", OURS, "receiver: a"],
        [f"{OURS}, routes: [{{match: {{severity: page}}, receiver: b, continue: true}}]"],
        [f"match: {{severity: page}}, routes: [{{{OURS}, continue: true}}, {{receiver: a}}]"],
        ["match_re: {severity: 'p.*|x'}, routes: [{match: {severity: x}, receiver: b}]"],
    ],
)
def test_alertmanager_says_the_same(routes, tmp_path):
    """The walk ends at the receivers that amtool names."""
    (tmp_path / "a.yml").write_text(tree(routes, default="a"))
    labels = {"alertname": "HighModelMAE", "severity": "page"}
    said = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={tmp_path / 'a.yml'}"]
        + [f"{name}={value}" for name, value in labels.items()],
        capture_output=True,
        text=True,
        check=True,
    )

    file = read_alertmanager(read_file(tmp_path / "a.yml"))
    known = LabelSet({name: frozenset({value}) for name, value in labels.items()})
    assert file is not None
    found = arrivals(file.route, known)
    assert [each.route.receiver for each in found] == said.stdout.strip().split(",")


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        (
            ["match: {severity: page}, receiver: b", OURS],
            "this earlier route, without continue, takes all",
        ),
        (
            ["match: {namespace: x}, receiver: b", OURS],
            'this earlier route, without continue, takes some of them, if namespace="x"',
        ),
        (
            [f"{OURS}, routes: [{{match: {{severity: page}}, receiver: b}}]"],
            "this route below ours takes all",
        ),
        (
            [f"{OURS}, routes: [{{match: {{namespace: x}}, receiver: b}}]"],
            'this route below ours takes some of them, if namespace="x"',
        ),
        (["matchers: [severity=info], receiver: retrain"], "does not match severity='page'"),
        (
            ["matchers: [action=x], receiver: retrain"],
            "asks for a label that the rule does not set",
        ),
        (["matchers: [job=x], receiver: retrain"], "depends on the series, not on the rule"),
    ],
)
def test_the_reason_is_told(routes, said, tmp_path):
    """Which matcher or route it is, and what stands against it."""
    files = {"alertmanager.yml": tree(routes), "rules.yml": rules("severity=page")}
    found = [each.said for each in linted(tmp_path, files) if "elsewhere" in each.check]

    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("routes", "cure"),
    [
        (
            ["matchers: [action=x], receiver: retrain"],
            "match what the rules set, such as the alertname, or set these labels in the rules",
        ),
        (
            ["match: {severity: page}, receiver: b", OURS],
            "write continue: true in what takes them (line 5), or move our route before it",
        ),
        (
            [f"{OURS}, routes: [{{match: {{severity: page}}, receiver: b}}]"],
            "write continue: true in what takes them (line 5), and a route behind it that leads "
            "to us",
        ),
    ],
)
def test_the_cure_is_where_the_fault_is(routes, cure, tmp_path):
    """Nobody is sent to mend matchers that are right."""
    files = {"alertmanager.yml": tree(routes), "rules.yml": rules("severity=page")}
    (found,) = [each for each in linted(tmp_path, files) if each.check is CheckId.NO_ALERT_ARRIVES]

    assert found.cure == cure


def test_a_label_that_the_rule_sets_otherwise_is_not_added(tmp_path):
    """`severity` is there already: it can only be changed."""
    files = {
        "alertmanager.yml": tree(["matchers: [severity=info], receiver: retrain"]),
        "rules.yml": rules("severity=page"),
    }
    (found,) = [each for each in linted(tmp_path, files) if "elsewhere" in each.check]

    assert "or let the rule set it" in found.cure


@pytest.mark.parametrize(
    ("routes", "severity"),
    [
        (["match: {service: shop}, receiver: b", OURS], "note"),
        (["match: {user_id: a}, receiver: b", OURS], "warning"),
        (["match: {job: a}, receiver: b", OURS], "warning"),
        ([f"{OURS}, routes: [{{match: {{service: shop}}, receiver: b}}]"], "warning"),
        (["matchers: [service=shop], receiver: retrain"], "warning"),
    ],
)
def test_how_likely_it_is(routes, severity, tmp_path):
    """A route of others for a label of which neither rule nor policy speaks is hardly for it."""
    files = {
        "alertmanager.yml": tree(routes),
        "rules.yml": rules("a=b", expr='model_mae_score{job=~"a.*"} > 0.45'),
    }
    (found,) = [each for each in linted(tmp_path, files) if "elsewhere" in each.check]

    assert found.severity == severity
