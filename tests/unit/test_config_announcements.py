"""The section `announcements`: who is told, by which way, about what."""

from datetime import timedelta

import pytest

from receiver.config import ConfigError, load_config
from receiver.config.values import ActLinkSettings
from receiver.core.announcements import Kind
from tests.peers.subscriber import SECRET

POLICY = """\
targets: {retrain: {kfp: {pipeline: retrain.yaml}}}
policies:
  - {name: quality, target: retrain, match: ['alertname="HighModelMAE"'],
     model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}}
announcements:
"""
WEBHOOK = "webhook: {url: https://hooks.example/x, secret_file: signing}"
SLACK = "slack: {url_file: slack}"
TEAMS = "teams: {url_file: teams}"
LINKS = "act_links: {secret_file: signing}"
SERVER = "server: {external_url: 'https://retrain.example'}\n"


@pytest.fixture
def load(tmp_path):
    files = {
        "retrain.yaml": "{}",
        "signing": f"{SECRET}\n",
        "slack": "https://hooks.slack.example/services/a-secret\n",
        "short": "whsec_c2hvcnQ=",
        "none": "hooks.slack.example/a-secret",
        "teams": "https://prod-1.westeurope.logic.azure.example:443/w/1?api-version=1&sig=a-secret\n",
        "ca.pem": "-----BEGIN CERTIFICATE-----\n",
        "no.pem": "nothing",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def load(*entries, server=""):
        file = tmp_path / "receiver.yaml"
        file.write_text(server + POLICY + "".join(f"  - {{{entry}}}\n" for entry in entries))
        return load_config(file)

    return load


def test_without_it_nobody_is_told(load):
    """An empty section is none."""
    assert load().subscribers == ()


def test_a_subscriber_hears_everything_unless_it_says_otherwise(load, tmp_path):
    """By a signed webhook or through Slack; paths start at the file's folder."""
    config = load(
        f"name: platform, {WEBHOOK}",
        f"name: on-call, {SLACK}, about: [parked, refused], policies: [quality]",
        "name: both, webhook: {url_file: slack, secret_file: signing, ca_file: ca.pem}",
    )
    platform, on_call, both = config.subscribers

    assert platform.subscriber.about == frozenset(Kind)
    assert platform.subscriber.policies is None
    assert (platform.url, platform.url_file) == ("https://hooks.example/x", None)
    assert platform.secret_file == tmp_path / "signing"
    assert on_call.subscriber.about == {Kind.PARKED, Kind.REFUSED}
    assert on_call.subscriber.policies == {"quality"}
    assert (on_call.url, on_call.url_file) == (None, tmp_path / "slack")
    assert (on_call.secret_file, on_call.ca_file) == (None, None)
    assert (both.url, both.ca_file) == (None, tmp_path / "ca.pem")


def test_the_kept_configuration_holds_no_secret(load):
    """Only the names of files."""
    config = load(f"name: platform, {WEBHOOK}", f"name: on-call, {SLACK}")

    assert "a-secret" not in config.text
    assert SECRET not in config.text
    assert '"url_file":"slack"' in config.text


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "name: a",
            "announcements[0]: has neither webhook nor slack nor teams; write one of them",
        ),
        (
            f"name: a, {WEBHOOK}, {SLACK}",
            "announcements[0]: has both webhook and slack",
        ),
        (f"name: a, {SLACK}, {TEAMS}", "announcements[0]: has both slack and teams; write one"),
        (
            "name: a, teams: {url_file: none}",
            "announcements[0].teams.url_file: holds no address",
        ),
        (f"{SLACK}", "announcements[0].name: is missing; write name: on-call"),
        (f"name: a, {SLACK}, about: []", "announcements[0].about: is empty; write triggered"),
        (
            f"name: a, {SLACK}, about: [lost]",
            "announcements[0].about[0]: 'lost' is nothing we announce; write triggered",
        ),
        (
            f"name: a, {SLACK}, policies: [qualty]",
            "announcements[0].policies[0]: unknown policy 'qualty'; did you mean 'quality'?",
        ),
        ("name: a, slack: {}", "announcements[0].slack.url_file: is missing"),
        (
            "name: a, slack: {url_file: none}",
            "announcements[0].slack.url_file: holds no address; write https://HOST/PATH",
        ),
        ("name: a, slack: {url_file: gone}", "announcements[0].slack.url_file: can't read"),
        (
            "name: a, slack: {url: https://x, url_file: slack}",
            "announcements[0].slack.url: unknown setting",
        ),
        (
            "name: a, webhook: {secret_file: signing}",
            "announcements[0].webhook: must have either url or url_file",
        ),
        (
            "name: a, webhook: {url: https://x, url_file: slack, secret_file: signing}",
            "announcements[0].webhook: must have either url or url_file",
        ),
        (
            "name: a, webhook: {url_file: none, secret_file: signing}",
            "announcements[0].webhook.url_file: holds no address",
        ),
        (
            "name: a, webhook: {url: 'https://x?token=1', secret_file: signing}",
            "announcements[0].webhook.url: the address holds more than host and path",
        ),
        (
            "name: a, webhook: {url: https://x, secret_file: short}",
            "announcements[0].webhook.secret_file: holds a signing secret of 5 bytes",
        ),
        (
            "name: a, webhook: {url: https://x}",
            "announcements[0].webhook.secret_file: is missing",
        ),
        (
            "name: a, webhook: {url: https://x, secret_file: signing, ca_file: no.pem}",
            "announcements[0].webhook.ca_file:",
        ),
    ],
)
def test_a_problem_is_told_with_place_and_cure(load, entry, problem):
    """Once, and without the secret."""
    with pytest.raises(ConfigError) as caught:
        load(entry)

    (told,) = caught.value.problems
    assert told.startswith(problem)
    assert "a-secret" not in told


@pytest.mark.parametrize(
    ("url", "dangers"),
    [("http://hooks.example/x", 1), ("https://hooks.example/x", 0), ("http://127.0.0.1:8000", 0)],
)
def test_what_others_can_read_on_the_way_is_a_danger(load, url, dangers):
    """Legal, for a sidecar or a test; but told."""
    config = load(f"name: a, webhook: {{url: '{url}', secret_file: signing}}")

    assert len([each for each in config.warnings if each.startswith("announcements")]) == dangers


def test_two_subscribers_have_two_names(load):
    """The second is told."""
    with pytest.raises(ConfigError) as caught:
        load(f"name: a, {SLACK}", f"name: a, {WEBHOOK}")

    assert caught.value.problems == ("announcements[1].name: 'a' is there already; write another",)


def test_teams_and_links_are_read(load, tmp_path):
    """A workflow's address has a query; a link works for an hour unless it is said."""
    teams, slack, plain = load(
        f"name: teams, {TEAMS}, {LINKS}",
        f"name: slack, {SLACK}, about: [approval], "
        "act_links: {secret_file: signing, expires: 15m}",
        f"name: plain, {WEBHOOK}",
        server=SERVER,
    ).subscribers

    assert (teams.teams, teams.url_file, teams.secret_file) == (True, tmp_path / "teams", None)
    assert teams.act_links == ActLinkSettings(tmp_path / "signing", timedelta(hours=1))
    assert (slack.teams, slack.act_links.life) == (False, timedelta(minutes=15))
    assert plain.act_links is None


@pytest.mark.parametrize(
    ("entry", "server", "problem"),
    [
        (
            LINKS,
            "",
            "act_links: lead to our page, and nothing says where people reach it; write server: "
            "{external_url: https://retrain.example.com}",
        ),
        (
            f"{LINKS}, about: [parked, refused]",
            SERVER,
            "act_links: are in messages that ask something, and about names none of them; add "
            "approval or exhausted, or leave about out",
        ),
        (
            "act_links: {secret_file: signing, expires: 25h}",
            SERVER,
            "act_links.expires: must be at most 24h; write 1h",
        ),
        ("act_links: {secret_file: signing, expires: 0s}", SERVER, "act_links.expires:"),
        (
            "act_links: {secret_file: short}",
            SERVER,
            "act_links.secret_file: holds a signing secret of 5 bytes, not 24 to 64; write",
        ),
        ("act_links: {secret_file: gone}", SERVER, "act_links.secret_file: can't read"),
        ("act_links: {}", SERVER, "act_links.secret_file: is missing; write secret_file: secrets"),
    ],
)
def test_links_that_could_not_work_are_refused(load, entry, server, problem):
    """Each with its cure."""
    with pytest.raises(ConfigError) as caught:
        load(f"name: a, {SLACK}, {entry}", server=server)

    (told,) = caught.value.problems
    assert told.startswith(f"announcements[0].{problem}")


@pytest.mark.parametrize(("scheme", "dangers"), [("http", 1), ("https", 0)])
def test_links_that_others_can_read_are_a_danger(load, scheme, dangers):
    """Whoever reads one first may use it."""
    server = SERVER.replace("https", scheme)
    config = load(f"name: a, {SLACK}, {LINKS}", f"name: b, {SLACK}", server=server)

    told = [each for each in config.warnings if each.startswith("announcements[0].act_links: ")]
    assert len(told) == dangers
