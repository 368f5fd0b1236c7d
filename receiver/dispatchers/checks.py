"""Whether a target lets us in: reads what a run would need, and starts nothing."""

import subprocess
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from receiver.core.dispatches import Failure
from receiver.core.http_api import HttpApi
from receiver.core.policies import shown
from receiver.dispatchers.github_answers import GithubAnswer, error, moved_error, read_error
from receiver.dispatchers.github_client import GithubClient
from receiver.dispatchers.github_moves import moved_to
from receiver.dispatchers.github_requests import GithubRequest
from receiver.dispatchers.github_tokens import App, TokenPath
from receiver.dispatchers.http_client import HttpAccess, HttpClient
from receiver.dispatchers.kfp_api import KfpApi
from receiver.dispatchers.kfp_local import CURE
from receiver.dispatchers.pipelines import is_package, package, read_package, refusal
from receiver.http import NoAnswer
from receiver.secret_files import BadFile

PATIENCE = timedelta(seconds=20)
SLOW_IMPORT = 60
"""Seconds: the SDK takes 3 on an idle machine."""


def check_github(
    place: Mapping[str, str], credentials: App | TokenPath, ca_file: Path | None
) -> str:
    """Read the workflow. Raises `DispatchError` that says what to mend."""
    client = GithubClient(credentials, ca_file, PATIENCE)
    repository, workflow = place["repository"], place["workflow"]
    path = f"/repos/{quote(repository)}/actions/workflows/{quote(workflow, safe='')}"
    ends = monotonic() + PATIENCE.total_seconds()

    def ask(asked: str) -> GithubAnswer:
        return client.send(GithubRequest("GET", place["base_url"], asked, ends))

    try:
        answer = ask(path)
    except NoAnswer as problem:
        said = f"{place['base_url']} can't be reached: {problem}"
        raise error(said, Failure.UNAVAILABLE) from problem
    moved = moved_to(answer, ask)
    if moved:
        raise moved_error(answer, moved)
    state = answer.content.get("state")
    if answer.status != HTTPStatus.OK or state is None:
        raise read_error(answer, f"the workflow {workflow} of {repository}", client.credentials)
    if state != "active":
        raise refusal(
            f"GitHub says that {workflow} is {shown(str(state))}; enable it on the repository's "
            "Actions page"
        )
    return (
        f"{client.credentials} reads {workflow} of {repository}; that it may also start runs "
        "(Actions: write) only a run shows"
    )


def check_kfp(place: Mapping[str, str], token_file: Path | None, ca_file: Path | None) -> str:
    """List experiments and find the pipeline. Raises `DispatchError` that says what to mend."""
    endpoint, namespace = place["endpoint"], place.get("namespace", "")
    api = KfpApi(endpoint, token_file=token_file, ca_file=ca_file, timeout=PATIENCE)
    api.list_experiments(namespace)
    cached = False
    if is_package(place["pipeline"]):
        read_package(Path(place["pipeline"]))
    else:
        version = api.version(place["pipeline"], namespace, place.get("pipeline_version", ""))
        cached = "enable_caching" not in place and _caches(version)
    where = f" in {namespace}" if namespace else ""
    said = f"{endpoint} shows us its experiments{where}; the pipeline is there"
    cure = ", and its steps may be answered from the cache (enable_caching: false ends that)"
    return said + cure if cached else said


def _caches(version: Mapping[str, Any]) -> bool:
    return package([version.get("pipeline_spec")], "the server does not show it").caches


def check_http(place: Mapping[str, str], access: HttpAccess) -> str:
    """Read `check_url`, and sign nothing. Raises `DispatchError` that says what to mend."""
    api = HttpApi.at(place)
    try:
        access.signature("check", b"")
    except BadFile as problem:
        raise refusal(str(problem)) from problem
    if api.check_url is None:
        return (
            f"{place['base_url']} was not asked, for nothing says what shows that it is well: "
            "write its check_url"
        )
    url = HttpClient(access, PATIENCE).check(api, place)
    return f"{url} answers; that a run may be started only a run shows"


def check_local(place: Mapping[str, str], python: Path) -> str:
    """See that interpreter, SDK and package are there. Raises `DispatchError` with the cure."""
    read_package(Path(place["pipeline"]))
    try:
        tried = subprocess.run(  # noqa: S603  a configured interpreter
            [python, "-I", "-c", "import kfp.local"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=SLOW_IMPORT,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise refusal(f"cannot run {python}: {shown(str(problem), 200)}: {CURE}") from problem
    if tried.returncode != 0:
        raise refusal(f"{python} has no kfp SDK: {CURE}")
    return f"{python} has the kfp SDK; {place['pipeline']} is a compiled pipeline"
