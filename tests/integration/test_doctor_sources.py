"""`doctor` asks each configured source as the receiver does."""

import json

import pytest

from tests.peers.alertmanager import alertmanager
from tests.serving import NO_AUTH

NOWHERE = "http://127.0.0.1:9"

SOURCES = """
sources:
  alertmanagers: [{name: main, url: "PEER", receiver: retrain, token_file: token}]
  prometheus: {url: "PEER"}
"""


@pytest.fixture
def peer():
    with alertmanager() as peer:
        yield peer


@pytest.fixture
def found_by_doctor(cli, peer, tmp_path):
    """What it says of each source."""

    def found(sources=SOURCES):
        (tmp_path / "token").write_text("secret")
        config = tmp_path / "receiver.yaml"
        config.write_text(NO_AUTH + sources.replace("PEER", peer.url))
        ended = cli(
            *("doctor", "--no-test", "--prometheus", NOWHERE, "--alertmanager", NOWHERE),
            *("--config", str(config), "-o", "json"),
            url=NOWHERE,
        )
        findings = json.loads(ended.out)["findings"]
        return {
            each["what"]: (each["state"], each["found"])
            for each in findings
            if each["what"].startswith("source ")
        }

    return found


def test_each_is_asked_with_its_credential(peer, found_by_doctor):
    """What answers is told with how much it lists."""
    peer.authorization = "Bearer secret"
    peer.fire(alertname="HighModelMAE", user_id="42")
    found = found_by_doctor()

    assert found["source main"] == ("ok", "it answers, and lists 1 alerts of our receiver")
    state, said = found["source prometheus"]
    assert (state, "401" in said, "token_file" in said) == ("fail", True, True)


def test_what_is_wrong_is_said_with_its_cure(peer, found_by_doctor):
    """As on the page and in the log."""
    peer.receivers = ["other"]
    state, said = found_by_doctor()["source main"]

    assert state == "fail"
    assert "retrain" in said


def test_without_sources_none_is_asked(found_by_doctor):
    assert found_by_doctor("") == {}
