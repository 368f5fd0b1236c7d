"""Alertmanager's settings are compared with ours where they meet, and only there."""

import shutil
import subprocess

import pytest

from tests.lint.worlds import ALERTMANAGER, RECEIVER, linted

SOURCES = """\
sources: {alertmanagers: [{name: main, url: "http://alertmanager:9093", receiver: retrain}]}
"""
AUTH = "auth: {webhook: [{name: am, token_file: token}]}\n"


def route(*lines):
    return ALERTMANAGER.replace(
        "  group_by", "".join(f"  {each}\n" for each in lines) + "  group_by"
    )


def hook(*lines):
    return ALERTMANAGER + "".join(f"        {each}\n" for each in lines)


@pytest.mark.parametrize(
    ("alertmanager", "alone", "asked"),
    [
        (ALERTMANAGER, [], []),
        # The edge of each span.
        (route("group_interval: 599s"), [], []),
        (route("group_interval: 10m"), ["group-interval-outlasts-dedup warning"], 1),
        (route("repeat_interval: 355m"), [], []),
        (route("repeat_interval: 356m"), ["cooldown-before-repeat note"], []),
        (route("repeat_interval: 775m"), ["cooldown-before-repeat note"], []),
        (route("repeat_interval: 776m"), ["expiry-before-repeat error"], []),
        # Another route may be as it likes.
        (
            route(
                "routes:",
                "  - {matchers: [alertname=X], receiver: retrain, repeat_interval: 9d}",
                "  - {receiver: nobody, matchers: [alertname=Y], repeat_interval: 9d}",
            ),
            [],
            [],
        ),
        # A child inherits.
        (
            route(
                "repeat_interval: 9d",
                "routes:",
                "  - {matchers: [alertname=~'HighModelMAE|LowModelR2'], receiver: retrain}",
            ),
            ["expiry-before-repeat error"],
            [],
        ),
        # Who is asked knows more than who is told.
        (hook("send_resolved: false"), ["resolved-not-sent error"], ["resolved-not-sent note"]),
        (hook("send_resolved: no"), ["resolved-not-sent error"], ["resolved-not-sent note"]),
        (hook("send_resolved: true"), [], []),
        (hook("max_alerts: 5"), ["alerts-truncated error"], ["alerts-truncated warning"]),
        (
            ALERTMANAGER.replace(
                "- name: nobody",
                "- name: nobody\n    webhook_configs: [{url: 'http://x/y', max_alerts: 1}]",
            ),
            [],
            [],
        ),
        (hook("timeout: 4s"), ["webhook-timeout warning"], 1),
        (hook("timeout: 5s"), [], []),
        (hook("timeout: 0"), [], []),
        (hook("timeout: 30"), ["webhook-timeout error"], 1),
        (
            ALERTMANAGER.replace("http://retrain-receiver:8080", "$OURS"),
            ["webhook-path warning"],
            1,
        ),
        (route("group_by: ['...']").replace("  group_by: [alertname, user_id]\n", ""), [], []),
        (
            route("group_by: [job]").replace("  group_by: [alertname, user_id]\n", ""),
            ["groups-all-models note"],
            1,
        ),
    ],
)
def test_settings(alertmanager, alone, asked, tmp_path):
    """Each with and without `sources`; 1 stands for the same with both."""
    for text, expected in (
        (RECEIVER, alone),
        (SOURCES + RECEIVER, alone if asked == 1 else asked),
    ):
        found = linted(tmp_path, {"alertmanager.yml": alertmanager, "receiver.yaml": text})

        assert [f"{each.check} {each.severity}" for each in found] == expected


@pytest.mark.parametrize(
    ("http", "found"),
    [
        ("", ["no token is sent to us, and our file asks for one (auth.webhook)"]),
        ("authorization: {credentials_file: /x}", []),
        ("authorization: {type: Bearer, credentials: <secret>}", []),
        ("basic_auth: {username: x, password_file: /x}", []),
        (
            "authorization: {type: Token, credentials: x}",
            ["authorization of the type Token is none that we read"],
        ),
        (
            "follow_redirects: false",
            ["no token is sent to us, and our file asks for one (auth.webhook)"],
        ),
    ],
)
def test_who_may_post(http, found, tmp_path):
    """A token that is asked for must be sent."""
    alertmanager = hook(f"http_config: {{{http}}}")
    files = {"alertmanager.yml": alertmanager, "receiver.yaml": AUTH + RECEIVER}

    assert [each.said for each in linted(tmp_path, files)] == found


def test_global_credentials_count(tmp_path):
    """A webhook without http_config takes the global one."""
    alertmanager = "global: {http_config: {authorization: {credentials: x}}}\n" + ALERTMANAGER

    files = {"alertmanager.yml": alertmanager, "receiver.yaml": AUTH + RECEIVER}
    assert linted(tmp_path, files) == []


def test_without_rules_what_fits_is_compared(tmp_path):
    """A route for other alertnames is not ours, though its receiver is."""
    routes = route(
        "routes:",
        "  - {matchers: [alertname=X], receiver: retrain, repeat_interval: 9d}",
        "  - {matchers: [alertname=LowModelR2], receiver: retrain, repeat_interval: 8d}",
    )
    found = linted(tmp_path, {"alertmanager.yml": routes, "rules.yml": ""})

    assert [(each.check, each.place.line) for each in found] == [("expiry-before-repeat", 5)]


def test_a_receiver_that_is_called_as_we_are_is_ours(tmp_path):
    """`/webhook` is a common path: another program's settings are no concern of ours."""
    other = "  - name: jira\n    webhook_configs: [{url: 'http://jira/webhook', max_alerts: 1}]\n"

    assert linted(tmp_path, {"alertmanager.yml": ALERTMANAGER + other}) == []


def test_hidden_addresses(tmp_path):
    """A running Alertmanager hides them: one must say which receiver is ours."""
    hidden = ALERTMANAGER.replace("http://retrain-receiver:8080/webhook", "<secret>")

    (found,) = linted(tmp_path, {"alertmanager.yml": hidden})
    assert found.cure == "say which receiver posts to us: --receiver NAME, one of retrain"
    named = linted(tmp_path, {"alertmanager.yml": hidden}, receivers=frozenset({"retrain"}))
    assert named == []


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("{receiver: nowhere}", "there is no receiver nowhere"),
        ("{receiver: retrain, routes: [{receiver: nowhere}]}", "there is no receiver nowhere"),
        ("{routes: [{receiver: retrain}]}", "the first route names no receiver"),
        (
            "{receiver: retrain, matchers: [a=b]}",
            "the first route takes all alerts: it may have no matchers",
        ),
        ("{receiver: retrain, continue: true}", "the first route may have no continue"),
        ("{receiver: retrain, continue: false}", None),  # as a running Alertmanager writes it
        (
            "{receiver: retrain, mute_time_intervals: [days]}",
            "the first route may have no mute_time_intervals",
        ),
        (
            "{receiver: retrain, routes: [{mute_time_intervals: [nights]}]}",
            "there is no time interval nights",
        ),
        (
            "{receiver: retrain, routes: [{active_time_intervals: [days, weekends]}]}",
            "there is no time interval weekends",
        ),
        ("{receiver: retrain, routes: [{match_re: {a: }}]}", "the pattern of a is empty"),
        ("{receiver: retrain, routes: [{match: {a: }}]}", None),
        ("{receiver: retrain, group_interval: 0s}", "group_interval can't be zero"),
        ("{receiver: retrain, routes: [{active_time_intervals: [days]}]}", None),
        ("{receiver: retrain, routes: [{receiver: retrain, continue: true}]}", None),
    ],
)
def test_what_alertmanager_refuses(route, said, tmp_path):
    """Then it goes on with the file of before, whatever the new one says."""
    receivers = ALERTMANAGER[ALERTMANAGER.index("receivers:") :]
    text = f"time_intervals: [{{name: days}}]\nroute: {route}\n{receivers}"
    found = linted(tmp_path, {"alertmanager.yml": text})

    refused = [each for each in found if each.check == "alertmanager-unreadable"]
    assert [(each.said, each.place.line) for each in refused] == ([(said, 2)] if said else [])


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")
@pytest.mark.parametrize(
    "route",
    [
        "{receiver: nowhere}",
        "{routes: [{receiver: retrain}]}",
        "{receiver: retrain, matchers: [a=b]}",
        "{receiver: retrain, continue: true}",
        "{receiver: retrain, routes: [{mute_time_intervals: [nights]}]}",
        "{receiver: retrain, routes: [{match_re: {a: }}]}",
        "{receiver: retrain, group_interval: 0s}",
    ],
)
def test_alertmanager_does_refuse_it(route, tmp_path):
    """What is said of it, it says itself."""
    receivers = ALERTMANAGER[ALERTMANAGER.index("receivers:") :]
    (tmp_path / "a.yml").write_text(f"route: {route}\n{receivers}")
    asked = subprocess.run(
        ["amtool", "check-config", tmp_path / "a.yml"], capture_output=True, check=False
    )

    assert asked.returncode == 1


def test_a_resource_may_match_in_its_first_route(tmp_path):
    """The operator puts it below a route of its own."""
    text = ALERTMANAGER.replace("group_by: [alertname, user_id]", "groupBy: [user_id]").replace(
        "webhook_configs", "webhookConfigs"
    )
    text = text.replace("  group", "  matchers: [{name: severity, value: warning}]\n  group")
    resource = "kind: AlertmanagerConfig\nmetadata: {}\nspec:\n" + "".join(
        f"  {line}\n" for line in text.splitlines()
    )
    found = linted(tmp_path, {"alertmanager.yml": resource})

    assert [each.check for each in found] == ["operator-namespace"]
