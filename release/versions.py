"""Where the repository names its own version: finds those that differ, and writes another.

`python -m release.versions 1.2.3 --date 2027-01-31` prepares a release: it writes the version
everywhere, and gives what stands under "Unreleased" in the changelog its heading.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from release import Refused
from release.notes import CHANGELOG, with_heading

ROOT = Path(__file__).resolve().parent.parent
VERSION = r"(?P<version>\d+\.\d+\.\d+(?:[a-z]+\d+)?)\b"

PLACES = {
    "receiver/__init__.py": ['^__version__ = "{}"'],
    "charts/retrain-receiver/Chart.yaml": ["^version: {}", '^appVersion: "{}"'],
    "charts/retrain-receiver/README.md": ["retrain-receiver --version {}"],
    "docs/comparison.md": ["This is version {}"],
    "docs/install.md": ["^retrain-receiver {}"],
    "docs/kubernetes.md": ["retrain-receiver --version {}"],
    "docs/lint.md": ["^ *rev: v{}"],
    "examples/argocd/monitoring-dev.yaml": ["targetRevision: {}"],
    "examples/argocd/monitoring-prod.yaml": ["targetRevision: {}"],
}
"""By file: what must name the version at least once."""

IMAGE = r"ghcr\.io/retrain-receiver/[\w/{,}-]+:{}"
"""Wherever an image or the chart is named with a version, it is this one."""

FOLDERS = ("charts", "docs", "examples")
SUFFIXES = frozenset({".md", ".py", ".sh", ".yaml"})


@dataclass(frozen=True)
class Named:
    """One place that names a version; `span` is where in the file's text."""

    file: str
    line: int
    version: str
    span: tuple[int, int]


def named(tree: Path) -> Iterator[Named]:
    """Every place of this tree that names our version."""
    for file, patterns in PLACES.items():
        text = (tree / file).read_text()
        for pattern in patterns:
            places = list(_found(pattern, file, text))
            if not places:
                raise Refused(f"{file} names no version any more: mend PLACES in {__name__}")
            yield from places
    for folder in FOLDERS:
        for path in sorted((tree / folder).rglob("*")):
            if path.suffix in SUFFIXES or path.name == "Dockerfile":
                yield from _found(IMAGE, str(path.relative_to(tree)), path.read_text())


def _found(pattern: str, file: str, text: str) -> Iterator[Named]:
    for match in re.finditer(pattern.replace("{}", VERSION), text, re.MULTILINE):
        line = text.count("\n", 0, match.start()) + 1
        yield Named(file, line, match["version"], match.span("version"))


def check(tree: Path, version: str) -> None:
    """Refuse a tree that names another version somewhere."""
    others = [place for place in named(tree) if place.version != version]
    if others:
        places = "".join(f"\n  {each.file}:{each.line} says {each.version}" for each in others)
        raise Refused(
            f"not everything is of version {version}:{places}\n"
            f"write {version} there (`make release-prepare VERSION={version}` does), commit, and "
            "tag again"
        )


def write(tree: Path, version: str) -> None:
    """Write the version wherever one is named."""
    # From the end, so that what stands before keeps its place.
    for place in sorted(set(named(tree)), key=lambda each: each.span, reverse=True):
        path = tree / place.file
        text = path.read_text()
        path.write_text(text[: place.span[0]] + version + text[place.span[1] :])


def main() -> None:
    """Prepare a release."""
    parser = argparse.ArgumentParser(prog="python -m release.versions", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--date", required=True, help="of the release, as 2027-01-31")
    asked = parser.parse_args()
    write(ROOT, asked.version)
    changelog = ROOT / CHANGELOG
    changelog.write_text(with_heading(changelog.read_text(), asked.version, asked.date))


if __name__ == "__main__":
    main()
