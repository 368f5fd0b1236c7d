"""Starts and watches runs of a GitHub Actions workflow."""

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
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
from receiver.core.runs import Run, RunState, RunStatus
from receiver.dispatchers.github_answers import GithubAnswer, error, read_error, start_error
from receiver.dispatchers.github_client import GithubClient
from receiver.dispatchers.github_requests import GithubRequest
from receiver.dispatchers.github_tokens import App, TokenPath
from receiver.http import InDoubt, NoAnswer, NotSent, is_server_error

__all__ = ["App", "GithubDispatcher", "TokenPath"]

RUN_DETAILS = "return_run_details"
UNKNOWN_FIELD = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
LONGEST_CALL = 40.0
"""Seconds for one method, with all its requests; the port promises less than a minute."""

CLOCK_DIFFERENCE = timedelta(hours=1)
"""The listing is asked from so long before the dispatch, for GitHub's clock counts there: with a
smaller margin, a clock of ours that is ahead would prove a run absent that exists."""

PAGE_SIZE = 100
LAST_PAGE = 10
"""GitHub lists 1,000 runs at most, however many there are."""

LAST_JOBS_PAGE = 3
"""A run of more than 300 jobs reports in one of the first."""

READS = 3
SUCCESSES = frozenset({"success", "neutral"})
CANCELLATIONS = frozenset({"cancelled", "skipped", "stale"})
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
        if answer.status == HTTPStatus.OK and _is_id(run_id):
            return Run(id=str(run_id), url=_link(answer.content))
        raise start_error(answer, dispatch, self._client.credentials)

    def find(self, dispatch: Dispatch) -> Run | None:
        """Read this workflow's dispatched runs to the end. Of several, the oldest."""
        found: list[Mapping[str, Any]] = []
        try:
            found.extend(run for run in self._listed(dispatch) if _shows(run, dispatch))
        except DispatchError:
            # Half a listing proves no absence, but a run in it is there; `extend` kept it.
            if not found:
                raise
        if not found:
            return None
        oldest = min(found, key=lambda run: int(run["id"]))
        return Run(id=str(oldest["id"]), url=_link(oldest), shows_id=True)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """Ask for the run by its id."""
        path = f"{_repository(dispatch)}/actions/runs/{quote(str(dispatch.run_id), safe='')}"
        answer = self._get(dispatch, path, monotonic() + LONGEST_CALL, {})
        if answer.status == HTTPStatus.NOT_FOUND:
            return RunStatus(RunState.GONE, "not found", dispatch.run_url)
        run = answer.content
        if answer.status != HTTPStatus.OK or not isinstance(run.get("status"), str):
            raise read_error(answer, f"run {dispatch.run_id}", self._client.credentials)
        return RunStatus(_state(run), _words(run), _link(run), _shows(run, dispatch))

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

    def _listed(self, dispatch: Dispatch) -> Iterator[Mapping[str, Any]]:
        """Read all runs that GitHub lists; raises if that can't be done.

        Not filtered by branch, for `ref` may be a tag; and read by what GitHub counts, for its
        pages may come short.
        """
        since = dispatch.created_at.astimezone(UTC) - CLOCK_DIFFERENCE
        query = {
            "event": "workflow_dispatch",
            "created": f">={since:%Y-%m-%dT%H:%M:%SZ}",
            "per_page": str(PAGE_SIZE),
        }
        ends = monotonic() + LONGEST_CALL
        seen: set[int] = set()
        total = 0
        for _ in range(READS):  # a run that starts meanwhile moves the others: begin again
            seen.clear()
            for page in range(1, LAST_PAGE + 1):
                asked = query | {"page": str(page)}
                answer = self._get(dispatch, f"{_workflow(dispatch)}/runs", ends, asked)
                counted, runs = self._page(answer)
                total = max(total, counted)
                seen |= {run["id"] for run in runs}
                yield from runs
                if len(seen) >= total:
                    return
                if not runs:
                    break
            else:
                raise error(
                    f"GitHub's listing of {dispatch.place['workflow']} is too long: {total} runs",
                    Failure.UNKNOWN,
                )
        raise error(
            f"GitHub listed {len(seen)} of {total} runs; the listing is not complete",
            Failure.UNAVAILABLE,
        )

    def _page(self, answer: GithubAnswer) -> tuple[int, list[dict[str, Any]]]:
        total, runs = (answer.content.get(key) for key in ("total_count", "workflow_runs"))
        if (
            answer.status == HTTPStatus.OK
            and isinstance(total, int)
            and isinstance(runs, list)
            and all(isinstance(run, dict) and _is_id(run.get("id")) for run in runs)
        ):
            return total, runs
        raise read_error(answer, "the list of runs", self._client.credentials)

    def _get(
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


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shows(run: Mapping[str, Any], dispatch: Dispatch) -> bool:
    return any(dispatch.id in str(run.get(key)) for key in ("display_title", "name"))


def _names_that_ran(jobs: list[Any]) -> Iterator[str]:
    """The names of jobs that ran and of their steps that ran."""
    for job in jobs:
        steps = job.get("steps") if isinstance(job, dict) else None
        for each in (job, *(steps if isinstance(steps, list) else ())):
            if isinstance(each, dict) and str(each.get("conclusion")) in RAN:
                yield str(each.get("name"))


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
