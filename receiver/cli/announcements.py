"""The command `announcements`: what was delivered to subscribers, and what was given up."""

from typing import Annotated

import typer

from receiver.cli.epilog import examples
from receiver.cli.options import (
    SERVER,
    All,
    Format,
    Limit,
    Output,
    ServerUrl,
    TokenFile,
    one_of,
    peer,
    words,
)
from receiver.cli.output import column, moment
from receiver.cli.reports import show_list
from receiver.core.announcements import AnnouncementState, Kind

ANNOUNCEMENTS_EXAMPLES = examples(
    "retrain-receiver announcements --state given_up",
    "retrain-receiver announcements --subscriber on-call --limit 10",
)

ANNOUNCEMENT_TABLE = (
    moment("TIME (UTC)", "at"),
    column("SUBSCRIBER", "subscriber", rank=2),
    column("ABOUT", "kind"),
    column("MODEL", "model"),
    column("STATE", "state", style_by="state"),
    column("TRIES", "tries", rank=3),
    column("DETAIL", "detail", rank=1, cuts=True),
)


def announcements(
    *,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help=one_of(AnnouncementState),
            autocompletion=words(AnnouncementState),
        ),
    ] = None,
    subscriber: Annotated[
        str | None, typer.Option(metavar="NAME", help="To this subscriber.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help=one_of(Kind), autocompletion=words(Kind)),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Of this model.")] = None,
    limit: Limit = 50,
    all_: All = False,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show what subscribers were told, or could not be told and why."""
    filters = {"state": state, "subscriber": subscriber, "kind": kind, "model": model}
    query = {name: value for name, value in filters.items() if value is not None}
    page = peer(server, token_file).page("announcements", query, None if all_ else limit)
    show_list(page, "announcements", output, ANNOUNCEMENT_TABLE)
