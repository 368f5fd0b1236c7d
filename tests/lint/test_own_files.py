"""What this project itself gives to others to copy is lint-clean, and stays so."""

import re
from pathlib import Path

import pytest

from receiver.lint.chain import Chain
from receiver.lint.findings import CheckId, Finding, Severity
from receiver.lint.gathering import Sources, gather
from receiver.lint.linting import lint
from tests.lint.worlds import GITHUB

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
