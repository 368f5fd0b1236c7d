"""Checks of the receiver's own file: what `check-config` refuses and warns of, with its lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from receiver.config import ConfigError
from receiver.lint.chain import Chain
from receiver.lint.documents import Document, Path_, Unreadable, mapping, read_file
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


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that `check-config` says of a file, and where.

    Attributes:
        line: None where it is of no single place, or in the sentence already.
        policy: The name of the policy that it stands in: an index is hard to find among forty.

    """

    sentence: str
    line: int | None = None
    column: int | None = None
    policy: str | None = None

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}, column {self.column}: "
        return f"{place}{self.sentence}{f' (policy {self.policy})' if self.policy else ''}"


def problems_with_lines(error: ConfigError) -> Iterator[Told]:
    """Each problem with its line, where it is not in the sentence already."""
    document = own_document(error.path)
    for problem, path in zip(error.problems, error.places, strict=True):
        yield _told(document, path, problem)


def with_lines(path: Path, warnings: Iterable[str]) -> Iterator[Told]:
    """Each warning with its line."""
    document = own_document(path)
    for warning in warnings:
        yield _told(document, path_of(warning.partition(": ")[0]), warning)


def _told(document: Document, path: Path_, sentence: str) -> Told:
    place = document.place(path)
    if not path or place.line is None:
        return Told(sentence)
    return Told(sentence, place.line, place.column, _policy_at(document, path))


def _policy_at(document: Document, path: Path_) -> str | None:
    """The name of the policy that a place is within, as the file has it."""
    match path:
        case ("policies", int(number), *_):
            policies = mapping(document.data).get("policies")
            here = policies[number : number + 1] if isinstance(policies, list) else []
            name = mapping(here[0]).get("name") if here else None
            return name if isinstance(name, str) and name.isprintable() else None
    return None


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
