"""Programs that only write down how they were called: what a script asks of a cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = """\
#!{python}
import json, os, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
told = sys.stdin.read() if "-" in arguments or "--password-stdin" in arguments else ""
with open({calls!r}, "a") as calls:
    print(json.dumps([name, arguments, told]), file=calls)
answers = json.loads({answers!r})
line = " ".join([name, *arguments])
said = [answer for start, answer in answers.items() if line.startswith(start)]
code, text = said[0] if said else (0, "")
print(text, end="")
sys.exit(code)
"""


@dataclass(frozen=True)
class Call:
    """How a program was called, and what came through its standard input."""

    name: str
    arguments: tuple[str, ...]
    told: str

    def __str__(self) -> str:
        return " ".join((self.name, *self.arguments))


class Recorder:
    """A folder of such programs, to be first on a PATH.

    Attributes:
        answers: Start of a command line -> exit code and output; else 0 and nothing.

    """

    def __init__(
        self, folder: Path, *names: str, answers: Mapping[str, tuple[int, str]] | None = None
    ) -> None:
        self.folder = folder
        self._calls = folder / "calls"
        folder.mkdir(parents=True)
        text = PROGRAM.format(
            python=sys.executable, calls=str(self._calls), answers=json.dumps(answers or {})
        )
        for name in names:
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    @property
    def path(self) -> str:
        """The PATH on which these are found first."""
        return f"{self.folder}:{os.environ['PATH']}"

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run something that finds these."""
        return subprocess.run(
            command,
            env={**os.environ, "PATH": self.path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[Call]:
        """What was called so far."""
        if not self._calls.exists():
            return []
        lines = map(json.loads, self._calls.read_text().splitlines())
        return [Call(name, tuple(arguments), told) for name, arguments, told in lines]
