"""What this project itself gives to others to copy is lint-clean, and stays so."""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from receiver.cli.commands import app
from receiver.lint.chain import Chain
from receiver.lint.findings import CheckId, Finding, Severity
from receiver.lint.gathering import Sources, gather
from receiver.lint.linting import lint
from tests.lint.worlds import GITHUB, WORLD

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES, RULES = ROOT / "examples", str(ROOT / "rules")


def wrong(sources: Sources) -> list[str]:
    """What is found but for secrets that are elsewhere and environments that were not made."""
    chain = gather(sources)
    assert isinstance(chain, Chain)
    assert chain.ours
    return [str(each) for each in lint(chain) if not _elsewhere(each)]


def _elsewhere(finding: Finding) -> bool:
    is_note = finding.severity is Severity.NOTE
    unmade = "no .venv-kfp was found" in finding.said
    return is_note or (finding.check is CheckId.CONFIGURATION and unmade)


@pytest.fixture
def github(tmp_path):
    (tmp_path / "receiver.yaml").write_text(GITHUB)
    (tmp_path / "token").write_text("a-long-secret")
    return tmp_path / "receiver.yaml"


def test_compose():
    """The files of compose.yaml, which has our rules beside them."""
    folder = EXAMPLES / "compose"

    assert (
        wrong(
            Sources(
                config=folder / "receiver.yaml",
                alertmanager=folder / "alertmanager.yml",
                prometheus=folder / "prometheus.yml",
                rules=[RULES],
            )
        )
        == []
    )


def test_the_backtest():
    """What the history is replayed with."""
    rules = [RULES, str(EXAMPLES / "drift-detector" / "rules.yaml")]

    assert wrong(Sources(EXAMPLES / "backtest" / "receiver.yaml", rules=rules)) == []


def test_the_lab(tmp_path):
    """Its places filled in; its times are those of a lab, which are warned of and nothing else."""
    text = (EXAMPLES / "lab" / "receiver.yaml").read_text()
    text = text.replace("ALERTMANAGER", "http://127.0.0.1:9093").replace("WORKDIR", "/srv")
    (tmp_path / "receiver.yaml").write_text(text.replace("PYTHON", sys.executable))
    chain = gather(Sources(tmp_path / "receiver.yaml", rules=[RULES]))
    assert isinstance(chain, Chain)

    found = [each for each in lint(chain) if not _elsewhere(each)]
    (short,) = [each for each in found if each.check is not CheckId.SETTLE_TOO_SHORT]
    assert "cooldown" in short.said
    assert {each.severity for each in found} == {Severity.WARNING}


def test_the_pipeline():
    """The compiled pipeline beside the receiver's file, with the detector's rules too."""
    rules = [RULES, str(EXAMPLES / "drift-detector" / "rules.yaml")]

    assert wrong(Sources(EXAMPLES / "pipelines" / "receiver.yaml", rules=rules)) == []


def test_the_workflow(github):
    """The example's workflow with the inputs that its README names."""
    workflow = EXAMPLES / "github" / ".github" / "workflows" / "retrain-model.yaml"
    github.write_text(GITHUB.replace("inputs: {", 'inputs: {reason: "{alertname}", '))

    assert wrong(Sources(github, rules=[RULES], workflows=[workflow])) == []


def documented(folder: Path) -> Path:
    """The configuration of Alertmanager that docs/operations.md shows."""
    section = (ROOT / "docs" / "operations.md").read_text().partition("## Alertmanager\n")[2]
    (text,) = re.findall(r"^```yaml\n(receivers:.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (folder / "alertmanager.yml").write_text(text)
    return folder / "alertmanager.yml"


def test_the_documented_workflow_scans_code(tmp_path, monkeypatch):
    """Its command is ours, what it writes is what it uploads, and it may upload."""
    (job,) = documented_yaml("GitHub's code scanning")["jobs"].values()
    _, _, ran, upload = job["steps"]
    command, _, written = ran["run"].partition(" > ")
    for name, text in {**WORLD, "rules/rules.yml": WORLD["rules.yml"]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, command.split()[1:])

    assert answer.exit_code == 0
    assert json.loads(answer.output)["version"] == "2.1.0"
    assert upload["with"]["sarif_file"] == written
    assert upload["if"] == "always()"  # errors end the step before with 1
    assert documented_yaml("GitHub's code scanning")["permissions"]["security-events"] == "write"


def test_the_hook_is_our_command(tmp_path, monkeypatch):
    """What pre-commit runs, with the documented arguments."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repository,) = documented_yaml("pre-commit")["repos"]
    (used,) = repository["hooks"]
    for name, text in {**WORLD, "rules/rules.yml": WORLD["rules.yml"]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    program, *options = hook["entry"].split()

    assert used["id"] == hook["id"]
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert hook["pass_filenames"] is False
    assert CliRunner().invoke(app, [*options, *used["args"]]).exit_code == 0


def documented_yaml(about: str) -> dict[str, Any]:
    """The block of docs/lint.md behind the sentence that speaks of this."""
    behind = (ROOT / "docs" / "lint.md").read_text().partition(about)[2]
    loaded: dict[str, Any] = yaml.safe_load(behind.partition("```yaml\n")[2].partition("```")[0])
    return loaded


def test_the_documented_route_takes_our_rules(github):
    """They carry the label for which it asks."""
    assert wrong(Sources(github, documented(github.parent), rules=[RULES])) == []


def test_the_documented_route_takes_no_rule_without_its_label(github):
    """As many teams write them: nothing arrives, and that is told."""
    rules = github.parent / "rules.yaml"
    rules.write_text("""\
groups:
  - name: team
    rules:
      - alert: HighModelMAE
        expr: model_mae_score > 0.45
        for: 2m
        labels: {severity: warning}
        annotations: {summary: "High MAE for {{ $labels.user_id }}"}
""")
    chain = gather(Sources(github, documented(github.parent), rules=[str(rules)]))
    assert isinstance(chain, Chain)

    assert {each.check for each in lint(chain) if each.severity is Severity.ERROR} == {
        CheckId.NO_ALERT_ARRIVES,
        CheckId.ALERT_GOES_ELSEWHERE,
    }


@pytest.mark.parametrize("name", ["airflow-2", "airflow-3", "argo-workflows"])
def test_http_targets(name):
    """A target without a pipeline or a workflow has nothing of either to be compared with."""
    sources = Sources(
        config=EXAMPLES / "http" / f"{name}.yaml",
        rules=[RULES],
        packages=[EXAMPLES / "pipelines" / "retrain.yaml"],
    )

    assert wrong(sources) == []
