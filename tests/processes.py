"""Real receivers that are stopped, killed and started again on one folder and one port."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, Self

from receiver.core.times import stamp
from receiver.wiring import SystemClock
from tests.posts import post
from tests.serving import Answer, Peer
from tests.waiting import GENEROUS, eventually, free_port

ROOT = Path(__file__).parent.parent


class Process(Protocol):
    """What we need of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """Tell the exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and tell the exit code."""


class Start(Protocol):
    """Starts a process; `start_cold` is the usual way."""

    def __call__(self, arguments: list[str], log: Path) -> Process:
        """Run `retrain-receiver ARGUMENTS`, its output into the log."""


def start_cold(arguments: list[str], log: Path) -> Process:
    """Start an interpreter of its own, as a user would."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "receiver", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


@dataclass(frozen=True)
class Api(Peer):
    """The routes of a receiver, as Alertmanager and operators use them."""

    def try_ask(self, method: str, path: str, body: Any = None) -> Answer | None:
        """Ask once; None if there is no whole answer."""
        try:
            return self.ask(method, path, body=body)
        except (OSError, HTTPException):
            return None

    def fetch(self, path: str, **query: str) -> Any:
        """Get JSON that must be there."""
        answer = self.get(path, query or None)
        assert answer.status == 200, answer
        return answer.json()

    def notify(self, *entries: dict[str, Any]) -> list[dict[str, Any]]:
        """Post a notification that must be accepted; the decisions of the answer."""
        answer = self.post("/webhook", post(*entries))
        assert answer.status == 200, answer
        decisions: list[dict[str, Any]] = answer.json()["decisions"]
        return decisions

    def act(self, path: str, **body: Any) -> Answer:
        """Do what an operator does; look at the answer's status."""
        return self.post(path, {"comment": "a test", **body})

    def decisions(self, **filters: str) -> list[dict[str, Any]]:
        """List decisions, oldest first."""
        return self._pages("decisions", filters)

    def reasons(self, model: str) -> list[str]:
        """List why each decision about a model went as it did, oldest first."""
        return [str(decision["reason"]) for decision in self.decisions(model=model)]

    def dispatches(self, **filters: str) -> list[dict[str, Any]]:
        """List dispatches, oldest first."""
        return self._pages("dispatches", filters)

    def dispatch(self, dispatch_id: str) -> dict[str, Any]:
        """Show one dispatch, with its attempts and transitions."""
        found: dict[str, Any] = self.fetch(f"/dispatches/{dispatch_id}")
        return found

    def model(self, name: str) -> dict[str, Any]:
        """Show one model."""
        found: dict[str, Any] = self.fetch(f"/models/{name}")
        return found

    def _pages(self, name: str, filters: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = {**filters, "limit": "500"}
        while True:
            page = self.fetch(f"/{name}", **query)
            found += page[name]
            if page["next_cursor"] is None:
                return found[::-1]
            query["cursor"] = page["next_cursor"]


class Station:
    """A folder, a port, and the receiver that works there now, if one does.

    Used with `with`, it starts one, and stops it at the end if it still runs. What is stored in
    the folder is taken up by the next one.

    Attributes:
        log: The file that holds what all of them wrote.

    """

    def __init__(
        self, folder: Path, config: str, *, port: int | None = None, start: Start = start_cold
    ) -> None:
        self.folder, self.config, self.log = folder, folder / "receiver.yaml", folder / "log.txt"
        self.port = port or free_port()
        self.start_process = start
        self.process: Process | None = None
        self.config.write_text(config)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> Api:
        """Ask it."""
        return Api(self.url)

    @property
    def pid(self) -> int:
        """What it can be killed by."""
        assert self.process is not None
        return self.process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def begin(self) -> None:
        """Start a receiver without waiting until it is ready."""
        listen = f"127.0.0.1:{self.port}"
        arguments = ["serve", "--config", str(self.config), "--listen", listen]
        self.process = self.start_process(arguments, self.log)

    def start(self) -> None:
        """Start a receiver and wait until it is ready."""
        self.begin()
        try:
            self.await_ready()
        except BaseException:
            self.kill()
            raise

    def await_ready(self) -> None:
        """Wait until the receiver can accept notifications."""
        eventually(self.is_ready, every=0.02)

    def stop(self) -> int:
        """Ask the receiver to end (SIGTERM); its exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Let the receiver die at once (SIGKILL)."""
        if self.process is not None and self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.wait()

    def send(self, which: signal.Signals) -> None:
        """Send a signal to the receiver."""
        os.kill(self.pid, which)

    def wait(self) -> int:
        """Wait for the receiver's end; its exit code."""
        assert self.process is not None
        return self.process.wait(GENEROUS)

    def said(self) -> str:
        """Read the log."""
        return self.log.read_text()

    def is_ready(self) -> bool:
        """Tell whether the receiver can accept notifications. It must not have ended."""
        assert self.process is not None
        ended = self.process.poll()
        if ended is not None:
            raise RuntimeError(f"it ended with {ended}:\n{self.said()[-3000:]}")
        answer = self.api.try_ask("GET", "/-/ready")
        return answer is not None and answer.status == 200


def now() -> str:
    """Tell the time as Alertmanager writes it."""
    return stamp(SystemClock().now()) or ""
