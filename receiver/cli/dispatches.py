"""The command `dispatches`: lists and shows dispatches, retries or abandons one."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from receiver.cli.client import ReceiverClient, UsageError
from receiver.cli.epilog import examples
from receiver.cli.operator_acts import key_or_new
from receiver.cli.options import (
    SERVER,
    All,
    Format,
    Key,
    Limit,
    Output,
    ServerUrl,
    TokenFile,
    one_of,
    peer,
    words,
)
from receiver.cli.output import column, moment
from receiver.cli.reports import show_act, show_dispatch, show_list
from receiver.core.dispatches import DispatchState

DISPATCHES_EXAMPLES = examples(
    "retrain-receiver dispatches --state parked",
    "retrain-receiver dispatches --since 24h --all -o csv",
    "retrain-receiver dispatches 01m813adaxqm62f7v5pt39hrtr",
    "retrain-receiver dispatches 01m813adaxqm62f7v5pt39hrtr --retry --comment 'token renewed'",
)

DISPATCH_TABLE = (
    moment("CREATED (UTC)", "created_at", rank=2),
    column("ID", "id"),
    column("MODEL", "model"),
    column("TARGET", "target", rank=4),
    column("STATE", "state", style_by="state"),
    column("ATTEMPT", "attempt", rank=6),
    column("RUN", "run_id", rank=3),
    column("EFFECT", "effect", style_by="effect", rank=5),
    column("DETAIL", "detail", rank=1, cuts=True),
)


def dispatches(
    dispatch_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Show this one, its transitions and attempts."),
    ] = None,
    *,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Parked or refused: look for its run, else send it again."),
    ] = False,
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give it up here; a run at the target is not stopped."),
    ] = False,
    comment: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; --retry and --abandon need it.")
    ] = None,
    idempotency_key: Key = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help=one_of(DispatchState), autocompletion=words(DispatchState)
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Of this model.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="By this policy.")] = None,
    target: Annotated[str | None, typer.Option(metavar="TARGET", help="To this target.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Ordered from then on: 2026-11-22T09:14:00Z or 6h."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Ordered before then: 2026-11-22T09:14:00Z or 1h."),
    ] = None,
    limit: Limit = 50,
    all_: All = False,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show the orders to start runs; or one, retry or abandon it."""
    filters = {
        "state": state,
        "model": model,
        "policy": policy,
        "target": target,
        "since": since,
        "until": until,
    }
    query = {name: value for name, value in filters.items() if value is not None}
    _check(dispatch_id, comment, filtered=bool(query) or all_, acts=retry + abandon)
    receiver = peer(server, token_file)
    if dispatch_id is None:
        page = receiver.page("dispatches", query, None if all_ else limit)
        show_list(page, "dispatches", output, DISPATCH_TABLE)
        return
    path = f"/dispatches/{quote(dispatch_id, safe='')}"
    if not (retry or abandon):
        show_dispatch(_whole(receiver, path), output)
        return
    act = "retry" if retry else "abandon"
    key = key_or_new(idempotency_key)
    show_act(receiver.act(f"{path}/{act}", {"comment": comment}, key), output)


def _whole(receiver: ReceiverClient, path: str) -> Mapping[str, Any]:
    """A dispatch with all of its history, which is long if its target was away for days."""
    found = receiver.get(path)
    while found["next_cursor"] is not None:
        before = receiver.get(path, {"cursor": found["next_cursor"]})
        steps = {name: [*before[name], *found[name]] for name in ("attempts", "transitions")}
        found = {**found, **steps, "next_cursor": before["next_cursor"]}
    return {name: value for name, value in found.items() if name != "next_cursor"}


def _check(dispatch_id: str | None, comment: str | None, *, filtered: bool, acts: int) -> None:
    """Refuse options that do not go together."""
    if dispatch_id is not None and filtered:
        raise UsageError("an ID stands alone; filters are for lists")
    if dispatch_id is None and acts:
        raise UsageError("--retry and --abandon need the dispatch's ID")
    if acts > 1:
        raise UsageError("--retry or --abandon, not both")
    if acts and comment is None:
        raise UsageError("--retry and --abandon need --comment")
    if comment is not None and not acts:
        raise UsageError("--comment belongs to --retry or --abandon")
