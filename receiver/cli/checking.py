"""What `check-config` says of a file, for people and for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from receiver.cli.check_format import CheckFormat
from receiver.config import ConfigError, load_config
from receiver.lint.config_checks import Told, problems_with_lines, with_lines


def check(path: Path, output: CheckFormat, *, fatal_warnings: bool = False) -> int:
    """Say what is wrong, what is dangerous and what is missing; the exit code."""
    problems: list[Told] = []
    warnings: list[Told] = []
    hints: Sequence[str] = ()
    try:
        loaded = load_config(path)
    except ConfigError as error:
        problems = list(problems_with_lines(error))
    else:
        warnings, hints = list(with_lines(path, loaded.warnings)), loaded.hints
    if output is CheckFormat.JSON:
        _print_json(path, problems, warnings, hints)
    else:
        _print_text(path, problems, warnings, hints)
    return int(bool(problems or (fatal_warnings and warnings)))


def not_valid(path: Path, problems: Iterable[Told]) -> str:
    """All that is wrong with a file, a line each."""
    return "\n  ".join([f"{path.name} is not valid:", *map(str, problems)])


def _print_json(
    path: Path, problems: Sequence[Told], warnings: Sequence[Told], hints: Sequence[str]
) -> None:
    said = {
        "file": str(path),
        "valid": not problems,
        "problems": [asdict(one) for one in problems],
        "warnings": [asdict(one) for one in warnings],
        "missing": list(hints),
    }
    typer.echo(json.dumps(said, indent=2))


def _print_text(
    path: Path, problems: Sequence[Told], warnings: Iterable[Told], hints: Iterable[str]
) -> None:
    if problems:
        typer.echo(not_valid(path, problems), err=True)
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}")
    for hint in hints:
        typer.echo(f"missing: {hint}")
    typer.echo(f"{path} is valid")
