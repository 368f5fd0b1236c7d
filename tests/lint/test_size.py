"""A large installation is linted in seconds: what is done grows with it, not with its square."""

import sys
from collections.abc import Callable

import pytest

from receiver.lint.findings import CheckId, Finding
from tests.lint.worlds import RECEIVER, linted

RULES, ROUTES, POLICIES = 400, 80, 40

MOST = 2.5
"""Calls for twice as many rules, routes and policies; it is 4 where each is tried with each."""

BUDGET = 800
"""Calls for each rule, which is 5 seconds for 10,000 rules on a small machine."""

OURS = "    - {matchers: ['alertname=~\"Model.*\"', action=retrain], receiver: retrain}\n"
HEAD = (
    "receivers:\n  - name: nobody\n"
    "  - {name: retrain, webhook_configs: [{url: 'http://retrain-receiver/webhook'}]}\n"
    "route:\n  receiver: nobody\n  group_by: [user_id]\n  routes:\n"
)


def route(number: int) -> str:
    matchers = (
        f'team="team{number}"',
        f'team=~"team{number}|other{number}"',
        f'alertname=~"Other{number}.*"',
        f'severity="page", team!~"team{number}.*"',
        f'namespace="ns{number}", severity="info"',
    )[number % 5]
    return f"    - {{matchers: ['{{{matchers}}}'], receiver: nobody, continue: true}}\n"


def pattern(number: int) -> str:
    matchers = (
        f'alertname=~".*(Disk|Cpu){number}.*Bad"',
        f'team=~"(?i)team-?{number}", namespace=~"ns-{number}-.+"',
        f'namespace=~"prod-.*{number}", alertname!~"Foo{number}.*"',
        f'pod=~".*-{number}-[a-z0-9]+", severity=~"page|critical"',
    )[number % 4]
    return f"    - {{matchers: ['{{{matchers}}}'], receiver: nobody}}\n"


def doubtful(number: int) -> str:
    receiver = "retrain" if number % 2 else "nobody"
    return f"    - {{match: {{namespace: ns{number}}}, receiver: {receiver}, continue: true}}\n"


def branch(number: int) -> str:
    leaf = "- {matchers: ['namespace=~\"ns%d.*\"'], receiver: %s}\n"
    leaves = "".join(
        f"        {leaf % (each, 'retrain' if each == 3 else 'nobody')}" for each in range(10)
    )
    head = f"    - match_re: {{team: 'team{number}.*'}}\n      receiver: nobody\n      routes:\n"
    return head + leaves


def plain(number: int) -> tuple[str, str]:
    name = f"{'Model' if number % 10 == 0 else 'Disk'}{number}Bad"
    return name, f'max by (namespace, user_id) (rate(m{number}{{env=~"a|b"}}[5m])) > 0.5'


def opened(number: int) -> tuple[str, str]:
    return f"Model{number}Bad", f'm{number}{{env=~"a|b"}} > 0.5'


def long(number: int) -> tuple[str, str]:
    name, _ = plain(number)
    one = 'sum by (user_id) (rate(m_{}{{job="a", path=~"/v1/.*"}}[{}m])) > {}'
    return name, " and ".join(one.format(number, each + 1, each) for each in range(8))


def rule(number: int, named: Callable[[int], tuple[str, str]]) -> str:
    name, expression = named(number)
    return (
        f"  - alert: {name}\n"
        f"    expr: '{expression}'\n"
        f"    labels: {{action: retrain, severity: warning, team: team{number % 70}}}\n"
        "    annotations: {value: '{{ $value }}'}\n"
    )


def resources(text: str) -> str:
    """One PrometheusRule for each of many groups."""
    rules = text.split("  - alert")[1:]
    return "".join(
        f"---\nkind: PrometheusRule\nspec:\n  groups:\n  - name: g{number}\n"
        f"    rules:\n    - alert{each.replace(chr(10), chr(10) + '  ')}\n"
        for number, each in enumerate(rules)
    )


def policy(number: int) -> str:
    return (
        f"  - name: p{number}\n"
        f"    match: ['alertname=~\"Model{number}.*Bad\"', 'team=~\"team{number % 7}|x\"']\n"
        '    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}\n'
        "    target: retrain\n"
    )


MIXES = {
    "plain": (route, plain, False),
    "many policies": (route, opened, False),
    "patterns": (pattern, opened, False),
    "doubts": (doubtful, opened, False),
    "tree": (branch, opened, False),
    "long expressions": (route, long, False),
    "resources": (route, plain, True),
}


def world(mix: str, times: int) -> dict[str, str]:
    routes, named, in_resources = MIXES[mix]
    many = range(POLICIES * times if mix == "many policies" else 0)
    head, _, ours = RECEIVER.partition("policies:\n")
    rules = "groups:\n- name: g\n  rules:\n" + "".join(
        rule(number, named) for number in range(RULES * times)
    )
    number_of_routes = ROUTES // (10 if routes is branch else 1) * times
    return {
        "receiver.yaml": f"{head}policies:\n{''.join(map(policy, many))}{ours}".replace(
            "HighModelMAE|LowModelR2", "Model.*"
        ),
        "alertmanager.yml": HEAD + "".join(map(routes, range(number_of_routes))) + OURS,
        "rules.yml": resources(rules) if in_resources else rules,
    }


def calls(work: Callable[[], list[Finding]]) -> tuple[int, list[Finding]]:
    """How many functions of Python are called: it is the same on every machine, however busy."""
    number = 0

    def count(_frame, event, _argument):
        nonlocal number
        number += event == "call"

    sys.setprofile(count)
    try:
        found = work()
    finally:
        sys.setprofile(None)
    return number, found


@pytest.mark.parametrize("mix", MIXES)
def test_twice_as_much_takes_twice_as_long(mix, tmp_path):
    """Routes and policies are found by the values of labels; who is alike is walked once."""
    (tmp_path / "twice").mkdir()
    one, found = calls(lambda: linted(tmp_path, world(mix, 1)))
    two, _ = calls(lambda: linted(tmp_path / "twice", world(mix, 2)))

    assert two / one < MOST
    assert two / (2 * RULES) < BUDGET
    allowed = {CheckId.ALERT_WITHOUT_POLICY, CheckId.POLICY_WITHOUT_RULE}
    assert {each.check for each in found} <= allowed | {
        CheckId.ALERT_MAY_GO_ELSEWHERE,
        CheckId.ALERT_GOES_ELSEWHERE,
    }
