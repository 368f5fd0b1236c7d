import os
import re
import shutil
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.metric_names import known, used

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "rules").glob("*.yaml"))
TOLD = sorted((ROOT / "rules" / "tests").glob("*.yaml"))
RUNBOOKS = "https://github.com/retrain-receiver/retrain-receiver/blob/main/"


@pytest.fixture
def promtool():
    """Runs promtool; without it a laptop skips and CI fails."""
    path = shutil.which("promtool")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail("promtool is missing; install the package 'prometheus'")
    if path is None:
        pytest.skip("promtool is missing; install the package 'prometheus'")

    def run(*arguments):
        return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)

    return run


def rules(*files):
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def stories(name):
    """What is asked about one alert, story by story: when, and whether it should fire."""
    told = []
    for story in all_stories():
        asked = [
            (minutes(check["eval_time"]), bool(check.get("exp_alerts")))
            for check in story["alert_rule_test"]
            if check["alertname"] == name
        ]
        told += [sorted(asked)] if asked else []
    return told


@cache
def all_stories():
    return [story for file in TOLD for story in yaml.safe_load(file.read_text())["tests"]]


def minutes(text):
    return int(text[:-1]) * {"m": 1, "h": 60, "d": 1440}[text[-1]]


def fires(story):
    return any(firing for _, firing in story)


def begins(story):
    return any(not was and firing for (_, was), (_, firing) in pairwise(story))


def ends(story):
    return any(was and not firing for (_, was), (_, firing) in pairwise(story))


EVERY_RULE = pytest.mark.parametrize("rule", rules(*FILES), ids=lambda rule: rule["alert"])
QUALITY = rules(ROOT / "rules" / "model-quality.yaml")


def anchors(text):
    """The anchors that GitHub gives to the headings of a Markdown text."""
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_prometheus_accepts_the_rules(promtool, file):
    """Syntax, expressions and templates are what Prometheus understands."""
    checked = promtool("check", "rules", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", TOLD, ids=lambda file: file.name)
def test_the_rules_fire_and_resolve_as_promised(promtool, file):
    """Every story in rules/tests comes out as told there."""
    tested = promtool("test", "rules", str(file))

    assert tested.returncode == 0, tested.stdout + tested.stderr


@EVERY_RULE
def test_each_rule_has_its_stories(rule):
    """One in which it begins to fire, one in which it ends, one in which it stays silent."""
    told = stories(rule["alert"])

    assert any(begins(story) for story in told)
    assert any(ends(story) for story in told)
    assert any(not fires(story) for story in told)


@EVERY_RULE
def test_each_rule_asks_for_metrics_that_exist(rule):
    """A name that nobody exports would be silent for ever."""
    names = used(rule["expr"])

    assert names
    assert names <= known()


@EVERY_RULE
def test_each_alert_reaches_people_and_is_understood(rule):
    """kube-prometheus-stack mutes `info`; sentences for people."""
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description", "runbook_url"} <= rule["annotations"].keys()
    assert not rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")


@EVERY_RULE
def test_only_bad_quality_asks_for_a_retraining(rule):
    """Retraining repairs a bad model and nothing else."""
    assert (rule["labels"].get("action") == "retrain") == (rule in QUALITY)


@pytest.mark.parametrize("rule", QUALITY, ids=lambda rule: rule["alert"])
def test_each_alert_about_quality_can_be_acted_on_by_machines(rule):
    """Nothing to route on but fixed labels, the raw value, and damping against flaps."""
    assert rule["labels"] == {"action": "retrain", "severity": "warning"}
    assert rule["annotations"]["value"] == "{{ $value }}"
    assert (rule["for"], rule["keep_firing_for"]) == ("10m", "30m")


@EVERY_RULE
def test_each_runbook_url_leads_to_its_section(rule):
    """Whoever is woken by an alert finds the section that is named after it."""
    path, _, anchor = rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS).partition("#")

    assert anchor == rule["alert"].lower()
    assert anchor in anchors((ROOT / path).read_text())


def test_no_two_alerts_share_a_name():
    """Alertmanager's inhibition and people both go by it."""
    names = [rule["alert"] for rule in rules(*FILES)]

    assert len(names) == len(set(names))
