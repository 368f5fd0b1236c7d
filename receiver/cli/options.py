"""Options that several commands share."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from receiver.cli.client import MOST_ROWS, ReceiverClient, UsageError, peer_at

SERVER = "http://127.0.0.1:8080"


class Format(StrEnum):
    """How an answer is shown."""

    TABLE = "table"  # for people
    JSON = "json"  # what the API answered
    CSV = "csv"


ServerUrl = Annotated[
    str,
    typer.Option(
        "--server", envvar="RETRAIN_RECEIVER_URL", metavar="URL", help="The running receiver."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="RETRAIN_RECEIVER_TOKEN_FILE",
        metavar="FILE",
        help="A file that holds the token; acts need the role operator.",
    ),
]
Output = Annotated[Format, typer.Option("--output", "-o", help="How to show the answer.")]
Limit = Annotated[
    int, typer.Option(min=1, max=MOST_ROWS, metavar="NUMBER", help=f"How many, up to {MOST_ROWS}.")
]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]
Comment = Annotated[str, typer.Option(metavar="TEXT", help="Why: it is kept in the audit log.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="Within 24 hours the same act under the same key is done once.",
    ),
]


def one_of(words: Iterable[str]) -> str:
    """An option's help that names its values."""
    return f"One of {', '.join(words)}."


def words(known: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers after an option."""

    def offered(incomplete: str) -> list[str]:
        return [word for word in map(str, known) if word.startswith(incomplete)]

    return offered


def peer(server: str, token_file: Path | None) -> ReceiverClient:
    """The receiver that the options name. A usage error if they can't."""
    try:
        return peer_at(server, token_file)
    except ValueError as error:
        raise UsageError(str(error)) from None


def labels_of(pairs: list[str] | None) -> dict[str, str]:
    """What `--label` names. A usage error if one is no pair."""
    return dict(_pair(each) for each in pairs or [])


def _pair(label: str) -> tuple[str, str]:
    name, equals, value = label.partition("=")
    if not name or not equals:
        raise UsageError(f"--label {label!r} is not NAME=VALUE, as in user_id=42")
    return name, value
