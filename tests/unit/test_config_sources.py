"""The section `sources`: who is asked whether an alert still fires, and how."""

from datetime import timedelta

import pytest

from receiver.config import ConfigError, load_config
from receiver.core.policies import WhenSilenced
from receiver.wiring import policy_set_of

POLICY = """\
targets: {retrain: {kfp: {pipeline: retrain.yaml}}}
policies:
  - {name: quality, target: retrain, match: ['alertname="HighModelMAE"'], %s
     model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}}
"""
MAIN = "name: main, url: http://am:9093, receiver: retrain"


@pytest.fixture
def load(tmp_path):
    files = {"retrain.yaml": "{}", "token": "a-token\n", "ca.pem": "-----BEGIN CERTIFICATE-----\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def load(text="", policy=""):
        file = tmp_path / "receiver.yaml"
        file.write_text(POLICY % policy + text)
        return load_config(file)

    return load


def asking(*entries, rest=""):
    listed = "".join(f"    - {{{entry}}}\n" for entry in entries)
    return f"sources:\n  alertmanagers:\n{listed}{rest}"


def test_without_it_nobody_is_asked_and_what_that_means_is_said(load):
    """No warning: the program works, but it believes what it should not."""
    config = load()

    assert config.sources is None
    assert not any("sources" in warning for warning in config.warnings)
    assert "sources: there are none" in config.hints[0]
    assert "write alertmanagers: [{name: main" in config.hints[0]


def test_prometheus_alone_tells_values_and_confirms_nothing(load):
    """It does not know which alerts Alertmanager sends us."""
    config = load("sources: {prometheus: {url: http://p:9090}}\n")

    assert config.sources.prometheus.url == "http://p:9090"
    assert policy_set_of(config).asking is None
    assert "sources: there are none" in config.hints[0]


def test_a_policy_names_the_annotation_that_has_the_number(load):
    """`value` unless it says otherwise."""
    assert load().policies[0].value_annotation == "value"
    assert load(policy="value_annotation: mae,").policies[0].value_annotation == "mae"
    with pytest.raises(ConfigError, match=r"value_annotation: '\{\{ x' is not the name of an"):
        load(policy="value_annotation: '{{ x',")


def test_each_alertmanager_has_its_way_in(load, tmp_path):
    """Bearer, Basic and TLS; a minute between questions unless it says otherwise."""
    config = load(
        asking(
            f"{MAIN}, token_file: token",
            "name: b, url: https://b/am/, receiver: x, poll: 30s, ca_file: ca.pem, "
            "basic: {username: me, password_file: token}",
            rest="  prometheus: {url: 'https://p:9090'}\n",
        )
    )

    main, other = config.sources.alertmanagers
    assert config.sources.confirm_within == timedelta(minutes=5)
    assert (main.poll, main.receiver, main.peer.token_file) == (
        timedelta(minutes=1),
        "retrain",
        tmp_path / "token",
    )
    assert (other.peer.username, other.peer.password_file) == ("me", tmp_path / "token")
    assert (other.peer.url, other.peer.ca_file) == ("https://b/am", tmp_path / "ca.pem")
    assert config.sources.prometheus.url == "https://p:9090"
    assert config.hints == ()
    assert '"token_file":"token"' in config.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sources: {confirm_within: 5m}", "sources: names no Alertmanager, so nobody is asked"),
        (asking("url: http://a, receiver: x"), "alertmanagers[0].name: is missing; write name"),
        (asking("name: a, receiver: x"), "alertmanagers[0].url: is missing; write url: http"),
        (asking("name: a, url: http://a"), "alertmanagers[0].receiver: is missing; write"),
        (
            asking(MAIN, f"{MAIN}2"),
            "alertmanagers[1].name: 'main' is there already; write another name",
        ),
        (
            asking("name: prometheus, url: http://a, receiver: x"),
            "alertmanagers[0].name: 'prometheus' is what Prometheus is called; write another",
        ),
        (
            asking(MAIN, "name: b, url: http://am:9093, receiver: retrain"),
            "alertmanagers[1].url: is asked for this receiver already; remove one",
        ),
        (asking(f"{MAIN}, poll: 1s"), "alertmanagers[0].poll: must be 5s to 1h; write 1m"),
        (asking(f"{MAIN}, poll: 2h"), "alertmanagers[0].poll: must be 5s to 1h; write 1m"),
        (
            asking(f"{MAIN}, token_file: token, basic: {{username: a, password_file: token}}"),
            "alertmanagers[0]: has both token_file and basic; keep one of them",
        ),
        (asking(f"{MAIN}, token_file: none"), "alertmanagers[0].token_file: can't read"),
        (
            asking(f"{MAIN}, basic: {{username: a}}"),
            "basic.password_file: is missing; write password_file: secrets/alertmanager",
        ),
        (
            asking(f"{MAIN}, basic: {{username: a, password_file: none}}"),
            "alertmanagers[0].basic.password_file: can't read",
        ),
        (asking(f"{MAIN}, ca_file: token"), "alertmanagers[0].ca_file:"),
        (
            asking(MAIN, rest="  prometheus: {url: http://p, token_file: none}\n"),
            "sources.prometheus.token_file: can't read",
        ),
        (asking("name: a, url: 'http://u:p@a', receiver: x"), "passwords belong into files"),
    ],
)
def test_what_cannot_be_is_told_with_its_cure(load, text, problem):
    """Each with its place."""
    with pytest.raises(ConfigError) as caught:
        load(text)

    assert problem in str(caught.value)


def test_a_policy_says_what_a_silence_means(load):
    """It holds, unless the policy acts in spite of it."""
    assert load().policies[0].silenced is WhenSilenced.HOLD
    assert load(policy="silenced: act,").policies[0].silenced is WhenSilenced.ACT
    with pytest.raises(ConfigError, match=r"silenced: 'ignore' says nothing .* write hold"):
        load(policy="silenced: ignore,")


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            asking(f"{MAIN}, poll: 3m"),
            "sources.confirm_within: 5m is less than two polls of main (3m), so that one lost "
            "answer holds every model; write 6m or more",
        ),
        (
            asking(f"{MAIN}, token_file: token"),
            "sources.alertmanagers[0].url: the secret is sent over http; write https://",
        ),
        (
            asking(MAIN, rest="  prometheus: {url: http://p, token_file: token}\n"),
            "sources.prometheus.url: the secret is sent over http; write https://",
        ),
    ],
)
def test_dangers_are_warned_of(load, text, warning):
    """Legal, but not wise."""
    assert warning in load(text).warnings


def test_a_secret_on_this_machine_is_no_danger(load):
    """It does not leave it."""
    local = load(asking("name: a, url: 'http://127.0.0.1:9093', receiver: x, token_file: token"))

    assert not any("secret is sent" in warning for warning in local.warnings)
