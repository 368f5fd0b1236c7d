"""A small KFP API server on localhost: it remembers its runs, and fails when it is told to."""

import json
from collections.abc import Mapping
from threading import Event, Lock
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import kfp_server_api

from tests.peers.kfp_wire import OPERATIONS, Fault, KfpError, Seen, handler
from tests.peers.loopback import Loopback

__all__ = ["OPERATIONS", "Fault", "KfpError", "KfpPeer", "Seen"]


class KfpPeer(Loopback):
    """The server. `with KfpPeer() as peer:` serves on `peer.url` until the block ends.

    Attributes:
        multi_user: Whether listings and experiments need a namespace, as in full Kubeflow.
        token: The bearer token it accepts; None accepts anyone.
        ignores_ids: Whether it numbers runs itself, as the proto's comment says it may.
        page_size: How many entries a page of a listing holds at most.
        starts: How many POSTs asked for a run.
        runs, experiments: What it knows, by id.
        seen: Every request, in order.
        released: Ends every `hang`; set when the block ends.

    """

    def __init__(self, *, multi_user: bool = False, token: str | None = None) -> None:
        self.multi_user = multi_user
        self.token = token
        self.ignores_ids = False
        self.page_size = 100
        self.starts = 0
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.seen: list[Seen] = []
        self.released = Event()
        self._faults: list[tuple[str, Fault]] = []
        self._lock = Lock()
        super().__init__(handler(self), waits=True)

    def __exit__(self, *_: object) -> None:
        self.released.set()
        super().__exit__()

    def answer_next(self, fault: Fault, *, to: str = "create_run", times: int = 1) -> None:
        """Answer the next requests for this operation wrongly.

        `to` is one of `OPERATIONS`.
        """
        self._faults += [(to, fault)] * times

    def hang(self, *, accept: bool = False, to: str = "create_run") -> None:
        """Answer the next request not before `released` is set, and then with a cut."""
        self.answer_next(Fault(accept=accept, act=self.released.wait), to=to)

    def finish(self, run_id: str, state: str = "SUCCEEDED", error: str | None = None) -> None:
        """Let a run come to its end, or to any other state."""
        self.runs[run_id]["state"] = state
        if error is not None:
            self.runs[run_id]["error"] = {"code": 2, "message": error}

    def upload(
        self, name: str, spec: Mapping[str, Any], *, namespace: str = "", version_name: str = ""
    ) -> str:
        """Store one more version of a pipeline; the version's id."""
        pipeline = self.pipelines.setdefault(
            name, {"pipeline_id": str(uuid4()), "namespace": namespace, "versions": []}
        )
        version = {
            "pipeline_id": pipeline["pipeline_id"],
            "pipeline_version_id": str(uuid4()),
            "display_name": version_name,
            "pipeline_spec": dict(spec),
        }
        pipeline["versions"].insert(0, version)
        return version["pipeline_version_id"]

    def add_experiment(self, name: str, namespace: str = "") -> str:
        """Store an experiment; its id."""
        experiment = {
            "experiment_id": str(uuid4()),
            "display_name": name,
            "namespace": namespace,
        }
        self.experiments[experiment["experiment_id"]] = experiment
        return experiment["experiment_id"]

    def respond(self, seen: Seen) -> tuple[Fault | None, dict[str, Any] | KfpError]:
        """Do what one request asks for; the fault that is due, if one is, and the right answer."""
        with self._lock:
            self.seen.append(seen)
            self.starts += seen.operation == "create_run"
            due = next((one for one in self._faults if one[0] == seen.operation), None)
            fault = None
            if due is not None:
                self._faults.remove(due)
                fault = due[1]
                if not fault.accept and fault.change is None:
                    return fault, {}
            try:
                self._authorize(seen)
                return fault, getattr(self, f"_{seen.operation}")(seen)
            except KfpError as error:
                return fault, error

    def _authorize(self, seen: Seen) -> None:
        if self.token is not None and seen.headers.get("authorization") != f"Bearer {self.token}":
            raise KfpError(401, "Failed to authorize: token not accepted")

    def _elsewhere(self, seen: Seen) -> dict[str, Any]:
        raise KfpError(404, f"Not Found: {seen.path}")

    def _create_run(self, seen: Seen) -> dict[str, Any]:
        run = _checked(kfp_server_api.V2beta1Run, seen.body)
        if self.multi_user and not run.get("experiment_id"):
            raise KfpError(400, "Invalid input error: a run must have an experiment")
        if run.get("experiment_id") and run["experiment_id"] not in self.experiments:
            raise KfpError(404, "ResourceNotFoundError: Experiment not found")
        self._check_parameters(run)
        if self.ignores_ids or not run.get("run_id"):
            run["run_id"] = str(uuid4())
        if run["run_id"] in self.runs:
            raise KfpError(500, "Failed to store run: duplicate entry")
        run |= {"state": "PENDING", "created_at": f"2026-11-22T00:00:{len(self.runs):02}Z"}
        self.runs[run["run_id"]] = run
        return run

    def _check_parameters(self, run: Mapping[str, Any]) -> None:
        spec = run.get("pipeline_spec") or self._version(run)["pipeline_spec"]
        spec = spec.get("pipeline_spec", spec)
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        given = run.get("runtime_config", {}).get("parameters", {})
        kinds = {"STRING": str, "NUMBER_DOUBLE": float, "NUMBER_INTEGER": int, "BOOLEAN": bool}
        missing = {n for n, one in declared.items() if "defaultValue" not in one} - given.keys()
        wrong = {n for n in given if not isinstance(given[n], kinds[declared[n]["parameterType"]])}
        if given.keys() - declared.keys() or missing or wrong:
            raise KfpError(400, "invalid pipeline job inputs")

    def _version(self, run: Mapping[str, Any]) -> dict[str, Any]:
        wanted = run.get("pipeline_version_reference", {})
        for pipeline in self.pipelines.values():
            for version in pipeline["versions"]:
                if wanted == {k: version[k] for k in ("pipeline_id", "pipeline_version_id")}:
                    return version
        raise KfpError(404, "ResourceNotFoundError: PipelineVersion not found")

    def _get_run(self, seen: Seen) -> dict[str, Any]:
        wanted = unquote(seen.path.rpartition("/")[2])
        if wanted not in self.runs:
            raise KfpError(404, f"ResourceNotFoundError: Run {wanted} not found")
        return self.runs[wanted]

    def _list_runs(self, seen: Seen) -> dict[str, Any]:
        spaces = {run: self._namespace(self.runs[run]) for run in self.runs}
        wanted = [run for run in self.runs.values() if self._within(spaces[run["run_id"]], seen)]
        return self._page("runs", _filtered(wanted, seen), seen)

    def _list_experiments(self, seen: Seen) -> dict[str, Any]:
        wanted = [one for one in self.experiments.values() if self._within(one["namespace"], seen)]
        return self._page("experiments", _filtered(wanted, seen), seen)

    def _create_experiment(self, seen: Seen) -> dict[str, Any]:
        wanted = _checked(kfp_server_api.V2beta1Experiment, seen.body)
        name, namespace = wanted["display_name"], wanted.get("namespace", "")
        if self.multi_user and not namespace:
            raise KfpError(400, "Invalid input error: namespace is required")
        for one in self.experiments.values():
            if (one["display_name"], one["namespace"]) == (name, namespace):
                raise KfpError(409, "Already exist error: Experiment")
        return self.experiments[self.add_experiment(name, namespace)]

    def _get_pipeline(self, seen: Seen) -> dict[str, Any]:
        pipeline = self.pipelines.get(unquote(seen.path.rpartition("/")[2]))
        if pipeline is None or pipeline["namespace"] != seen.query.get("namespace", ""):
            raise KfpError(404, "ResourceNotFoundError: Pipeline not found")
        return {"pipeline_id": pipeline["pipeline_id"]}

    def _list_versions(self, seen: Seen) -> dict[str, Any]:
        wanted = unquote(seen.path.split("/")[-2])
        versions = [p["versions"] for p in self.pipelines.values() if p["pipeline_id"] == wanted]
        newest_first = seen.query.get("sort_by") == "created_at desc"
        found = versions[0] if newest_first else versions[0][::-1]
        return self._page("pipeline_versions", found, seen)

    def _namespace(self, run: Mapping[str, Any]) -> str:
        experiment = self.experiments.get(run.get("experiment_id", ""), {})
        return experiment.get("namespace", "")

    def _within(self, namespace: str, seen: Seen) -> bool:
        asked = seen.query.get("namespace", "")
        if self.multi_user != bool(asked):
            raise KfpError(400, "Invalid input error: namespace must be given in multi-user mode")
        return asked == namespace

    def _page(self, name: str, found: list[dict[str, Any]], seen: Seen) -> dict[str, Any]:
        begins = int(seen.query.get("page_token") or 0)
        ends = begins + min(self.page_size, int(seen.query.get("page_size", 10)))
        page: dict[str, Any] = {name: found[begins:ends]} if found[begins:ends] else {}
        return page | ({"next_page_token": str(ends)} if ends < len(found) else {})


def _checked(model: Any, body: Any) -> dict[str, Any]:
    """Refuse what the generated client's model would not send: unknown fields, wrong types."""
    if not isinstance(body, dict) or not body.keys() <= set(model.attribute_map.values()):
        raise KfpError(400, f"proto: unknown field in {model.__name__}")
    for attribute, kind in model.openapi_types.items():
        value = body.get(model.attribute_map[attribute])
        if kind == "str" and value is not None and not isinstance(value, str):
            raise KfpError(400, f"proto: invalid value for string field {attribute}")
    return dict(body)


def _filtered(found: list[dict[str, Any]], seen: Seen) -> list[dict[str, Any]]:
    predicates = json.loads(seen.query.get("filter", "{}")).get("predicates", [])
    for predicate in predicates:
        if predicate["operation"] not in {"EQUALS", 1}:
            raise KfpError(400, "Invalid input error: unknown operation")
        key, value = predicate["key"], predicate.get("stringValue", predicate.get("string_value"))
        found = [each for each in found if each.get(key) == value]
    return found
