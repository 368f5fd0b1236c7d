"""HTTP APIs that start runs, on localhost: Airflow 2 and 3, Argo Workflows, a bridge of one's own.

Each remembers its runs, refuses what the real one refuses, and fails when it is told to.
"""

import base64
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from tests.peers.kfp_wire import Fault
from tests.peers.loopback import Loopback

__all__ = ["AirflowPeer", "ArgoPeer", "BridgePeer", "Fault", "HttpPeer"]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    operation: str
    target: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: Any
    headers: Mapping[str, str] | None = None


class HttpPeer(Loopback):
    """The server. `with AirflowPeer() as peer:` serves on `peer.url` until the block ends.

    Attributes:
        authorization: The header that it accepts; None accepts anyone.
        starts: How many POSTs asked for a run.
        runs: What it knows, by id.
        seen: Every request, in order.
        released: Ends every `hang`; set when the block ends.

    """

    operations: ClassVar[Mapping[str, re.Pattern[str]]]

    def __init__(self) -> None:
        self.authorization: str | None = None
        self.starts = 0
        self.runs: dict[str, dict[str, Any]] = {}
        self.seen: list[Seen] = []
        self.released = Event()
        self._faults: list[tuple[str, Fault]] = []
        self._lock = Lock()
        super().__init__(_handler(self), waits=True)

    def __exit__(self, *_: object) -> None:
        self.released.set()
        super().__exit__()

    def answer_next(self, fault: Fault, *, to: str = "start", times: int = 1) -> None:
        """Answer the next requests for this operation (`start`, `read`, `check`) wrongly."""
        self._faults += [(to, fault)] * times

    def hang(self, *, accept: bool = False, to: str = "start") -> None:
        """Answer the next request not before `released` is set, and then with a cut."""
        self.answer_next(Fault(accept=accept, act=self.released.wait), to=to)

    def accept_basic(self, user: str, password: str) -> None:
        packed = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.authorization = f"Basic {packed}"

    def finish(self, run_id: str, state: str, message: str = "") -> None:
        """Let a run come to any state."""
        self.runs[run_id] |= {"state": state, "message": message}

    def respond(self, seen: Seen) -> tuple[Fault | None, Answer | None]:
        """Do what one request asks for; the fault that is due, and the right answer."""
        with self._lock:
            self.seen.append(seen)
            self.starts += seen.operation == "start"
            due = next((one for one in self._faults if one[0] == seen.operation), None)
            fault = None
            if due is not None:
                self._faults.remove(due)
                fault = due[1]
                if not fault.accept and fault.change is None:
                    return fault, None
            wanted = self.authorization
            if wanted is not None and seen.headers.get("authorization") != wanted:
                return fault, self.unauthorized()
            return fault, getattr(self, f"_{seen.operation}")(seen)

    def unauthorized(self) -> Answer:
        return Answer(401, {"message": "token not valid"})

    def _elsewhere(self, seen: Seen) -> Answer:
        return Answer(404, {"message": f"Not Found: {seen.target}"})

    @classmethod
    def operation(cls, method: str, path: str) -> str:
        asked = f"{method} {path}"
        return next(
            (n for n, form in cls.operations.items() if form.fullmatch(asked)), "elsewhere"
        )


class AirflowPeer(HttpPeer):
    """Airflow's REST API: `/api/v1` of Airflow 2, or `/api/v2` of Airflow 3, with one dag."""

    operations: ClassVar = {
        "start": re.compile("POST /api/v[12]/dags/retrain/dagRuns"),
        "read": re.compile("GET /api/v[12]/dags/retrain/dagRuns/[^/]+"),
        "check": re.compile("GET /api/v[12]/dags/retrain"),
    }
    RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]+")

    def __init__(self, version: int = 2) -> None:
        super().__init__()
        self.version = version
        self.logical_date_taken = False

    def unauthorized(self) -> Answer:
        return Answer(401, {"detail": None, "status": 401, "title": "Unauthorized"})

    def _start(self, seen: Seen) -> Answer:
        if not seen.headers["content-type"].startswith("application/json"):
            return self._problem(415, "Unsupported Media Type", "expected application/json")
        wanted, known = seen.body, {"dag_run_id", "logical_date", "conf", "note"}
        if self.version == 3 and "logical_date" not in wanted:
            return Answer(422, {"detail": [{"type": "missing", "loc": ["body", "logical_date"]}]})
        run_id = wanted.get("dag_run_id") or "manual__2026"
        if wanted.keys() - known or not isinstance(wanted.get("conf", {}), dict):
            return self._problem(400, "Bad Request", "Unknown field.")
        if self.RUN_ID.fullmatch(run_id) is None:
            return self._problem(400, "Bad Request", "The run_id is not valid")
        if run_id in self.runs or self.logical_date_taken:
            said = f"DAGRun with DAG ID: 'retrain' and DAGRun ID: '{run_id}' already exists"
            return self._problem(409, "Conflict", said)
        self.runs[run_id] = {"dag_run_id": run_id, "state": "queued", "conf": wanted.get("conf")}
        return Answer(200, self._shown(run_id))

    def _read(self, seen: Seen) -> Answer:
        run_id = unquote(urlsplit(seen.target).path.rpartition("/")[2])
        if run_id not in self.runs:
            return self._problem(404, "DAGRun not found", f"DagRun ID: '{run_id}' not found")
        return Answer(200, self._shown(run_id))

    def _check(self, _: Seen) -> Answer:
        return Answer(200, {"dag_id": "retrain", "is_paused": False})

    def _shown(self, run_id: str) -> dict[str, Any]:
        run = {"dag_id": "retrain", "note": None, **self.runs[run_id]}
        run.pop("message", None)
        return run

    @staticmethod
    def _problem(status: int, title: str, detail: str) -> Answer:
        body = {"detail": detail, "status": status, "title": title, "type": "about:blank"}
        return Answer(status, body)


class ArgoPeer(HttpPeer):
    """The server of Argo Workflows, with one WorkflowTemplate."""

    operations: ClassVar = {
        "start": re.compile("POST /api/v1/workflows/training/submit"),
        "read": re.compile("GET /api/v1/workflows/training/[^/]+"),
        "check": re.compile("GET /api/v1/workflow-templates/training/retrain"),
    }
    NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
    LABEL = re.compile(
        r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?=[\w.-]{0,63}"
    )

    def _start(self, seen: Seen) -> Answer:
        wanted = seen.body
        known = {"namespace", "resourceKind", "resourceName", "submitOptions"}
        if (wanted["resourceKind"], wanted["resourceName"]) != ("WorkflowTemplate", "retrain"):
            return Answer(404, {"code": 5, "message": "workflowtemplates not found"})
        options = wanted["submitOptions"]
        name = options.get("name") or f"retrain-{len(self.runs)}"
        well_formed = (
            not wanted.keys() - known
            and self.NAME.fullmatch(name) is not None
            and all(self.LABEL.fullmatch(each) for each in options["labels"].split(","))
            and all(isinstance(each, str) and "=" in each for each in options["parameters"])
        )
        if not well_formed:
            return Answer(400, {"code": 3, "message": "invalid value"})
        if name in self.runs:
            said = f'workflows.argoproj.io "{name}" already exists'
            return Answer(409, {"code": 6, "message": said})
        self.runs[name] = {"state": "", "message": "", "options": options}
        return Answer(200, {"metadata": {"name": name, "namespace": "training"}, "status": {}})

    def _read(self, seen: Seen) -> Answer:
        url = urlsplit(seen.target)
        name = unquote(url.path.rpartition("/")[2])
        if name not in self.runs:
            said = f'workflows.argoproj.io "{name}" not found'
            return Answer(404, {"code": 5, "message": said})
        run = self.runs[name]
        status = {"phase": run["state"], "message": run["message"]} if run["state"] else {}
        return Answer(200, {"metadata": {"name": name}, "status": status})

    def _check(self, _: Seen) -> Answer:
        return Answer(200, {"metadata": {"name": "retrain"}})


class BridgePeer(HttpPeer):
    """A bridge that numbers its runs itself and takes CloudEvents.

    Attributes:
        remembers_keys: Whether it starts one run only for an `Idempotency-Key`.

    """

    operations: ClassVar = {
        "start": re.compile("POST /runs"),
        "read": re.compile("GET /runs/[^/]+"),
        "check": re.compile("GET /healthz"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.remembers_keys = True
        self._keys: dict[str, str] = {}

    def _start(self, seen: Seen) -> Answer:
        key = seen.headers["idempotency-key"]
        if not (self.remembers_keys and key in self._keys):
            run_id = str(1000 + len(self.runs))
            self.runs[run_id] = {"state": "waiting", "event": seen.body}
            self._keys[key] = run_id
        run_id = self._keys[key]
        return Answer(202, {"job": {"id": int(run_id)}}, {"Location": f"{self.url}/runs/{run_id}"})

    def _read(self, seen: Seen) -> Answer:
        run_id = unquote(urlsplit(seen.target).path.rpartition("/")[2])
        if run_id not in self.runs:
            return Answer(404, {"error": "no such job"})
        run = self.runs[run_id]
        return Answer(200, {"state": run["state"], "why": run.get("message", "")})

    def _check(self, _: Seen) -> Answer:
        return Answer(204, None)


def _handler(peer: HttpPeer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            operation = peer.operation(self.command, urlsplit(self.path).path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            fault, right = peer.respond(Seen(operation, self.path, headers, raw))
            if fault is not None:
                fault.act()
            if fault is None or fault.change is not None:
                assert right is not None
                change = {} if fault is None else dict(fault.change or {})
                body = right.body | change if change else right.body
                self._send(right.status, json.dumps(body).encode(), right.headers or {})
            elif fault.status is None:
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
            else:
                said = json.dumps({"message": f"fault {fault.status}"}).encode()
                self._send(fault.status, said if fault.body is None else fault.body, fault.headers)

        do_POST = do_GET  # noqa: N815  the name http.server looks for

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | dict(headers)).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the tests look into `seen`."""

    return Handler
