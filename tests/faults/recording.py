"""What a real receiver does to its disk, and what it answers meanwhile, in the kernel's order.

`strace` writes down each write, sync and name of the process; from that, events are read.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import ROOT, Start
from tests.waiting import eventually

CALLS = "pwrite64,write,writev,fsync,fdatasync,ftruncate,unlink"
MOST_BYTES = 200_000
"""Of one write; longer than any page, and than the answers of these tests."""

LINE = re.compile(r"(\d+) +(.*)")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
FILE = re.compile(r"^\d+<([^>]*)>")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
ANSWER = re.compile(rb'\{\s*"notification_id":\s*"\w+",\s*"decisions".*\}')


@dataclass
class Write:
    """Bytes that may be on the disk from now on, and surely are after the next sync.

    Attributes:
        ended: The number of the event before which the call had returned.

    """

    name: str
    offset: int
    data: bytes
    ended: int = sys.maxsize


@dataclass
class Truncate:
    """The file's new size."""

    name: str
    size: int
    ended: int = sys.maxsize


@dataclass(frozen=True)
class Removed:
    """A name left the folder. It came with the file's first write."""

    name: str


@dataclass(frozen=True)
class Synced:
    """What had returned before event `begun` is durable. Without a name: the folder's names."""

    name: str
    begun: int


@dataclass(frozen=True)
class Answered:
    """A notification was acknowledged with these decisions."""

    notification_id: str
    decisions: tuple[int, ...]


Event = Write | Truncate | Removed | Synced | Answered


def under_strace(options: Sequence[str], module: str = "receiver") -> Start:
    """A way to start receivers that strace watches. Their pid is their own."""

    def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
        watching = ["strace", "-D", "-f", "--seccomp-bpf", "-q", *options]
        with log.open("ab") as output:
            return subprocess.Popen(
                [*watching, sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    return start


def recorded(trace: Path, module: str = "receiver") -> Start:
    """A way to start receivers that writes down what they do."""
    written = ["-y", "-xx", "-s", str(MOST_BYTES), "-A", "-o", str(trace)]
    return under_strace([*written, "-e", f"trace={CALLS}"], module)


def await_end(trace: Path, pid: int) -> None:
    """Wait until all that the process did has been written down."""
    ended = re.compile(rf"^{pid} +\+\+\+ (exited|killed)", re.MULTILINE)
    eventually(lambda: ended.search(trace.read_text()))


def read_events(trace: Path, folder: Path) -> list[Event]:
    """Everything that happened to the database's files in this folder, and every answer."""
    return _Reader(folder).read(trace.read_text().splitlines())


@dataclass
class _Begun:
    """A call that has not returned yet."""

    text: str
    number: int
    event: Event | None


@dataclass
class _Reader:
    folder: Path
    events: list[Event] = field(default_factory=list)
    begun: dict[str, _Begun] = field(default_factory=dict)

    def read(self, lines: Iterable[str]) -> list[Event]:
        for line in lines:
            thread, said = LINE.fullmatch(line).groups()  # type: ignore[union-attr]
            resumed = RESUMED.fullmatch(said)
            if resumed:
                call = self.begun.pop(thread)
                self._return(call, call.text + resumed[1])
            elif said.endswith("<unfinished ...>"):
                text = said.removesuffix("<unfinished ...>").rstrip()
                self.begun[thread] = self._begin(text)
            elif not said.startswith(("+++", "---")):
                self._return(self._begin(said), said)
        return self.events

    def _begin(self, text: str) -> _Begun:
        """What may be true from the moment in which the call begins."""
        name, _, arguments = text.partition("(")
        number, event = len(self.events), None
        if name == "pwrite64" and (file := self._file(arguments)):
            offset = int(re.split(r", ", arguments.rstrip(")").split(") = ")[0])[-1])
            event = Write(file, offset, _bytes_of(arguments))
        elif name == "ftruncate" and (file := self._file(arguments)):
            event = Truncate(file, int(arguments.split(", ")[1].split(")")[0]))
        elif name in {"write", "writev"}:
            event = _answer(arguments)
        if event is not None:
            self.events.append(event)
        return _Begun(text, number, event)

    def _return(self, call: _Begun, text: str) -> None:
        """What is true once the call has returned."""
        found = CALL.match(text)
        if found is None:
            return  # its thread died in it: it may have happened, or not
        name, arguments, value = found[1], found[2], int(found[3])
        if isinstance(call.event, Write | Truncate):
            assert value >= 0, text
            call.event.ended = len(self.events)
        elif name in {"fsync", "fdatasync"} and value == 0:
            file = self._file(arguments)
            if file is not None:
                self.events.append(Synced(file, call.number))
        elif name == "unlink" and value == 0:
            path = Path(_bytes_of(arguments).decode(errors="replace"))
            if path.parent == self.folder and _counts(path.name):
                self.events.append(Removed(path.name))

    def _file(self, arguments: str) -> str | None:
        """The name of a database's file that the call is about; empty for the folder."""
        found = FILE.match(arguments)
        path = Path(_unhex(found[1]).decode(errors="replace")) if found else Path()
        if path == self.folder:
            return ""
        return path.name if path.parent == self.folder and _counts(path.name) else None


def _counts(name: str) -> bool:
    """Not the index of the WAL: after a power loss SQLite makes it anew."""
    return name.startswith("receiver.db") and not name.endswith(("-shm", ".lock"))


def _answer(arguments: str) -> Answered | None:
    if "\\x6e\\x6f\\x74\\x69\\x66\\x69\\x63" not in arguments:  # notific
        return None
    found = ANSWER.search(_bytes_of(arguments))
    if found is None:
        return None
    told = json.loads(found[0])
    decisions = tuple(decision["id"] for decision in told["decisions"])
    return Answered(told["notification_id"], decisions)


def _bytes_of(arguments: str) -> bytes:
    return b"".join(_unhex(text) for text in TEXT.findall(arguments))


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
