"""What is found in rules that a policy takes, and what is not."""

import pytest

from receiver.lint.gathering import Answered
from tests.lint.worlds import RECEIVER, linted

EXPR = "max by (user_id) (m) > 1"


def rule(expr=EXPR, **more):
    more = {"annotations": '{value: "{{ $value }}"}', **more}
    return "groups:\n- name: g\n  rules:\n  - alert: HighModelMAE\n" + "".join(
        f"    {name}: {value}\n" for name, value in {"expr": expr, **more}.items() if value
    )


def checks(found):
    return [f"{each.check} {each.severity}" for each in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (rule(), []),
        (rule("m > 1"), []),
        (rule("sum without (pod) (m) > 1"), []),
        (rule("{{ .Values.expr }}"), []),
        (rule("'{{ .Values.expr }}'"), []),
        # Labels that name the model.
        (rule("max(m) > 1"), ["identity-missing error"]),
        (rule("sum without (user_id) (m) > 1"), ["identity-missing error"]),
        (rule("max(m) > 1", labels="{user_id: a}"), []),
        (rule("max(m) > 1", labels='{user_id: "{{ $labels.x }}"}'), []),
        (rule('m{user_id="a"} > 1'), []),
        (rule("'m{user_id=\"A B\"} > 1'"), ["identity-refused error"]),
        (rule("'m{user_id=~\"A|b\"} > 1'"), []),
        (rule("m > 1", labels='{user_id: ""}'), ["identity-missing error"]),
        # The value.
        (rule(annotations=""), ["value-missing warning"]),
        (rule(annotations='{value: "{{ .Value }}"}'), []),
        (rule(annotations="{value: '{{ printf \"%.2f\" $value }}'}"), []),
        (rule(annotations="{value: '{{ $value | humanize }}'}"), ["value-for-people warning"]),
        (rule(annotations="{value: '{{ $value }}%'}"), ["value-for-people warning"]),
        (rule(annotations="{value: '{{ $value }} points'}"), ["value-for-people warning"]),
        (rule(annotations='{value: "0.5"}'), []),
        (
            rule(annotations="{value: '{{ with query \"x\" }}{{ . | first | value }}{{ end }}'}"),
            [],
        ),
        # Labels that change by themselves.
        (rule(labels='{score: "{{ $value }}"}'), ["label-from-value error"]),
        (
            rule(labels='{severity: "{{ if gt $value 0.9 }}page{{ else }}warn{{ end }}"}'),
            ["label-from-value warning"],
        ),
        (rule(labels='{team: "{{ $labels.team }}"}'), []),
        # 1h of settle: 55m and group_interval.
        (rule(keep_firing_for="55m"), []),
        (rule(keep_firing_for="56m"), ["settle-too-short warning"]),
        (rule("max by (user_id) (max_over_time(m[25m])) > 1", keep_firing_for="30m"), []),
        (
            rule("max by (user_id) (max_over_time(m[26m])) > 1", keep_firing_for="30m"),
            ["settle-too-short warning"],
        ),
    ],
)
def test_rules(text, found, tmp_path):
    """Labels, value and times."""
    assert checks(linted(tmp_path, {"rules.yml": text})) == found


def test_rules_of_others_are_left_alone(tmp_path):
    """No policy takes them, so nothing of ours depends on them."""
    other = rule("max(m)", annotations="", labels='{a: "{{ $value }}"}').replace("High", "Their")
    text = rule() + other.removeprefix("groups:\n")

    assert {each.check for each in linted(tmp_path, {"rules.yml": text})} == {
        "alert-without-policy"
    }


def test_no_number_is_needed_where_none_is_sent(tmp_path):
    """A target without {value} needs no annotation."""
    config = RECEIVER.replace(', drift_score: "{value}"', "")
    files = {"receiver.yaml": config, "rules.yml": rule(annotations="")}

    assert checks(linted(tmp_path, files)) == []


def test_the_number_may_be_in_another_annotation_or_come_from_prometheus(tmp_path):
    """What a policy names is looked for, and what Prometheus is asked for is not missed."""
    named = RECEIVER + "    value_annotation: mae\n"
    asked = RECEIVER + "sources: {prometheus: {url: http://prometheus:9090}}\n"
    elsewhere = rule(annotations="{mae: '{{ $value }}'}")

    def found(config, rules):
        return checks(linted(tmp_path, {"receiver.yaml": config, "rules.yml": rules}))

    assert found(named, elsewhere) == []
    assert found(named, rule()) == ["value-missing warning"]
    assert found(named, rule(annotations="{mae: '{{ $value }}%'}")) == ["value-for-people warning"]
    assert found(asked, rule(annotations="")) == []


def test_what_prometheus_itself_says_counts_more(tmp_path):
    """A label that no series has names no model; one that series have is believed."""

    def asked(*names):
        answer = Answered(
            "http://prometheus:9090",
            "global: {external_labels: {cluster: a}}",
            {
                "groups": [
                    {
                        "name": "g",
                        "rules": [
                            {
                                "type": "alerting",
                                "name": "HighModelMAE",
                                "query": "m > 1",
                                "keepFiringFor": 7200,
                                "annotations": {"value": "{{ $value }}"},
                            },
                            {"type": "recording", "name": "m", "query": "x"},
                        ],
                    }
                ]
            },
            frozenset(names),
        )
        return linted(tmp_path, {"rules.yml": ""}, prometheus=answer)

    assert checks(asked("user_id")) == ["settle-too-short warning"]
    found = asked("pod")
    assert checks(found) == ["settle-too-short warning", "identity-missing warning"]
    assert (
        str(found[0].place) == "http://prometheus:9090/api/v1/rules (group g, rule HighModelMAE)"
    )


RELABEL = "alerting:\n  alert_relabel_configs:\n"


@pytest.mark.parametrize(
    ("prometheus", "found"),
    [
        (RELABEL + "  - {action: labeldrop, regex: user}\n", []),
        (RELABEL + "  - {action: labelkeep, regex: alertname}\n", ["identity-relabelled error"]),
        (RELABEL + "  - {action: labelkeep, regex: alertname|user_id|severity}\n", []),
        (
            RELABEL + '  - {target_label: user_id, replacement: ""}\n',
            ["identity-relabelled error"],
        ),
        (
            RELABEL + "  - {target_label: user_id, source_labels: [x]}\n",
            ["identity-relabelled error"],
        ),
        (RELABEL + "  - {target_label: user_id, source_labels: [pod], regex: '(.+)-.*'}\n", []),
        (RELABEL + "  - {action: drop, source_labels: [user_id], regex: test}\n", []),
        (
            RELABEL + "  - {action: keep, source_labels: [severity], regex: page}\n",
            ["alert-relabelled-away error"],
        ),
        (
            RELABEL
            + "  - {action: drop, source_labels: [alertname, severity], regex: '.*;warning'}\n",
            ["alert-relabelled-away error"],
        ),
        (
            "alerting: {alertmanagers: [{alert_relabel_configs: [{action: drop, regex: .*}]}]}",
            ["alert-relabelled-away error"],
        ),
        (
            "alerting: {alertmanagers: [{}, {alert_relabel_configs: [{action: drop}]}]}",
            [],
        ),
        ("global: {external_labels: {replica: a, cluster: b}}", ["replica-label warning"]),
        ("global: {external_labels: {cluster: b}}", []),
    ],
)
def test_relabelling(prometheus, found, tmp_path):
    """Each step is followed with what is known of the labels; "may" is no finding."""
    files = {
        "prometheus.yml": prometheus,
        "rules.yml": rule("max by (user_id) (m) > 1", labels="{severity: warning}"),
    }

    assert checks(linted(tmp_path, files)) == found


def test_relabelling_comes_before_the_routes(tmp_path):
    """What Prometheus adds to an alert is what Alertmanager matches."""
    routes = (
        "receivers: [{name: a}, {name: retrain, webhook_configs: [{url: 'http://h/webhook'}]}]\n"
        "route: {receiver: a, group_by: [user_id], "
        "routes: [{match: {action: x}, receiver: retrain}]}"
    )
    added = (
        "  - {target_label: action, replacement: x, source_labels: [severity], regex: warning}\n"
    )
    files = {
        "alertmanager.yml": routes,
        "rules.yml": rule(EXPR, labels="{severity: warning}"),
        "prometheus.yml": RELABEL + added,
    }

    assert checks(linted(tmp_path, files)) == []
    files["prometheus.yml"] = "global: {external_labels: {action: x}}"
    assert checks(linted(tmp_path, files)) == []
    files["prometheus.yml"] = ""
    assert "no-alert-arrives error" in checks(linted(tmp_path, files))


def test_rules_in_a_charts_values(tmp_path):
    """kube-prometheus-stack takes rule files as values."""
    groups = rule("max(m) > 1").replace("\n", "\n    ")
    text = f"additionalPrometheusRulesMap:\n  models:\n    {groups}\n"

    assert checks(linted(tmp_path, {"rules.yml": text})) == ["identity-missing error"]


def test_what_fires_now_says_which_labels_there_are(tmp_path):
    """A route that asks for a label which some series have, but not those of our alerts."""
    routes = (
        "receivers: [{name: a}, {name: retrain, webhook_configs: [{url: 'http://h/webhook'}]}]\n"
        "route: {receiver: a, group_by: [user_id], "
        "routes: [{match: {team: x}, receiver: retrain}]}\n"
    )

    def asked(**labels):
        alerts = [{"state": "firing", "labels": {"alertname": "HighModelMAE", **labels}}]
        told = {"type": "alerting", "name": "HighModelMAE", "query": "m > 1", "alerts": alerts}
        told["annotations"] = {"value": "{{ $value }}"}
        data = {"groups": [{"name": "g", "rules": [told]}]}
        answer = Answered("http://p", "", data, frozenset({"user_id", "team"}))
        files = {"rules.yml": "", "alertmanager.yml": routes}
        return checks(linted(tmp_path, files, prometheus=answer))

    assert asked(user_id="a", team="x") == ["alert-may-go-elsewhere warning"]
    assert asked(user_id="a") == ["alert-goes-elsewhere error", "no-alert-arrives error"]
