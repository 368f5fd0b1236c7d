"""What the command `lint` does: asks programs for what they run with, writes what is found."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from receiver.cli.client import AskError, UsageError
from receiver.cli.output import visible
from receiver.cli.upstream import Alertmanager, Prometheus, alertmanager_at, prometheus_at
from receiver.lint import output as writing
from receiver.lint.findings import CheckId, Finding, Severity
from receiver.lint.gathering import Answered, Sources, gather
from receiver.lint.linting import lint
from receiver.lint.pages import pages


def findings(**sources: Any) -> list[Finding]:
    """Everything that is wrong in what `Sources` names."""
    chain = gather(Sources(**sources))
    return chain if isinstance(chain, list) else lint(chain)


def is_wrong(found: Sequence[Finding]) -> bool:
    """Whether something will not work."""
    return any(each.severity is Severity.ERROR for each in found)


def explained(check: str) -> str:
    """The page of a check. A usage error if there is none of this id."""
    known = pages()
    if check not in set(CheckId):
        raise UsageError(f"there is no check {check!r}; known: {', '.join(known)}")
    return f"{check}\n\n{known[CheckId(check)].text.strip()}"


def write(found: Sequence[Finding], output: str) -> None:
    """Write findings as text, JSON or SARIF."""
    if output == "json":
        typer.echo(writing.as_json(found))
    elif output == "sarif":
        typer.echo(writing.as_sarif(found, Path.cwd()))
    else:
        for line in writing.text(found):
            sys.stdout.write(visible(line) + "\n")


def alertmanager_of(where: str | None, token_file: Path | None) -> Path | Answered | None:
    """A file, or what a running Alertmanager says of its configuration."""
    if where is None or not _is_address(where):
        return None if where is None else Path(where)
    return configured(alertmanager_at(where, token_file))


def prometheus_of(where: str | None, token_file: Path | None) -> Path | Answered | None:
    """A file, or what a running Prometheus says of its configuration, rules and labels."""
    if where is None or not _is_address(where):
        return None if where is None else Path(where)
    return loaded(prometheus_at(where, token_file))


def configured(asked: Alertmanager) -> Answered:
    """What a running Alertmanager says of its configuration. Raises `AskError`."""
    try:
        return Answered(asked.url, text=str(asked.get("/api/v2/status")["config"]["original"]))
    except (LookupError, TypeError):
        raise AskError(f"{asked.url} does not answer as Alertmanager does") from None


def loaded(asked: Prometheus) -> Answered:
    """What a running Prometheus says of configuration, rules and labels. Raises `AskError`."""
    try:
        configuration = str(asked.data("/api/v1/status/config")["yaml"])
        rules = asked.data("/api/v1/rules", {"type": "alert"})
        names = frozenset(map(str, asked.data("/api/v1/labels")))
    except (LookupError, TypeError):
        raise AskError(f"{asked.url} does not answer as Prometheus does") from None
    return Answered(asked.url, configuration, rules, names)


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))
