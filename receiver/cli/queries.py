"""The commands `decisions`, `models` and `explain`."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any
from urllib.parse import quote

import typer

from receiver.cli.client import MOST_ROWS, ReceiverClient, UsageError
from receiver.cli.columns import STYLES
from receiver.cli.epilog import examples
from receiver.cli.following import follow_decisions
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
from receiver.cli.output import (
    Column,
    Screen,
    column,
    moment,
    print_json,
    shown,
    visible,
    write_csv,
)
from receiver.cli.reports import hint_at_more, show_decision, show_explanation, show_list
from receiver.core.alerts import AlertStatus, Source
from receiver.core.decisions import Outcome, Reason
from receiver.core.models import ModelState

FEW = 3
"""So many models of one kind are told by their rows alone."""

NDJSON = "application/x-ndjson"
CSV = "text/csv"

DECISIONS_EXAMPLES = examples(
    "retrain-receiver decisions --model 42 --since 6h",
    "retrain-receiver decisions --outcome hold --limit 10",
    "retrain-receiver decisions --follow --policy model-quality",
    "retrain-receiver decisions --since 30d --all -o csv > decisions.csv",
    "retrain-receiver decisions 1795333142754524     one, with every rung and the raw alert",
)
MODELS_EXAMPLES = examples(
    "retrain-receiver models --state attention",
    "retrain-receiver models --sort worst --limit 20",
    "retrain-receiver models --policy model-quality -q tenant-7",
    "retrain-receiver models --target retrain-pipeline --state waiting",
    "retrain-receiver models --label region=eu --all -o json",
)
EXPLAIN_EXAMPLES = examples("retrain-receiver explain 42")

DECISION_TABLE = (
    moment("TIME (UTC)", "decided_at"),
    column("ID", "id"),
    column("MODEL", "model"),
    column("ALERT", "alertname", rank=2),
    column("REASON", "reason", style_by="outcome"),
    column("DETAIL", "detail", rank=1, cuts=True),
)


def _firing(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted({visible(alert["alertname"]) for alert in row["firing_alerts"]}))


def _last_dispatch(row: Mapping[str, Any]) -> str:
    last = row["dispatch"]
    if last is None:
        return ""
    run = f" (run {shown(last['run_id'])})" if last["run_id"] else ""
    return f"{shown(last['id'])} {shown(last['state'])}{run}"


MODEL_TABLE = (
    column("MODEL", "model"),
    column("STATE", "state", style_by="state"),
    column("POLICY", "policy", rank=3),
    Column("FIRING", _firing, rank=2, cuts=True),
    moment("COOLDOWN UNTIL (UTC)", "cooldown_until", rank=4),
    moment("NEXT CHECK (UTC)", "next_check_at", rank=1),
    Column("LAST DISPATCH", _last_dispatch, rank=5),
)


def decisions(
    decision_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Show this one whole.")
    ] = None,
    *,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Of this model.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="By this policy.")] = None,
    alertname: Annotated[
        str | None, typer.Option(metavar="NAME", help="About alerts of this name.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option(metavar="HASH", help="About this alert.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS",
            help=f"The alert's: {', '.join(AlertStatus)}.",
            autocompletion=words(AlertStatus),
        ),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(metavar="REASON", help=one_of(Reason), autocompletion=words(Reason)),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(metavar="OUTCOME", help=one_of(Outcome), autocompletion=words(Outcome)),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help=one_of(Source), autocompletion=words(Source)),
    ] = None,
    dispatch_id: Annotated[
        str | None, typer.Option(metavar="ID", help="About this dispatch.")
    ] = None,
    notification_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this notification.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is decided, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on: 2026-11-22T09:14:00Z or 6h.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Before then: 2026-11-22T09:14:00Z or 1h.")
    ] = None,
    limit: Limit = 50,
    all_: All = False,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show what was decided and why; or one decision whole."""
    filters = {
        "model": model,
        "policy": policy,
        "alertname": alertname,
        "fingerprint": fingerprint,
        "status": status,
        "reason": reason,
        "outcome": outcome,
        "source": source,
        "dispatch_id": dispatch_id,
        "notification_id": notification_id,
        "since": since,
        "until": until,
    }
    query = {name: value for name, value in filters.items() if value is not None}
    receiver = peer(server, token_file)
    if decision_id is not None:
        if query or all_ or follow:
            raise UsageError("an ID stands alone; filters are for lists")
        show_decision(receiver.get(f"/decisions/{quote(decision_id, safe='')}"), output)
    elif follow:
        if output is Format.CSV or all_ or until is not None:
            raise UsageError("--follow goes on: it takes no -o csv, --all or --until")
        follow_decisions(receiver, query, limit, output)
    elif output is Format.CSV:
        _print_decisions_csv(receiver, query, None if all_ else limit)
    elif all_:
        _print_all_decisions(receiver, query, output)
    else:
        _print_decisions(receiver, query, limit, output)


def _print_decisions(
    receiver: ReceiverClient, query: Mapping[str, str], limit: int, output: Format
) -> None:
    page = receiver.page("decisions", query, limit)
    if output is Format.JSON:
        print_json(page)
        return
    Screen().table(DECISION_TABLE, page["decisions"])
    hint_at_more(page)


def _print_decisions_csv(
    receiver: ReceiverClient, query: Mapping[str, str], limit: int | None
) -> None:
    rows = csv.reader(receiver.lines("/decisions", query, CSV))
    write_csv(islice(rows, None if limit is None else limit + 1))


def _print_all_decisions(
    receiver: ReceiverClient, query: Mapping[str, str], output: Format
) -> None:
    """Print the log page by page, so that memory stays bounded."""
    lines = receiver.lines("/decisions", query, NDJSON)
    if output is Format.JSON:
        for line in lines:
            print(json.dumps(json.loads(line)))  # noqa: T201
        return
    screen = Screen()
    for rows in _batches(json.loads(line) for line in lines):
        screen.table(DECISION_TABLE, rows)


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    """At least one batch, so that an empty answer has a heading too."""
    batch = list(islice(rows, MOST_ROWS))
    yield batch
    while batch := list(islice(rows, MOST_ROWS)):
        yield batch


def models(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Show this one, as `explain` does.")
    ] = None,
    *,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="One of those below.", autocompletion=words(ModelState)
        ),
    ] = None,
    policy: Annotated[str | None, typer.Option(metavar="POLICY", help="Of this policy.")] = None,
    target: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Of this target's policies.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("-q", "--query", metavar="TEXT", help="With this in the name.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="With this label; repeat."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="ORDER",
            help="name, or worst first: worst.",
            autocompletion=words(["name", "worst"]),
        ),
    ] = None,
    limit: Limit = 50,
    all_: All = False,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show how each model stands; or one, as `explain` does.

    Its state is the first that applies: attention, waiting, running, paused, held, firing, quiet.
    """
    filters = {
        "state": state,
        "policy": policy,
        "target": target,
        "q": text,
        "labels": ",".join(label) if label else None,
        "sort": sort,
    }
    query = {name: value for name, value in filters.items() if value is not None}
    receiver = peer(server, token_file)
    if model is not None:
        if query or all_:
            raise UsageError("a MODEL stands alone; filters are for lists")
        show_explanation(receiver.get(f"/models/{quote(model, safe='')}"), output)
        return
    page = receiver.page("models", query, None if all_ else limit)
    if output is Format.TABLE and sys.stdout.isatty():
        _show_groups([group for group in page["groups"] if group["count"] > FEW])
    show_list(page, "models", output, MODEL_TABLE)


def _show_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    """What many models need a human for in common: a storm in one line."""
    screen = Screen()
    for group in groups:
        screen.line(f"! {visible(group['detail'])}", STYLES["attention"])
    if groups:
        screen.line()


def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    *,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Say what holds a model, and when it is tried next.

    Every rung of the ladder is shown as it stands now: ✓ lets an alert pass, ✗ holds it.
    """
    answer = peer(server, token_file).get(f"/models/{quote(model, safe='')}")
    show_explanation(answer, output)
