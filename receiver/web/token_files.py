"""Token files as they stand now: while one can't be used, its last good token stays in force."""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from receiver.config import Role, TokenFile
from receiver.secret_files import BadFile, read_secret
from receiver.telemetry import broken_token_files, log

Version = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What a file held when it was last read.

    Attributes:
        version: Of the file that was read; None if it must be read again.
        digest: Of the last good token, None if there never was one.
        problem: Why the file can't be used now.

    """

    version: Version | None = None
    digest: bytes | None = None
    problem: str | None = None


class TokenFiles:
    """The token files of one configuration; `before` are those that it takes the place of."""

    def __init__(
        self, roles: Mapping[Role, tuple[TokenFile, ...]], before: "TokenFiles | None" = None
    ) -> None:
        self._roles = roles
        paths = {file.path for files in roles.values() for file in files}
        known = before.known if before is not None else {}
        self.known: dict[Path, Known] = {path: known.get(path, Known()) for path in paths}
        self._lock = threading.Lock()
        self.look()

    def digests(self) -> Iterator[tuple[Role, TokenFile, bytes]]:
        """Role, file and digest of every token in force."""
        for role, files in self._roles.items():
            for file in files:
                digest = self._look_at(file.path).digest
                if digest is not None:
                    yield role, file, digest

    def problems(self, role: Role) -> list[str]:
        """Why files of this role can't be used now, one sentence each."""
        return [
            f"the token {file.name} of the role {role}: {problem}"
            for file in self._roles.get(role, ())
            if (problem := self._look_at(file.path).problem)
        ]

    def none_usable(self, role: Role) -> bool:
        """Whether the role has files, and none of them can be used now."""
        files = self._roles.get(role, ())
        return bool(files) and len(self.problems(role)) == len(files)

    def look(self) -> None:
        """Look at every file, and say in the metrics how many can't be used."""
        for role in Role:
            broken_token_files.labels(role.value).set(len(self.problems(role)))

    def _look_at(self, path: Path) -> Known:
        version = _version(path)
        with self._lock:
            before = self.known[path]
            if version is None or version != before.version:
                self.known[path] = _read(path, version, before)
                _tell(path, before, self.known[path])
            return self.known[path]


def _version(path: Path) -> Version | None:
    try:
        found = os.stat(path)  # noqa: PTH116  three times as fast as Path.stat, per request
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read(path: Path, version: Version | None, before: Known) -> Known:
    try:
        token = read_secret(path)
    except BadFile as error:
        return Known(None, before.digest, str(error))
    return Known(version, hashlib.sha256(token.encode()).digest(), None)


def _tell(path: Path, before: Known, now: Known) -> None:
    """Say it once: each request looks again."""
    if now.problem == before.problem:
        return
    if now.problem is None:
        log().info("token_file_usable", path=str(path))
    else:
        kept = "its last good token stays in force" if now.digest else "no token of it is known"
        log().error("token_file_unusable", path=str(path), detail=f"{now.problem}: {kept}")
