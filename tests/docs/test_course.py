"""The page for readers who come from a course: each row of its tables leads to something."""

import re

import pytest

from tests.processes import ROOT

PAGE = ROOT / "docs" / "from-your-course.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| there", "| ---"))
]
LOOKED_FOR = [
    *("1_check_monitoring.py", "2_query_metrics.py", "3_simulate_drift.py"),
    *("4_trigger_retrain.py", "5_test_cicd.sh", "alert-rules.yaml", "drift-trigger-cronjob.yaml"),
    *("ci-test.yaml", "cd-deploy.yaml", "retrain-model.yaml", "compile_pipeline.py"),
    *("drift_detector.py", "deploy.sh", "train.sh", "cleanup.sh", "01-namespaces.yaml"),
    *("02-storage.yaml", "03-mlflow.yaml", "04-training-job.yaml", "05-serving.yaml"),
    *("POST /predict", "kubectl rollout undo", "monitoring-dev", "monitoring-prod"),
]


def targets(text):
    """The targets of make that a text names."""
    return set(re.findall(r"`make ([a-z-]+)", text))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_leads_to_a_command_or_a_file_that_is_there(row):
    """Commands of ours are tried on every page; here also those of make, and the files."""
    there, here, _ = row
    files = [path.partition("#")[0] for path in re.findall(r"\]\(([^)]+)\)", here)]
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert there
    assert files or targets(here) or "`retrain-receiver " in here
    assert [path for path in files if not (PAGE.parent / path).exists()] == []
    assert targets(here) <= {*made}


@pytest.mark.parametrize("name", LOOKED_FOR)
def test_what_people_look_for_has_its_row(name):
    """By the name that they know."""
    assert any(name in row[0] for row in ROWS)


def test_options_of_scripts_are_theirs():
    """What stands behind a script in its row is in the script."""
    given = [
        (PAGE.parent / path, re.findall(r"--[a-z-]+", options))
        for _, here, _ in ROWS
        for path, options in re.findall(r"\]\(([^)]+\.(?:sh|py))\) `(--[^`]+)`", here)
    ]

    assert len(given) == 2
    for script, options in given:
        assert [option for option in options if option not in script.read_text()] == []


def test_the_page_is_led_to():
    """From the README, from the first page and from the site's navigation."""
    for place in ("README.md", "docs/index.md", "mkdocs.yml"):
        assert PAGE.name in (ROOT / place).read_text()
