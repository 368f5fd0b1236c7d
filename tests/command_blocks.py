"""The command blocks of Markdown pages: found with their marks, run page by page in a shell."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT
from tests.waiting import free_port

SHELLS = frozenset({"console", "sh", "bash", "shell"})
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\s*$")
NOT_RUN = re.compile(r"^<!-- not run: (?P<why>.+) -->$")
HEREDOC = re.compile(r"<<-?\s*'?(?P<word>\w+)'?")
PORTS = ("8080", "8090")
"""Where the pages let a receiver and a stand-in of its target listen: a test takes free ones."""

PORT = re.compile("|".join(rf"\b{port}\b" for port in PORTS))

LONGEST = 240
"""Seconds for one page, on a busy machine."""

BORROWED = ("examples", "rules", "charts", "receiver", "tests", "scripts", "requirements")
"""Folders of the clone that commands may read."""


@dataclass(frozen=True)
class Command:
    """What a reader pastes, and the output that the page shows for it."""

    text: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A block of commands. `why_not`: the reason of its mark, if it has one."""

    page: Path
    line: int
    text: str
    why_not: str | None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[Command]:
        """What is pasted: what begins with `$ ` and goes on, or every line if none does."""
        if not any(line.startswith("$ ") for line in self.text.splitlines()):
            return [Command(self.text, ())]
        return list(_commands(self.text.splitlines()))


@dataclass(frozen=True)
class Ran:
    """What became of a command; no code if the shell never came to its end."""

    command: Command
    code: int | None
    output: str


def pages() -> list[Path]:
    """The READMEs, CONTRIBUTING and all of docs/."""
    top = ("README.md", "README.ko.md", "CONTRIBUTING.md")
    return [*(ROOT / name for name in top), *sorted((ROOT / "docs").rglob("*.md"))]


def is_translated(page: Path) -> bool:
    """Whether it is another page in another language, whose blocks it repeats."""
    return page.name.endswith(".ko.md")


def blocks(page: Path) -> list[Block]:
    """Find the command blocks of a page."""
    lines = page.read_text().splitlines()
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = number, fence["language"], fence["indent"]
            continue
        start, language, indent = opened
        opened = None
        if language in SHELLS:
            text = "\n".join(one.removeprefix(indent) for one in lines[start + 1 : number])
            found.append(Block(page, start + 1, text, _why_not(lines[:start])))
    return found


def run(page: Path, folder: Path) -> Iterator[Ran]:
    """Run the unmarked blocks of a page one after the other in one shell, until one fails."""
    ports = {said: str(free_port()) for said in PORTS}
    commands = [c for block in blocks(page) if block.why_not is None for c in block.commands]
    for name in BORROWED:
        (folder / name).symlink_to(ROOT / name)
    script = folder / ".page.sh"
    script.write_text("".join(_numbered(commands, ports)))
    output = folder / ".page.out"
    with output.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", script.name],
            cwd=folder,
            env=_environment(folder, ports["8080"]),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                shell.wait(LONGEST)
        finally:
            _end(shell)
    yield from _told(commands, output.read_text())


def begins_as_shown(ran: Ran) -> bool:
    """Whether a line begins as the first line that the page shows, up to its first number."""
    if not ran.command.shown:
        return True
    start = _spaced(re.split(r"\d|…|\.\.\.", ran.command.shown[0])[0])
    return any(_spaced(line).startswith(start) for line in ran.output.splitlines())


def _spaced(line: str) -> str:
    return " ".join(line.split())


def _why_not(before: Sequence[str]) -> str | None:
    said = [line.strip() for line in before if line.strip()]
    mark = NOT_RUN.match(said[-1]) if said else None
    return mark["why"] if mark else None


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    rest = list(lines)
    while rest:
        text = [rest.pop(0).removeprefix("$ ")]
        if heredoc := HEREDOC.search(text[0]):
            while text[-1].strip() != heredoc["word"]:
                text.append(rest.pop(0))
        while text[-1].endswith("\\"):
            text.append(rest.pop(0))
        shown = []
        while rest and not rest[0].startswith("$ "):
            shown.append(rest.pop(0))
        yield Command("\n".join(text), tuple(line for line in shown if line.strip()))


def _numbered(commands: Sequence[Command], ports: Mapping[str, str]) -> Iterator[str]:
    """A script that says where the output of each command begins and how it ended."""
    for number, command in enumerate(commands):
        text = PORT.sub(lambda found: ports[found[0]], command.text)
        yield f"echo '@@begin {number}'\n{text}\n"
        yield f"code=$?; echo; echo '@@end {number}' $code; [ $code = 0 ] || exit $code\n"


def _told(commands: Sequence[Command], output: str) -> Iterator[Ran]:
    for number, command in enumerate(commands):
        _, begun, rest = output.partition(f"@@begin {number}\n")
        if not begun:
            return
        said, ended, code = rest.partition(f"@@end {number} ")
        yield Ran(command, int(code.split("\n", 1)[0]) if ended else None, said)


def _environment(folder: Path, port: str) -> dict[str, str]:
    """A reader's shell: no home, and the command on its path."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "RETRAIN_RECEIVER_URL": f"http://127.0.0.1:{port}",
    }


def _end(shell: subprocess.Popen[bytes]) -> None:
    """End the shell and what it left in the background."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
