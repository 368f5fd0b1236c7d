import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules" / "model-quality.yaml"
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


def rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def anchors(text):
    """The anchors that GitHub gives to the headings of a Markdown text."""
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_prometheus_accepts_the_rules(promtool):
    """Syntax, expressions and templates are what Prometheus understands."""
    checked = promtool("check", "rules", str(RULES))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rules_fire_and_resolve_as_promised(promtool):
    """Every story in rules/tests comes out as told there."""
    tested = promtool("test", "rules", str(ROOT / "rules" / "tests" / "model-quality.yaml"))

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_can_be_routed_understood_and_acted_on(rule):
    """Labels to route on, the raw value for machines, sentences for people."""
    assert rule["labels"] == {"action": "retrain", "severity": "warning"}
    assert rule["annotations"]["value"] == "{{ $value }}"
    assert {"summary", "description"} <= rule["annotations"].keys()
    assert (rule["for"], rule["keep_firing_for"]) == ("10m", "30m")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_runbook_url_leads_to_its_section(rule):
    """Whoever is woken by an alert finds the section that is named after it."""
    path, _, anchor = rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS).partition("#")

    assert anchor == rule["alert"].lower()
    assert anchor in anchors((ROOT / path).read_text())
