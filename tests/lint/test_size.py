"""A large installation is linted in seconds."""

import time

from receiver.lint.findings import CheckId
from tests.lint.worlds import RECEIVER, linted

RULES, ROUTES = 10_000, 500

BUDGET = 20
"""Processor seconds; it takes 4 on an idle machine, 60 if the routes are tried one by one."""

OURS = "    - {matchers: ['alertname=~\"Model.*\"', action=retrain], receiver: retrain}\n"


def route(number: int) -> str:
    matchers = (
        f'team="team{number}"',
        f'team=~"team{number}|other{number}"',
        f'alertname=~"Other{number}.*"',
        f'severity="page", team!~"team{number}.*"',
        f'namespace="ns{number}", severity="info"',
    )[number % 5]
    return f"    - {{matchers: ['{{{matchers}}}'], receiver: nobody, continue: true}}\n"


def rule(number: int) -> str:
    name = f"{'Model' if number % 10 == 0 else 'Disk'}{number}Bad"
    return (
        f"  - alert: {name}\n"
        f'    expr: max by (namespace, user_id) (rate(m{number}{{env=~"a|b"}}[5m])) > 0.5\n'
        f"    labels: {{action: retrain, severity: warning, team: team{number % 700}}}\n"
        "    annotations: {value: '{{ $value }}'}\n"
    )


def test_ten_thousand_rules_and_five_hundred_routes(tmp_path):
    """Of the routes only those are asked that a label's value leads to."""
    alertmanager = (
        "receivers:\n  - name: nobody\n"
        "  - {name: retrain, webhook_configs: [{url: 'http://retrain-receiver/webhook'}]}\n"
        "route:\n  receiver: nobody\n  group_by: [user_id]\n  routes:\n"
    )
    files = {
        "receiver.yaml": RECEIVER.replace("HighModelMAE|LowModelR2", "Model.*"),
        "alertmanager.yml": alertmanager + "".join(map(route, range(ROUTES))) + OURS,
        "rules.yml": "groups:\n- name: g\n  rules:\n" + "".join(map(rule, range(RULES))),
    }
    began = time.process_time()

    found = linted(tmp_path, files)

    assert time.process_time() - began < BUDGET
    assert {each.check for each in found} <= {CheckId.ALERT_WITHOUT_POLICY}
