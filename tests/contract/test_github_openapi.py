"""What we send, checked against GitHub's own OpenAPI descriptions."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from receiver.core.runs import Absent, RunState
from receiver.dispatchers.github import GithubDispatcher
from tests.contract.github_setup import (
    dispatch_to_url,
    dispatcher_with,
    failure_to_start,
    token_file,
)

HERE = Path(__file__).parent
PRISM = HERE / "node_modules/@stoplight/prism-cli/dist/index.js"
INSTALL = "npm ci --ignore-scripts --prefix tests/contract"


def serve(description):
    """Run prism until the test is over; it says itself where it listens."""
    node = shutil.which("node")
    if node is None or not PRISM.exists():
        missing = f"prism is not installed: {INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    command = [node, PRISM, "mock", "-h", "127.0.0.1", "-p", "0", "-m", "false"]
    with subprocess.Popen(
        [*command, HERE / "openapi" / description],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as prism:
        try:
            yield listening_address(prism)
        finally:
            prism.kill()


def listening_address(prism):
    said = []
    for line in prism.stdout:
        said.append(line)
        if match := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
            return match[1]
    pytest.fail(f"prism did not start: {''.join(said)}")


@pytest.fixture(scope="module")
def github():
    yield from serve("github-openapi.json")


@pytest.fixture(scope="module")
def enterprise():
    yield from serve("ghes-3.19-openapi.json")


@pytest.fixture
def dispatcher(tmp_path) -> GithubDispatcher:
    return dispatcher_with(token_file(tmp_path))


def test_github_takes_our_dispatch_and_names_the_run(github, dispatcher):
    """The answer's form is the description's own example."""
    run = dispatcher.start(dispatch_to_url(github))

    assert run.id.isdecimal()
    assert run.url.startswith("https://")


def test_github_takes_our_look_up(github, dispatcher):
    """The filters are known, and the example's listing is read to its end."""
    assert dispatcher.find(dispatch_to_url(github)) == Absent()


def test_github_takes_our_poll(github, dispatcher):
    """The run's state is where we look for it."""
    status = dispatcher.poll(dispatch_to_url(github, run_id="30433642"))

    assert status.state is RunState.RUNNING
    assert status.detail == "queued"


def test_github_takes_our_question_for_jobs(github, dispatcher):
    """The filters are known, and the jobs are where we look for them."""
    assert dispatcher.read_report(dispatch_to_url(github, run_id="30433642")) is None


def test_github_refuses_more_inputs_than_it_declares(github, dispatcher):
    """The description is really asked: it knows a limit that our code does not."""
    inputs = {f"input_{n}": "x" for n in range(25)}

    error = failure_to_start(dispatcher, dispatch_to_url(github, inputs=inputs))

    assert error.status_code == 422


def test_an_older_enterprise_server_is_asked_without_the_field(enterprise, dispatcher):
    """It refuses `return_run_details`, and then accepts without naming the run."""
    assert dispatcher.start(dispatch_to_url(enterprise)).id is None


def test_an_older_enterprise_server_takes_our_reads(enterprise, dispatcher):
    """Listing and polling work as on github.com."""
    dispatch = dispatch_to_url(enterprise, run_id="30433642")

    assert dispatcher.find(dispatch) == Absent()
    assert dispatcher.poll(dispatch).state is RunState.RUNNING
    assert dispatcher.read_report(dispatch) is None
