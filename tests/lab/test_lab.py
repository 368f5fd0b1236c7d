"""`make lab`: the story is played, and its exit code says whether it went as it should."""

import os
import re
import subprocess
import sys

import pytest

from tests.demo.kfp_environment import need_kfp_environment
from tests.e2e.alerting import program
from tests.processes import ROOT


def play(folder, **environment):
    return subprocess.run(
        [sys.executable, "examples/lab/lab.py", "--dir", folder],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(900)
def test_two_recover_and_a_third_is_given_up(tmp_path):
    """One run for each that can be repaired, two for the one that can't, none for the others."""
    need_kfp_environment()
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    played = play(tmp_path / "lab")

    assert played.returncode == 0, played.stdout + played.stderr
    told = dict(re.findall(r"^(user\d\d)  +\S+ +[\d. ]+  (.*)$", played.stdout, re.MULTILINE))
    assert told.keys() == {"user01", "user02", "user03", "user04", "user05"}
    for tenant in ("user01", "user02"):
        assert told[tenant].split() == ["promoted", "and", "recovered", "quiet"]
    assert told["user03"].count(",") == 1
    assert told["user03"].endswith("attention")
    assert "user03 is held by exhausted" in played.stdout
    for tenant in ("user04", "user05"):
        assert told[tenant].split() == ["none", "never", "alerted"]


def test_a_story_that_goes_another_way_fails(tmp_path):
    """Without Prometheus there is no story: exit code 1, and why."""
    need_kfp_environment()
    played = play(tmp_path / "lab", PATH="/nowhere")

    assert played.returncode == 1
    assert "needs Prometheus" in played.stderr
