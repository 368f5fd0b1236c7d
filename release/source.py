"""The commit that is released: its tag, and a clean copy of its files."""

import subprocess
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from release import Refused


@dataclass(frozen=True)
class Source:
    """What is released.

    Attributes:
        commit: In full.
        epoch: The commit's time in seconds, which everything that is built carries as its own.

    """

    commit: str
    epoch: int


def tagged(repository: Path, version: str | None) -> tuple[Source, str]:
    """Find the tag's commit and version; refuse what is not just that commit."""
    changed = git(repository, "status", "--porcelain").splitlines()
    if changed:
        raise Refused(
            f"the working tree is not clean ({changed[0].strip()}{', ...' if changed[1:] else ''})"
            ": commit or remove what has changed, and tag again"
        )
    found = head(repository)
    tags = [tag for tag in git(repository, "tag", "--points-at", "HEAD").split() if tag[0] == "v"]
    if version is None:
        if len(tags) != 1:
            raise Refused(
                f"{len(tags)} version tags point at HEAD: check one out (`git checkout v1.2.3`), "
                "or name it with VERSION=1.2.3"
            )
        return found, tags[0].removeprefix("v")
    tag = f"v{version}"
    if not git(repository, "tag", "--list", tag):
        raise Refused(f"there is no tag {tag}: make it with `git tag --annotate {tag}`")
    if tag not in tags:
        raise Refused(f"the tag {tag} is not what is checked out: `git checkout {tag}`")
    return found, version


def head(repository: Path) -> Source:
    """Find the commit that is checked out."""
    commit, epoch = git(repository, "log", "-1", "--format=%H %ct").split()
    return Source(commit, int(epoch))


def export(repository: Path, source: Source, folder: Path) -> None:
    """Write the commit's files, with its time, and nothing else that lies about."""
    with tarfile.open(fileobj=BytesIO(git_bytes(repository, "archive", source.commit))) as files:
        files.extractall(folder, filter="data")


def git(repository: Path, *arguments: str) -> str:
    """Ask git."""
    return git_bytes(repository, *arguments).decode().strip()


def git_bytes(repository: Path, *arguments: str) -> bytes:
    """Ask git for a file."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
