"""Questions to a KFP server, and what became of each."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import kfp_server_api

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.policies import shown
from receiver.dispatchers.kfp_client import KfpAnswer, KfpClient
from receiver.dispatchers.kfp_cures import cure_of
from receiver.dispatchers.refusals import REFUSALS
from receiver.http import LONGEST_QUOTE, WRITE_HTTPS, is_redirect, wants_tls
from receiver.secret_files import BadFile, read_token

TOGETHER = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MOST_PAGES = 20


class Ask(Protocol):
    """A method of the generated client."""

    def __call__(self, *args: Any, _preload_content: bool, **kwargs: Any) -> Any:
        """Send one request."""


class KfpApi:
    """One KFP server. Raises `DispatchError` that says what became of the request.

    Made anew for each use: all its requests together take at most about `TOGETHER`.
    """

    def __init__(
        self, endpoint: str, *, token_file: Path | None, ca_file: Path | None, timeout: timedelta
    ) -> None:
        self._token_file = token_file
        settings = kfp_server_api.Configuration(host=endpoint.rstrip("/"))
        if token_file is not None:
            settings.api_key_prefix["authorization"] = "Bearer"
            settings.api_key["authorization"] = ""
            settings.refresh_api_key_hook = self._refresh
        client = KfpClient(settings, ca_file, timeout, together=TOGETHER)
        self._token = ""
        self._runs = kfp_server_api.RunServiceApi(client)
        self._experiments = kfp_server_api.ExperimentServiceApi(client)
        self._pipelines = kfp_server_api.PipelineServiceApi(client)

    def create_run(self, run: kfp_server_api.V2beta1Run) -> dict[str, Any]:
        """Send the one POST that starts a run; what the server says it is."""
        return self._ask(self._runs.run_service_create_run, run)

    def get_run(self, run_id: str) -> dict[str, Any] | None:
        """Read the run of that id; None if KFP itself says that there is none."""
        run = self._find(self._runs.run_service_get_run, run_id)
        if run is not None and run.get("run_id") != run_id:
            raise DispatchError(
                "the KFP server showed another run than the one asked for", Failure.UNKNOWN
            )
        return run

    def runs_named(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """All runs of that display name, oldest first, read to the listing's end."""
        return list(
            self._pages(
                "runs",
                self._runs.run_service_list_runs,
                filter=_named(name),
                sort_by="created_at asc",
                **_within(namespace),
            )
        )

    def list_experiments(self, namespace: str) -> list[dict[str, Any]]:
        """A first page of experiments: whether we are let in."""
        listing = self._experiments.experiment_service_list_experiments
        return _objects(self._ask(listing, page_size=1, **_within(namespace)), "experiments")

    def has_experiment(self, name: str, namespace: str) -> bool:
        """Whether the server shows an experiment of that name."""
        return self._experiment(name, namespace) is not None

    def experiment_id(self, name: str, namespace: str) -> str:
        """Find the experiment of that name, or make it; its id."""
        found = self._experiment(name, namespace)
        if found is not None:
            return found
        wanted = kfp_server_api.V2beta1Experiment(display_name=name, **_within(namespace))
        try:
            made = self._ask(self._experiments.experiment_service_create_experiment, wanted)
        except DispatchError as error:
            # Another receiver, or the same call whose answer was lost, may have made it meanwhile.
            found = None if error.status_code is None else self._experiment(name, namespace)
            if found is None:
                raise
            return found
        return _id(made, "experiment_id")

    def version(self, pipeline: str, namespace: str, name: str = "") -> dict[str, Any]:
        """Read a version of an uploaded pipeline, our namespace's before a shared one.

        The newest unless it is named.
        """
        for where in dict.fromkeys((namespace, "")):
            found = self._find(
                self._pipelines.pipeline_service_get_pipeline_by_name, pipeline, **_within(where)
            )
            if found is not None:
                break
        else:
            raise DispatchError(
                f"the KFP server has no pipeline named {shown(pipeline)}: upload it, or give the "
                "path of a compiled package",
                Failure.REFUSED,
            )
        pipeline_id = _id(found, "pipeline_id")
        for version in self._versions(pipeline_id):
            if name in ("", version.get("display_name"), version.get("pipeline_version_id")):
                return {**version, "pipeline_id": pipeline_id}
        raise DispatchError(
            f"the pipeline {shown(pipeline)} has no version {shown(name)}: upload it, or mend "
            "pipeline_version"
            if name
            else f"the pipeline {shown(pipeline)} has no version: upload one",
            Failure.REFUSED,
        )

    def _versions(self, pipeline_id: str) -> Iterator[dict[str, Any]]:
        """Those of a pipeline, the newest first."""
        listing = partial(
            self._pipelines.pipeline_service_list_pipeline_versions,
            pipeline_id,
            sort_by="created_at desc",
        )
        return self._pages("pipeline_versions", listing)

    def _experiment(self, name: str, namespace: str) -> str | None:
        listing = self._experiments.experiment_service_list_experiments
        for found in self._pages(
            "experiments", listing, filter=_named(name), **_within(namespace)
        ):
            if found.get("display_name") == name:
                return _id(found, "experiment_id")
        return None

    def _pages(self, what: str, call: Ask, **query: str) -> Iterator[dict[str, Any]]:
        for _ in range(MOST_PAGES):
            page = self._ask(call, page_size=100, **query)
            yield from _objects(page, what)
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]
        raise DispatchError(f"the KFP server's list of {what} does not end", Failure.UNKNOWN)

    def _find(self, call: Ask, *arguments: Any, **query: Any) -> dict[str, Any] | None:
        answer = self._send(call, *arguments, **query)
        return None if answer.is_not_found else self._content(answer)

    def _ask(self, call: Ask, *arguments: Any, **query: Any) -> dict[str, Any]:
        return self._content(self._send(call, *arguments, **query))

    def _send(self, call: Ask, *arguments: Any, **query: Any) -> KfpAnswer:
        """Send once, and once more if the token was not accepted: that proves nothing ran."""
        answer: KfpAnswer = call(*arguments, _preload_content=False, **query)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._token_file is not None:
            answer = call(*arguments, _preload_content=False, **query)
        return answer

    def _content(self, answer: KfpAnswer) -> dict[str, Any]:
        content = answer.content
        if answer.status == HTTPStatus.OK and content is not None:
            return content
        raise self._error(answer)

    def _error(self, answer: KfpAnswer) -> DispatchError:
        status, said = answer.status, self._quoted(answer)
        failure, wait = Failure.UNKNOWN, None
        sentence = f"the KFP server answered {status}: {said}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            failure, wait = Failure.UNAVAILABLE, _asked_wait(answer)
        elif status in REFUSALS:
            failure = Failure.REFUSED
        elif is_redirect(status):
            host = urlsplit(answer.getheader("location") or "").netloc
            sentence = (
                f"the KFP server answered {status} and points to {shown(host)}: probably a login "
                "page; use the endpoint inside the cluster, or `token_file`"
            )
        elif status == HTTPStatus.OK:
            sentence = f"the KFP server answered 200 with something that is not its JSON: {said}"
        cure = None if status == HTTPStatus.OK or is_redirect(status) else cure_of(status, said)
        if wants_tls(answer):
            cure = WRITE_HTTPS
        if cure is not None:
            sentence += f"; {cure}"
        return DispatchError(sentence, failure, status_code=status, retry_after=wait)

    def _quoted(self, answer: KfpAnswer) -> str:
        content = answer.content or {}
        said = (
            content.get("message") or content.get("error") or answer.body.decode(errors="replace")
        )
        # Some proxies show the request they reject.
        said = str(said).replace(self._token, "[token]") if self._token else str(said)
        return shown(said, LONGEST_QUOTE)

    def _refresh(self, settings: Any) -> None:
        """Read the token anew for each request: kubelet replaces it long before it expires."""
        try:
            token = read_token(self._token_file or Path())
        except BadFile as problem:
            raise DispatchError(str(problem), Failure.UNAVAILABLE) from problem
        self._token = settings.api_key["authorization"] = token


def _named(name: str) -> str:
    """KFP's filter language: exactly this display name."""
    return json.dumps(
        {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    )


def _within(namespace: str) -> dict[str, str]:
    """Name the namespace, except to a standalone KFP: it refuses to be asked for one."""
    return {"namespace": namespace} if namespace else {}


def _objects(page: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = page.get(name) or []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _id(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise DispatchError(f"the KFP server's answer has no {name}", Failure.UNKNOWN)
    return value


def _asked_wait(answer: KfpAnswer) -> timedelta | None:
    seconds = (answer.getheader("retry-after") or "").strip()
    if not re.fullmatch("[0-9]{1,9}", seconds):
        return None
    return min(timedelta(seconds=int(seconds)), LONGEST_WAIT)
