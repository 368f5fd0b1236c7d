"""Checks of the receiver's own file: what `check-config` warns of."""

from collections.abc import Iterator

from receiver.lint.chain import Chain
from receiver.lint.findings import CheckId, Finding, Severity


def check_config(chain: Chain) -> Iterator[Finding]:
    """Tell the warnings of the configuration where they stand."""
    for warning in chain.config.warnings:
        where, _, said = warning.partition(": ")
        yield Finding(
            CheckId.CONFIGURATION,
            Severity.WARNING,
            chain.document.place(path_of(where)),
            f"{where}: {said}",
            "it is valid, but dangerous",
            "do as the sentence says",
        )


def path_of(shown: str) -> tuple[str | int, ...]:
    """Read a place such as `policies[0].match` back."""
    parts: list[str | int] = []
    for part in shown.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]"):
            inner = part[1:-1]
            parts.append(int(inner) if inner.isdigit() else inner.strip("'\""))
        elif part:
            parts.append(part)
    return tuple(parts)
