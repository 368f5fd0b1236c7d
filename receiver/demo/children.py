"""The demo's child processes: each with its own log, none outlives the demo."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from receiver.demo import watchdog
from receiver.demo.asking import DemoError

PATIENCE = 15.0
"""How long a child may take to end after SIGTERM, in seconds."""


class Children:
    """Starts processes; ends them in reverse order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._may_end: set[str] = set()
        self._watchdog: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-P", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in reversed(list(self._running)):
            self.stop(name)
        if self._watchdog is not None:
            self._tell(".")
            self._watchdog.communicate()

    def log(self, name: str) -> Path:
        """Where a child's output goes."""
        return self._folder / "logs" / f"{name}.log"

    def start(self, name: str, command: Sequence[str], *, may_end: bool = False) -> None:
        """Start a child in the demo's folder; Ctrl-C in the terminal does not reach it."""
        self.log(name).parent.mkdir(exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - programs that the demo chose
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[name] = child
        if may_end:
            self._may_end.add(name)
        self._tell(f"+{child.pid}")

    def ended(self, name: str) -> bool:
        """Say whether a child that may end has done its work."""
        return self._running[name].poll() == 0

    def check(self) -> None:
        """Complain about a child that ended and should not have, or failed."""
        for name, child in self._running.items():
            code = child.poll()
            if code is None or (code == 0 and name in self._may_end):
                continue
            raise DemoError(f"{name} ended with exit code {code}; see {self.log(name)}")

    def stop(self, name: str) -> None:
        """Ask a child to end; insist if it does not."""
        child = self._running.pop(name)
        child.terminate()
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._tell(f"-{child.pid}")

    def _tell(self, line: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            print(line, file=self._watchdog.stdin, flush=True)
