"""The command `lint`: outputs and exit codes."""

import json

import pytest
from typer.testing import CliRunner

from receiver.cli.commands import app
from tests.commands import Peculiar, closed_port
from tests.lint.worlds import ALERTMANAGER, WORLD

LOST = ALERTMANAGER.replace("receiver: retrain", "receiver: nobody", 1)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in WORLD.items():
        (tmp_path / name).write_text(text)

    def run(*options):
        return CliRunner().invoke(app, ["lint", *options])

    return run


ALL = ("--alertmanager", "alertmanager.yml", "--rules", "*.yml")


def test_nothing_wrong(run):
    """Exit code 0, and a word that says so."""
    answer = run(*ALL)

    assert (answer.exit_code, answer.output) == (0, "nothing was found\n")


def test_something_wrong(run, tmp_path):
    """Exit code 1; the text has place, source line, caret, consequence and cure."""
    (tmp_path / "alertmanager.yml").write_text(LOST)

    answer = run(*ALL)

    assert answer.exit_code == 1
    assert answer.output == (
        "alertmanager.yml:6:11: error: no route names the receiver retrain [no-alert-arrives]\n"
        "     6 |   - name: retrain\n"
        "       |           ^\n"
        "    so no alert can reach us\n"
        "    cure: add a route with receiver: retrain under route.routes\n"
        "\n"
        "1 error\n"
    )


def test_warnings_alone(run, tmp_path):
    """Exit code 0: what works today is no reason to stop a build."""
    rules = WORLD["rules.yml"].replace("LowModelR2", "Watchdog")
    (tmp_path / "rules.yml").write_text(rules)

    answer = run(*ALL)

    assert answer.exit_code == 0
    assert "1 note\n" in answer.output


def test_json(run, tmp_path):
    """Each finding is an object; the counts are beside them."""
    (tmp_path / "alertmanager.yml").write_text(LOST)

    answer = json.loads(run(*ALL, "-o", "json").output)

    assert (answer["errors"], answer["warnings"], answer["notes"]) == (1, 0, 0)
    assert answer["findings"][0]["check"] == "no-alert-arrives"
    assert answer["findings"][0]["line"] == 6


def test_sarif(run, tmp_path):
    """What code scanning needs: rules with help, results with place relative to the checkout."""
    (tmp_path / "alertmanager.yml").write_text(LOST)

    answer = json.loads(run(*ALL, "-o", "sarif").output)

    (whole,) = answer["runs"]
    (result,) = whole["results"]
    rule = whole["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert answer["version"] == "2.1.0"
    assert result["ruleId"] == rule["id"] == "no-alert-arrives"
    assert result["level"] == "error"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "alertmanager.yml"},
        "region": {"startLine": 6, "startColumn": 11},
    }
    assert rule["helpUri"].endswith("/docs/lint.md#no-alert-arrives")


def test_explain(run):
    """A check's page, with its examples; an unknown one is a usage error that names all."""
    assert "Bad `alertmanager.yml`" in run("--explain", "no-alert-arrives").output
    unknown = run("--explain", "nothing")
    assert "no check 'nothing'; known: unreadable" in str(unknown.exception)
    assert unknown.exception.exit_code == 2


def test_rules_as_a_shell_gives_them(run, tmp_path):
    """`--rules rules/*.yml` is several files; a file without an option could be anything."""
    (tmp_path / "more.yml").write_text(WORLD["rules.yml"].replace("Model", "Disk"))

    assert "2 alerts come to us" in run(*ALL[:2], "--rules", "rules.yml", "more.yml").output
    assert run("receiver.yaml").exit_code == 2


def test_a_file_that_is_not_there(run):
    """Silence about what was not read would be a lie."""
    answer = run("--alertmanager", "nowhere.yml")

    assert answer.exit_code == 1
    assert (
        "nowhere.yml: error: can't be read: No such file or directory [unreadable]"
        in answer.output
    )


def test_an_invalid_configuration(run, tmp_path):
    """All that check-config refuses."""
    (tmp_path / "receiver.yaml").write_text("policies: [{}]")

    answer = run(*ALL)

    assert answer.exit_code == 1
    assert "policies[0].name: is missing" in answer.output


@pytest.mark.parametrize("option", ["--alertmanager", "--prometheus"])
def test_nobody_answers(run, option):
    """Exit code 4, as of every command that asks."""
    ended = run(option, f"http://127.0.0.1:{closed_port()}")

    assert ended.exception.exit_code == 4


@pytest.mark.parametrize("option", ["--alertmanager", "--prometheus"])
def test_a_stranger_answers(run, option):
    """Some other program's answer is no configuration."""
    with Peculiar(200) as stranger:
        ended = run(option, stranger.url)

    assert ended.exception.exit_code == 1
    assert "not as" in str(ended.exception)
