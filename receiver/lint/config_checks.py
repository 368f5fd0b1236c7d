"""Checks of the receiver's own file: what `check-config` refuses and warns of, with its lines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from receiver.config import ConfigError
from receiver.lint.chain import Chain
from receiver.lint.documents import Document, Path_, Unreadable, read_file
from receiver.lint.findings import CheckId, Finding, Severity


def check_config(chain: Chain) -> Iterator[Finding]:
    """Tell the warnings of the configuration where they stand."""
    for warning in chain.config.warnings:
        yield Finding(
            CheckId.CONFIGURATION,
            Severity.WARNING,
            chain.document.place(path_of(warning.partition(": ")[0])),
            warning,
            "it is valid, but dangerous",
            "do as the sentence says",
        )


def refused(document: Document, error: ConfigError) -> Iterator[Finding]:
    """Tell the problems of a configuration where they stand."""
    for problem, path in zip(error.problems, error.places, strict=True):
        yield Finding(
            CheckId.CONFIGURATION,
            Severity.ERROR,
            document.place(path),
            problem,
            "the receiver does not start, and a reload changes nothing",
            "mend it as the sentence says",
        )


def own_document(path: Path) -> Document:
    """The receiver's file with its lines; without, if it is a pipe or no YAML."""
    try:
        documents = read_file(path) if path.is_file() else []
    except Unreadable:
        documents = []
    return documents[0] if documents else Document(str(path), {})


def problems_with_lines(error: ConfigError) -> Iterator[str]:
    """Each problem with its line, where it is not in the sentence already."""
    document = own_document(error.path)
    for problem, path in zip(error.problems, error.places, strict=True):
        yield f"{_line(document, path)}{problem}"


def with_lines(path: Path, warnings: Iterable[str]) -> Iterator[str]:
    """Each warning with its line."""
    document = own_document(path)
    for warning in warnings:
        yield f"{_line(document, path_of(warning.partition(': ')[0]))}{warning}"


def _line(document: Document, path: Path_) -> str:
    place = document.place(path)
    if not path or place.line is None:
        return ""
    return f"line {place.line}, column {place.column}: "


def path_of(shown: str) -> Path_:
    """Read a place such as `policies[0].match` back."""
    parts: list[str | int] = []
    for part in shown.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]"):
            inner = part[1:-1]
            parts.append(int(inner) if inner.isdigit() else inner.strip("'\""))
        elif part:
            parts.append(part)
    return tuple(parts)
