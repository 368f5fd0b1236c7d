"""Starts and watches runs on a KFP server, through its REST API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kfp_server_api

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.policies import shown
from receiver.core.reports import MARK, Report, Verdict, merge_reports
from receiver.core.runs import Absent, Look, NotSeen, Run, RunState, RunStatus
from receiver.dispatchers.kfp_api import KfpApi
from receiver.dispatchers.pipelines import (
    Value,
    fill_parameters,
    is_package,
    package,
    read_package,
    refusal,
    run_id,
    run_name,
)

STATES = {
    "SUCCEEDED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "CANCELED": RunState.CANCELLED,
    # Nothing was trained, and nothing went wrong.
    "SKIPPED": RunState.CANCELLED,
}
"""The states that end a run. Any other, also one we never heard of, is still running."""

NO_ID_OF_THAT_NAME = HTTPStatus.NOT_FOUND

BEFORE_THE_POST = {Failure.UNKNOWN: Failure.UNAVAILABLE}
"""Whatever went wrong, nothing was asked for yet."""

LOOKING = {Failure.REFUSED: Failure.UNKNOWN, Failure.UNAVAILABLE: Failure.UNKNOWN}
"""A look that failed tells nothing about the run."""


class KfpDispatcher:
    """Starts and watches runs on KFP servers.

    A run's id is chosen by us (`pipelines.run_id`), so that it can be looked up even if the answer
    was lost. KFP takes it over in every 2.x release but does not promise to; therefore the run's
    display name carries the dispatch's id as well, and a look-up searches both.
    """

    always_shows_id = True

    def __init__(
        self,
        *,
        token_file: Path | None,
        ca_file: Path | None,
        lookup_window: timedelta,
        run_timeout: timedelta,
        timeout: timedelta = timedelta(seconds=20),
    ) -> None:
        self.lookup_window = lookup_window
        self.run_timeout = run_timeout
        self._token_file = token_file
        self._ca_file = ca_file
        self._timeout = timeout
        self._experiments: dict[tuple[str, str, str], str] = {}

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        """Look the run of any attempt in doubt up, by its id or else by its name.

        Its experiment was there before the POST, and so was the run of `known`: a server that does
        not show these any more, for its database was lost or it is another server, proves nothing.
        """
        api, namespace = self._api(dispatch), dispatch.place.get("namespace", "")
        with _telling(LOOKING):
            for attempt in dispatch.in_doubt:
                found = api.get_run(run_id(dispatch.id, attempt))
                if found is not None:
                    return _run(dispatch, found)
            for found in api.runs_named(run_name(dispatch), namespace):
                if found.get("display_name") == run_name(dispatch):
                    return _run(dispatch, found)
            if not self._experiment_answers(api, dispatch):
                return NotSeen("the KFP server does not show the run's experiment either")
            if known is not None and api.get_run(known.run_id or "") is None:
                return NotSeen(
                    f"the KFP server does not show run {known.run_id} either, which it had shown"
                )
        return Absent()

    def start(self, dispatch: Dispatch) -> Run:
        """Send one POST that asks for a run with this attempt's id.

        What must be known before is read first. If an experiment we remembered is gone, KFP's 404
        proves that nothing ran: it is looked up anew, and the POST sent once more.
        """
        remembered = self._experiment(dispatch) in self._experiments
        try:
            return self._create(dispatch)
        except DispatchError as error:
            if error.status_code != NO_ID_OF_THAT_NAME or not remembered:
                raise
        self._experiments.pop(self._experiment(dispatch), None)
        return self._create(dispatch)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run stands now."""
        with _telling(LOOKING):
            found = self._api(dispatch).get_run(dispatch.run_id or "")
            if found is None:
                answers = self._experiment_answers(self._api(dispatch), dispatch)
        if found is None:
            if answers:
                return RunStatus(RunState.GONE, "the KFP server does not know the run")
            raise DispatchError(
                "the KFP server knows neither the run nor its experiment: another server answers, "
                "or its database was lost",
                Failure.UNKNOWN,
            )
        word = str(found.get("state") or "RUNTIME_STATE_UNSPECIFIED")
        state = STATES.get(word, RunState.RUNNING)
        return RunStatus(
            state,
            shown(word).strip("'") + (_reason(found) if state is RunState.FAILED else ""),
            _url(dispatch, dispatch.run_id or ""),
            shows_id=True,
        )

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """Read it from the names of the tasks that succeeded.

        KFP 2.x shows names and states of tasks; their output parameters are not in its API.
        """
        with _telling(LOOKING):
            found = self._api(dispatch).get_run(dispatch.run_id or "")
        succeeded = {
            str(task.get("display_name"))
            for task in _tasks(found or {})
            if task.get("state") == "SUCCEEDED"
        }
        return merge_reports(
            Report(verdict) for verdict in Verdict if f"{MARK}-{verdict}" in succeeded
        )

    def _create(self, dispatch: Dispatch) -> Run:
        with _telling(BEFORE_THE_POST):
            wanted = self._order(self._api(dispatch), dispatch)
        # An `_api` of its own: slow look-ups must not leave the POST too little time.
        return _accepted(dispatch, wanted, self._api(dispatch).create_run(wanted))

    def _order(self, api: KfpApi, dispatch: Dispatch) -> kfp_server_api.V2beta1Run:
        """Put together what is POSTed; look up the ids that are not remembered."""
        pipeline, parameters = _pipeline(api, dispatch)
        return kfp_server_api.V2beta1Run(
            run_id=run_id(dispatch.id, dispatch.attempt),
            display_name=run_name(dispatch),
            description=(
                f"Started by retrain-receiver: model {dispatch.model}, policy {dispatch.policy}, "
                f"dispatch {dispatch.id}, attempt {dispatch.attempt}."
            ),
            experiment_id=self._experiment_id(api, dispatch),
            runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters=parameters),
            service_account=dispatch.place.get("service_account") or None,
            **pipeline,
        )

    def _experiment(self, dispatch: Dispatch) -> tuple[str, str, str]:
        """Endpoint, namespace and name. Only a standalone KFP has a default experiment."""
        namespace = dispatch.place.get("namespace", "")
        name = dispatch.place.get("experiment") or ("Default" if namespace else "")
        return dispatch.place["endpoint"], namespace, name

    def _experiment_answers(self, api: KfpApi, dispatch: Dispatch) -> bool:
        """Whether the server shows what every run of ours lies in."""
        _, namespace, name = self._experiment(dispatch)
        if not name:
            api.list_experiments(namespace)
            return True
        return api.has_experiment(name, namespace)

    def _experiment_id(self, api: KfpApi, dispatch: Dispatch) -> str | None:
        experiment = self._experiment(dispatch)
        _, namespace, name = experiment
        if not name:
            return None
        if experiment not in self._experiments:
            self._experiments[experiment] = api.experiment_id(name, namespace)
        return self._experiments[experiment]

    def _api(self, dispatch: Dispatch) -> KfpApi:
        return KfpApi(
            dispatch.place["endpoint"],
            token_file=self._token_file,
            ca_file=self._ca_file,
            timeout=self._timeout,
        )


def _pipeline(api: KfpApi, dispatch: Dispatch) -> tuple[dict[str, Any], dict[str, Value]]:
    """Which pipeline, as fields of the run, and its parameters."""
    name, namespace = dispatch.place["pipeline"], dispatch.place.get("namespace", "")
    caching = dispatch.place.get("enable_caching")
    if is_package(name):
        compiled = read_package(Path(name))
        wanted = compiled if caching == "true" else compiled.without_cache()
        fields = {"pipeline_spec": wanted.body}
    else:
        version = api.version(name, namespace, dispatch.place.get("pipeline_version", ""))
        compiled = package(
            [version.get("pipeline_spec")],
            f"the KFP server does not show what the pipeline {shown(name)} declares: upload it "
            "again, or give the path of a compiled package",
        )
        fields = {
            "pipeline_version_reference": kfp_server_api.V2beta1PipelineVersionReference(
                pipeline_id=version["pipeline_id"],
                pipeline_version_id=version.get("pipeline_version_id"),
            )
        }
        if caching == "false" and compiled.caches:
            # What a version says of its cache can't be overruled beside it.
            fields = {"pipeline_spec": compiled.without_cache().body}
    parameters = fill_parameters(compiled.spec, dispatch)
    for parameter, value in parameters.items():
        if isinstance(value, str) and "[[" in value:
            # KFP's backend expands [[RunUUID]] and others inside parameters.
            raise refusal(f"the parameter {shown(parameter)} holds '[[', which KFP would expand")
    return fields, parameters


def _accepted(
    dispatch: Dispatch, wanted: kfp_server_api.V2beta1Run, answer: Mapping[str, Any]
) -> Run:
    """Take the run for ours if the answer proves it: by our id, or by the name that holds it."""
    if answer.get("run_id") and (
        answer["run_id"] == wanted.run_id or answer.get("display_name") == wanted.display_name
    ):
        return _run(dispatch, answer)
    raise DispatchError(
        f"the KFP server answered 200 without naming the run {wanted.run_id}, which may exist",
        Failure.UNKNOWN,
        status_code=int(HTTPStatus.OK),
    )


def _run(dispatch: Dispatch, found: Mapping[str, Any]) -> Run:
    name = found.get("run_id")
    if not isinstance(name, str) or not name:
        raise DispatchError("the KFP server showed a run without an id", Failure.UNKNOWN)
    return Run(name, _url(dispatch, name), shows_id=True)


def _url(dispatch: Dispatch, run: str) -> str | None:
    """Link to the run's page; the API does not say where that is, only `ui_url` does."""
    ui = dispatch.place.get("ui_url", "").rstrip("/")
    if not ui:
        return None
    namespace = dispatch.place.get("namespace", "")
    where = f"/_/pipeline/?ns={quote(namespace, safe='')}" if namespace else "/"
    return f"{ui}{where}#/runs/details/{quote(run, safe='')}"


def _tasks(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    match found.get("run_details"):
        case {"task_details": list(tasks)}:
            return [task for task in tasks if isinstance(task, dict)]
    return []


def _reason(found: Mapping[str, Any]) -> str:
    """Why a run failed: its own error, or else the first failed task's.

    What the workflow says of a step comes back with the task only.
    """
    said = _message(found)
    if said:
        return f": {shown(said, 200)}"
    failed = [task for task in _tasks(found) if task.get("state") == "FAILED"]
    # The graph that holds a failed step has failed too, without a word of its own.
    task = next(filter(_message, failed), failed[-1] if failed else None)
    if task is None:
        return ""
    name, said = shown(str(task.get("display_name") or "a task")), _message(task)
    return f": {name} failed" + (f": {shown(said, 200)}" if said else "")


def _message(found: Mapping[str, Any]) -> str:
    match found.get("error"):
        case {"message": str(message)}:
            return message
    return ""


@contextmanager
def _telling(failures: Mapping[Failure, Failure]) -> Iterator[None]:
    """Say what a failed request tells about the run, which is not what it tells about itself."""
    try:
        yield
    except DispatchError as error:
        raise DispatchError(
            str(error),
            failures.get(error.failure, error.failure),
            status_code=error.status_code,
            retry_after=error.retry_after,
        ) from error
