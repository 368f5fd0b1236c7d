"""A disk that loses its power: what was synced is there, and of the rest what chance wills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.faults.recording import Answered, Event, Removed, Synced, Truncate, Write

SECTOR = 512
"""A disk writes so much at once, or not at all."""

WAYS = ("nothing", "all", "some", "torn", "until")


@dataclass
class _File:
    """An inode: what is durable of it, and what was done to it since."""

    durable: bytearray = field(default_factory=bytearray)
    since: list[Write | Truncate] = field(default_factory=list)


class Disk:
    """Follows events; at any moment it tells what might be left after a power loss."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._names = {name: _File(bytearray(data)) for name, data in files.items()}
        self._durable_names = dict(self._names)

    def follow(self, event: Event) -> None:
        """Let one more thing happen."""
        match event:
            case Write() | Truncate():
                self._names.setdefault(event.name, _File()).since.append(event)
            case Removed(name):
                del self._names[name]
            case Synced("", _):
                self._durable_names = dict(self._names)
            case Synced(name, begun):
                self._sync(self._names[name], begun)
            case Answered():
                pass

    def _sync(self, file: _File, begun: int) -> None:
        open_still = []
        for change in file.since:
            if change.ended <= begun:
                _apply(file.durable, change)
            else:
                open_still.append(change)
        file.since = open_still

    def lose_power(self, random: Random) -> dict[str, bytes]:
        """Say what the next start finds."""
        way = random.choice(WAYS)
        found = {}
        for name in sorted(self._names.keys() | self._durable_names.keys()):
            file = random.choice([self._names.get(name), self._durable_names.get(name)])
            if file is not None:
                found[name] = _left_of(file, way, random)
        return found


def _left_of(file: _File, way: str, random: Random) -> bytes:
    left = bytearray(file.durable)
    share, last = random.random(), random.randint(0, len(file.since))
    for number, change in enumerate(file.since):
        kept = {
            "nothing": False,
            "all": True,
            "some": random.random() < share,
            "torn": random.random() < share,
            "until": number < last,
        }[way]
        if way == "torn" and isinstance(change, Write):
            _apply_sectors(left, change, random, share)
        elif kept:
            _apply(left, change)
    return bytes(left)


def _apply_sectors(left: bytearray, change: Write, random: Random, share: float) -> None:
    """Each sector of the disk is written by itself."""
    offset, end = change.offset, change.offset + len(change.data)
    while offset < end:
        until = min((offset // SECTOR + 1) * SECTOR, end)
        if random.random() < share:
            part = change.data[offset - change.offset : until - change.offset]
            _apply(left, Write(change.name, offset, part))
        offset = until


def _apply(left: bytearray, change: Write | Truncate) -> None:
    size = change.size if isinstance(change, Truncate) else change.offset
    if len(left) < size:
        left.extend(bytes(size - len(left)))
    if isinstance(change, Truncate):
        del left[size:]
    else:
        left[change.offset : change.offset + len(change.data)] = change.data
