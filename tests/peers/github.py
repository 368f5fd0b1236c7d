"""A GitHub on loopback that remembers, and misbehaves as told."""

import json
import ssl
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Thread
from typing import Any, Self
from urllib.parse import unquote

import jwt

from tests.peers.github_wire import Asked, Behaviour, PeerServer

MOST_LISTED = 1000
MOST_INPUTS = 25


@dataclass
class PeerRun:
    """A run as the peer keeps it."""

    id: int
    title: str
    inputs: dict[str, str]
    ref: str
    created_at: datetime
    status: str = "queued"
    conclusion: str | None = None
    event: str = "workflow_dispatch"
    attempt: int = 1
    listed: bool = True
    jobs: list[dict[str, Any]] = field(default_factory=list)


class GithubPeer:
    """A server to be used with `with`.

    Attributes:
        now: Its clock.
        runs: Those that it started.
        asked: Every request, in order.
        tokens: What it accepts as a token.
        inputs: The workflow's declared inputs; None takes any.
        run_name: Whether the workflow shows the dispatch id in its run-name.
        run_details: `yes`, `ignored` (204 all the same), or the status that refuses the field.
        workflow_state: `active`, or why the workflow can't be started.
        lists_new_runs: False makes the listing lag until `list_runs()`.
        hides_filtered: The listing says 0 of 0 when it is asked with a filter, as GitHub's has.
        environments: Those whose approval its waiting runs wait for.
        renamed_to: The repository's name now; by its old one it answers 301 and 307.
        largest_page: Shorter than asked, as GitHub's sometimes are.
        app: Id, installation and public key (PEM) of the App that gets tokens.

    """

    def __init__(
        self,
        *,
        repository: str = "acme/models",
        workflow: str = "retrain-model.yaml",
        refs: Iterable[str] = ("main",),
        prefix: str = "",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.repository, self.workflow, self.refs = repository, workflow, set(refs)
        self.prefix = prefix
        self.tokens = {"peer-token"}
        self.inputs: set[str] | None = None
        self.run_name = True
        self.run_details: str | int = "yes"
        self.workflow_state = "active"
        self.lists_new_runs = True
        self.hides_filtered = False
        self.renamed_to: str | None = None
        self.environments: list[str] = []
        self.largest_page = 100
        self.app: tuple[int, int, str] | None = None
        self.token_life = timedelta(hours=1)
        self.now = now or (lambda: datetime.now(UTC))  # noqa: TID251  the peer's own clock
        self.asked: list[Asked] = []
        self.runs: list[PeerRun] = []
        self.released = Event()
        self.changed = Condition()
        self._next: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[str, Behaviour] = {}
        self._server = PeerServer(("127.0.0.1", port), self, tls)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.end_conversations()
        self._server.server_close()
        self._thread.join()
        assert not self._server.errors

    @property
    def base_url(self) -> str:
        """Where it listens."""
        scheme = "https" if self._server.tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_port}{self.prefix}"

    @property
    def place(self) -> dict[str, str]:
        """Where a dispatch to this peer goes."""
        return {
            "base_url": self.base_url,
            "repository": self.repository,
            "workflow": self.workflow,
            "ref": min(self.refs),
        }

    @property
    def starts(self) -> int:
        """Count the dispatches that were asked for, whatever became of them."""
        return len(self.requests("dispatch"))

    def requests(self, phase: str) -> list[Asked]:
        """List what was asked in one phase."""
        with self.changed:
            return [asked for asked in self.asked if asked.phase == phase]

    def answer_next(self, *behaviours: Behaviour, phase: str = "dispatch") -> None:
        """Treat the next requests of a phase so, one each."""
        with self.changed:
            self._next[phase].extend(behaviours)

    def answer_always(self, behaviour: Behaviour | None, phase: str = "dispatch") -> None:
        """Treat every request of a phase so, until told None."""
        with self.changed:
            self._always.pop(phase, None)
            if behaviour is not None:
                self._always[phase] = behaviour

    def start_run(self, title: str, **changes: Any) -> PeerRun:
        """Start a run that nobody here asked for."""
        return self._start(title, "main", {}, **changes)

    def finish(self, run_id: int | str, conclusion: str | None) -> None:
        """End a run."""
        with self.changed:
            run = next(run for run in self.runs if run.id == int(run_id))
            run.status, run.conclusion = "completed", conclusion
            self.changed.notify_all()

    def rerun(self, run_id: int | str, conclusion: str | None = None) -> None:
        """Somebody presses "Re-run jobs"; with a conclusion it has ended already."""
        with self.changed:
            run = next(run for run in self.runs if run.id == int(run_id))
            run.attempt += 1
            run.status = "queued" if conclusion is None else "completed"
            run.conclusion = conclusion
            self.changed.notify_all()

    def list_runs(self) -> None:
        """Let the listing catch up."""
        with self.changed:
            self.lists_new_runs = True
            for run in self.runs:
                run.listed = True

    def wait_until(self, holds: Callable[[], bool], timeout: float = 60) -> bool:
        """Wait until requests or runs have made it true."""
        with self.changed:
            return self.changed.wait_for(holds, timeout)

    def behaviour(self, asked: Asked) -> Behaviour:
        """Say how this request is to be treated, and remember it."""
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
            if self._next[asked.phase]:
                return self._next[asked.phase].popleft()
            return self._always.get(asked.phase, Behaviour(accept=True))

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Do what GitHub would do."""
        if asked.phase == "token":
            return self._token(asked)
        if asked.headers.get("authorization", "").split(" ")[-1] not in self.tokens:
            return 401, {"message": "Bad credentials"}
        if self.renamed_to and asked.path.startswith(f"/repos/{self.repository}/"):
            rest = asked.path.removeprefix(f"/repos/{self.repository}")
            said = {"message": "Moved Permanently", "url": f"{self.base_url}/repositories/7{rest}"}
            return (301 if asked.method == "GET" else 307), said
        answers = {
            "workflow": self._shown,
            "dispatch": self._dispatch,
            "list": self._list,
            "poll": self._poll,
            "pending": self._pending,
            "repository": self._repository,
            "number": lambda _: (200, {"id": 7, "full_name": self.renamed_to or self.repository}),
            "jobs": self._jobs,
        }
        return answers[asked.phase](asked) if asked.phase in answers else _not_found()

    def _dispatch(self, asked: Asked) -> tuple[int, Any]:
        if not self._knows(asked):
            return _not_found()
        body = asked.body
        wanted = body.get("return_run_details", False)
        if "return_run_details" in body and isinstance(self.run_details, int):
            said = '"return_run_details" is not a permitted key.'
            return self.run_details, {"message": f"Invalid request.\n\n{said}"}
        if body["ref"] not in self.refs:
            return 422, {"message": f"No ref found for: {body['ref']}"}
        inputs = body.get("inputs", {})
        unknown = [] if self.inputs is None else sorted(set(inputs) - self.inputs)
        if unknown or len(inputs) > MOST_INPUTS:
            return 422, {"message": f"Unexpected inputs provided: {json.dumps(unknown)}"}
        shown = f" [{inputs.get('dispatch_id')}]" if self.run_name else ""
        run = self._start(f"retrain {inputs.get('user_id', 'model')}{shown}", body["ref"], inputs)
        if not wanted or self.run_details == "ignored":
            return 204, None
        seen = self._seen(run)
        return 200, {
            "workflow_run_id": run.id,
            "run_url": seen["url"],
            "html_url": seen["html_url"],
        }

    def _start(self, title: str, ref: str, inputs: dict[str, str], **changes: Any) -> PeerRun:
        with self.changed:
            run = PeerRun(8001 + len(self.runs), title, inputs, ref, self.now())
            run.listed = self.lists_new_runs
            for name, value in changes.items():
                setattr(run, name, value)
            self.runs.append(run)
            self.changed.notify_all()
            return run

    def _shown(self, asked: Asked) -> tuple[int, Any]:
        if not self._knows(asked):
            return _not_found()
        return 200, {"id": 1, "name": "retrain", "state": self.workflow_state}

    def _list(self, asked: Asked) -> tuple[int, Any]:
        if not self._knows(asked):
            return _not_found()
        query = asked.query
        since = datetime.fromisoformat(query.get("created", ">=1970-01-01T00:00:00Z")[2:])
        with self.changed:
            hidden = self.hides_filtered and "event" in query
            listed = [run for run in self.runs if run.listed and run.created_at >= since]
            wanted = query.get("event")
            listed = [run for run in listed if not hidden and wanted in {None, run.event}]
        size = min(int(query.get("per_page", "30")), 100)
        first = (int(query.get("page", "1")) - 1) * min(size, self.largest_page)
        page = listed[::-1][:MOST_LISTED][first : first + min(size, self.largest_page)]
        runs = [self._seen(run) for run in page]
        return 200, {"total_count": len(listed), "workflow_runs": runs}

    def _poll(self, asked: Asked) -> tuple[int, Any]:
        run_id = asked.path.rpartition("/")[2]
        with self.changed:
            found = [run for run in self.runs if str(run.id) == run_id]
        if not found or f"/repos/{self.repository}/" not in asked.path:
            return _not_found()
        return 200, self._seen(found[0])

    def _pending(self, asked: Asked) -> tuple[int, Any]:
        del asked
        return 200, [{"environment": {"id": 1, "name": name}} for name in self.environments]

    def _repository(self, asked: Asked) -> tuple[int, Any]:
        if asked.path != f"/repos/{self.repository}":
            return _not_found()
        return 200, {"id": 7, "full_name": self.repository}

    def _jobs(self, asked: Asked) -> tuple[int, Any]:
        run_id = asked.path.split("/")[-2]
        with self.changed:
            found = [run for run in self.runs if str(run.id) == run_id]
        if not found or f"/repos/{self.repository}/" not in asked.path:
            return _not_found()
        size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        jobs = found[0].jobs
        shown = jobs[(page - 1) * size : page * size]
        return 200, {"total_count": len(jobs), "jobs": shown}

    def report(self, run_id: int | str, *steps: str, conclusion: str = "success") -> None:
        """Give a run one job with steps of these names."""
        job = {
            "name": "retrain",
            "conclusion": conclusion,
            "steps": [{"name": name, "conclusion": conclusion} for name in steps],
        }
        with self.changed:
            next(run for run in self.runs if run.id == int(run_id)).jobs.append(job)

    def _seen(self, run: PeerRun) -> dict[str, Any]:
        path = f"/repos/{self.repository}/actions/runs/{run.id}"
        return {
            "id": run.id,
            "name": "retrain",
            "display_title": run.title,
            "event": run.event,
            "run_attempt": run.attempt,
            "head_branch": run.ref,
            "status": run.status,
            "conclusion": run.conclusion,
            "created_at": run.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "url": f"{self.base_url}{path}",
            "html_url": f"https://github.example{path.removeprefix('/repos')}",
        }

    def _knows(self, asked: Asked) -> bool:
        ours = f"/repos/{self.repository}/actions/workflows/{self.workflow}"
        return f"{unquote(asked.path)}/".startswith(f"{ours}/")

    def _token(self, asked: Asked) -> tuple[int, Any]:
        if self.app is None:
            return _not_found()
        app_id, installation_id, public_key = self.app
        if asked.path != f"/app/installations/{installation_id}/access_tokens":
            return _not_found()
        proof = asked.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            # Whether the times are right is the clock's matter, not this peer's.
            checks = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "iss"]}
            claims = jwt.decode(proof, public_key, algorithms=["RS256"], options=checks)
        except jwt.PyJWTError:
            return 401, {"message": "A JSON web token could not be decoded"}
        if claims["iss"] != str(app_id) or not asked.body.get("permissions"):
            return 403, {"message": "Resource not accessible by integration"}
        with self.changed:
            token = f"ghs_{len([a for a in self.asked if a.phase == 'token'])}"
            self.tokens.add(token)
        ends = (self.now() + self.token_life).strftime("%Y-%m-%dT%H:%M:%SZ")
        permissions = asked.body["permissions"]
        return 201, {"token": token, "expires_at": ends, "permissions": permissions}


def _not_found() -> tuple[int, Any]:
    return 404, {"message": "Not Found"}
