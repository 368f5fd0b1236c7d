"""Starts and watches runs of a GitHub Actions workflow."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.policies import shown
from receiver.core.reports import Report, report_in_names
from receiver.core.runs import Look, Run, RunState, RunStatus
from receiver.dispatchers.github_answers import (
    GithubAnswer,
    error,
    moved_error,
    read_error,
    start_error,
)
from receiver.dispatchers.github_client import GithubClient
from receiver.dispatchers.github_listing import PAGE_SIZE, READS, RunListing, is_id
from receiver.dispatchers.github_moves import moved_to
from receiver.dispatchers.github_requests import GithubRequest
from receiver.dispatchers.github_tokens import App, TokenPath
from receiver.http import InDoubt, NoAnswer, NotSent, is_server_error

__all__ = ["App", "GithubDispatcher", "TokenPath"]

RUN_DETAILS = "return_run_details"
UNKNOWN_FIELD = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
LONGEST_CALL = 40.0
"""Seconds for one method, with all its requests; the port promises less than a minute."""

MOST_NAMED = 3
"""Environments that a sentence names."""

LAST_JOBS_PAGE = 3
"""A run of more than 300 jobs reports in one of the first."""

SUCCESSES = frozenset({"success", "neutral"})
CANCELLATIONS = frozenset({"cancelled", "skipped", "stale"})
WAITING = "waiting"
"""For a protection rule of an environment; GitHub's other words wait for a machine."""

RAN = frozenset({"success", "neutral", "failure"})
"""Conclusions of jobs and steps that ran: the names of others were never filled in."""


class GithubDispatcher:
    """Dispatches a workflow, finds its runs by their run-name, and polls them by id.

    Attributes:
        lookup_window: How long GitHub's listing may lag behind.
        run_timeout: A run that is older is handed to a human.
        always_shows_id: False, for the workflow's own `run-name` decides.

    """

    always_shows_id = False

    def __init__(
        self,
        *,
        credentials: TokenPath | App,
        ca_file: Path | None,
        lookup_window: timedelta,
        run_timeout: timedelta,
        timeout: timedelta = timedelta(seconds=20),
        read_pause: timedelta = timedelta(milliseconds=500),
    ) -> None:
        self.lookup_window = lookup_window
        self.run_timeout = run_timeout
        self._client = GithubClient(credentials, ca_file, timeout)
        self._read_pause = read_pause
        self._without_details: set[str] = set()

    def start(self, dispatch: Dispatch) -> Run:
        """POST once. Only a definite refusal is followed by another POST that cures it."""
        base_url = dispatch.place["base_url"]
        ends = monotonic() + LONGEST_CALL
        details = base_url not in self._without_details
        answer = self._post(dispatch, ends, details=details)
        if details and answer.status in UNKNOWN_FIELD and RUN_DETAILS in answer.body:
            # GitHub Enterprise Server before 3.21 does not know the field and says so.
            self._without_details.add(base_url)
            answer = self._post(dispatch, ends, details=False)
        if answer.status == HTTPStatus.NO_CONTENT:  # accepted
            return Run(id=None, url=None)
        run_id = answer.content.get("workflow_run_id")
        if answer.status == HTTPStatus.OK and is_id(run_id):
            return Run(id=str(run_id), url=_link(answer.content))
        moved = moved_to(answer, lambda path: self._read(dispatch, path, ends, {}))
        raise start_error(answer, dispatch, self._client.credentials, moved)

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:  # noqa: ARG002
        """Read this workflow's dispatched runs to the end. Of several, the oldest.

        If they don't hold it, all runs of the workflow since then are read as well: that second
        way of asking is the control, so `known` need not be asked for.
        """
        ends = monotonic() + LONGEST_CALL
        listing = RunListing(
            dispatch,
            lambda path, query: self._get(dispatch, path, ends, query),
            self._client.credentials,
        )
        found = _matching(listing.filtered(), dispatch)
        if found is not None:
            return found
        unfiltered: list[Mapping[str, Any]] = []
        found = _matching(_kept(listing.unfiltered(), unfiltered), dispatch)
        return found if found is not None else listing.judged(unfiltered)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """Ask for the run by its id."""
        path = f"{_repository(dispatch)}/actions/runs/{quote(str(dispatch.run_id), safe='')}"
        ends = monotonic() + LONGEST_CALL
        answer = self._get(dispatch, path, ends, {})
        if answer.status == HTTPStatus.NOT_FOUND:
            self._expect_repository(dispatch, ends)
            return RunStatus(RunState.GONE, "not found", dispatch.run_url)
        run = answer.content
        if answer.status != HTTPStatus.OK or not isinstance(run.get("status"), str):
            raise read_error(answer, f"run {dispatch.run_id}", self._client.credentials)
        note = self._waits_for(dispatch, path, ends) if run["status"] == WAITING else ""
        shows_id, attempt = _shows(run, dispatch), run.get("run_attempt")
        return RunStatus(
            _state(run),
            _words(run),
            _link(run),
            shows_id,
            note,
            attempt if is_id(attempt) else None,
        )

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """Read it from the names of the run's jobs and steps, which `Actions: read` may list."""
        run = f"{_repository(dispatch)}/actions/runs/{quote(str(dispatch.run_id), safe='')}"
        names: list[str] = []
        ends = monotonic() + LONGEST_CALL
        for page in range(1, LAST_JOBS_PAGE + 1):
            query = {"filter": "latest", "per_page": str(PAGE_SIZE), "page": str(page)}
            answer = self._get(dispatch, f"{run}/jobs", ends, query)
            jobs = answer.content.get("jobs")
            if answer.status != HTTPStatus.OK or not isinstance(jobs, list):
                what = f"the jobs of run {dispatch.run_id}"
                raise read_error(answer, what, self._client.credentials)
            names += _names_that_ran(jobs)
            if len(jobs) < PAGE_SIZE:
                break
        return report_in_names(names)

    def _expect_repository(self, dispatch: Dispatch, ends: float) -> None:
        """Raise unless the repository is there: else a 404 of a run in it says nothing."""
        answer = self._get(dispatch, _repository(dispatch), ends, {})
        if answer.status != HTTPStatus.OK or "full_name" not in answer.content:
            what = f"the repository of run {dispatch.run_id}, which it says it does not know"
            raise read_error(answer, what, self._client.credentials)

    def _waits_for(self, dispatch: Dispatch, run: str, ends: float) -> str:
        """Say whose approval a waiting run needs; which environments only if GitHub tells."""
        try:
            answer = self._get(dispatch, f"{run}/pending_deployments", ends, {})
        except DispatchError:
            return _approval_of([])
        return _approval_of(_environments(answer.body))

    def _post(self, dispatch: Dispatch, ends: float, *, details: bool) -> GithubAnswer:
        body: dict[str, Any] = {
            "ref": dispatch.place["ref"],
            "inputs": {
                **{name: _text(value) for name, value in dispatch.inputs.items()},
                "dispatch_id": dispatch.id,
            },
        }
        if details:
            body[RUN_DETAILS] = True
        base_url = dispatch.place["base_url"]
        request = GithubRequest(
            "POST", base_url, f"{_workflow(dispatch)}/dispatches", ends, body=body
        )
        try:
            return self._client.send(request)
        except InDoubt as problem:
            raise error(
                f"{base_url} got the dispatch, but its answer was lost: {problem}",
                Failure.UNKNOWN,
            ) from problem
        except NotSent as problem:
            raise error(
                f"{base_url} can't be reached: {problem}", Failure.UNAVAILABLE
            ) from problem

    def _get(
        self, dispatch: Dispatch, path: str, ends: float, query: Mapping[str, str]
    ) -> GithubAnswer:
        """Read; raises if the repository is called otherwise now."""
        answer = self._read(dispatch, path, ends, query)
        moved = moved_to(answer, lambda path: self._read(dispatch, path, ends, {}))
        if moved:
            raise moved_error(answer, moved)
        return answer

    def _read(
        self, dispatch: Dispatch, path: str, ends: float, query: Mapping[str, str]
    ) -> GithubAnswer:
        """Read, and again a little later if the network or a 5xx was in the way."""
        request = GithubRequest("GET", dispatch.place["base_url"], path, ends, query=query)
        retrying = Retrying(
            retry=retry_if_exception_type(NoAnswer) | retry_if_result(_is_server_error),
            stop=stop_after_attempt(READS),
            wait=wait_exponential(self._read_pause.total_seconds(), max=2),
            retry_error_callback=_last_result,
        )
        try:
            return retrying(self._client.send, request)
        except NoAnswer as problem:
            raise error(
                f"{request.base_url} did not answer: {problem}", Failure.UNAVAILABLE
            ) from problem


def _is_server_error(answer: GithubAnswer) -> bool:
    return is_server_error(answer.status)


def _last_result(state: RetryCallState) -> GithubAnswer:
    assert state.outcome is not None  # noqa: S101  tenacity calls it after an attempt
    answer: GithubAnswer = state.outcome.result()
    return answer


def _repository(dispatch: Dispatch) -> str:
    return f"/repos/{quote(dispatch.place['repository'])}"


def _workflow(dispatch: Dispatch) -> str:
    workflow = quote(dispatch.place["workflow"], safe="")
    return f"{_repository(dispatch)}/actions/workflows/{workflow}"


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value)


def _matching(listed: Iterator[Mapping[str, Any]], dispatch: Dispatch) -> Run | None:
    """Read a listing to its end; the oldest run in it that shows the dispatch's id."""
    found: list[Mapping[str, Any]] = []
    try:
        found.extend(run for run in listed if _shows(run, dispatch))
    except DispatchError:
        # Half a listing proves no absence, but a run in it is there; `extend` kept it.
        if not found:
            raise
    if not found:
        return None
    oldest = min(found, key=lambda run: int(run["id"]))
    return Run(id=str(oldest["id"]), url=_link(oldest), shows_id=True)


def _kept(
    listed: Iterator[Mapping[str, Any]], kept: list[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    for run in listed:
        kept.append(run)
        yield run


def _shows(run: Mapping[str, Any], dispatch: Dispatch) -> bool:
    return any(dispatch.id in str(run.get(key)) for key in ("display_title", "name"))


def _names_that_ran(jobs: list[Any]) -> Iterator[str]:
    """The names of jobs that ran and of their steps that ran."""
    for job in jobs:
        steps = job.get("steps") if isinstance(job, dict) else None
        for each in (job, *(steps if isinstance(steps, list) else ())):
            if isinstance(each, dict) and str(each.get("conclusion")) in RAN:
                yield str(each.get("name"))


def _environments(body: str) -> list[str]:
    """Read the names of the environments that hold a run back; none from anything unexpected."""
    try:
        pending = json.loads(body)
    except (ValueError, RecursionError):
        return []
    found = [
        each["environment"].get("name")
        for each in (pending if isinstance(pending, list) else [])
        if isinstance(each, dict) and isinstance(each.get("environment"), dict)
    ]
    return [_word(name) for name in found if isinstance(name, str) and name]


def _approval_of(environments: list[str]) -> str:
    where = "" if not environments else f" of environment {', '.join(environments[:MOST_NAMED])}"
    return f"waits for an approval{where} at GitHub"


def _link(run: Mapping[str, Any]) -> str | None:
    """Read the address of the run's page; nothing else may become a link for operators."""
    url = run.get("html_url")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def _state(run: Mapping[str, Any]) -> RunState:
    # A run is completed a moment before its conclusion is known.
    if run["status"] != "completed" or run.get("conclusion") is None:
        return RunState.RUNNING
    if run["conclusion"] in SUCCESSES:
        return RunState.SUCCEEDED
    return RunState.CANCELLED if run["conclusion"] in CANCELLATIONS else RunState.FAILED


def _words(run: Mapping[str, Any]) -> str:
    words = (run["status"], run.get("conclusion"))
    return "/".join(_word(str(word)) for word in words if word is not None)


def _word(word: str) -> str:
    return word if word.isascii() and word.isidentifier() else shown(word)
