"""policies: what they are, and how often retraining helped."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from receiver.cli.helping import examples
from receiver.cli.options import (
    SERVER,
    Format,
    Output,
    ServerUrl,
    TokenFile,
    peer,
)
from receiver.cli.output import Column, Screen, column, print_csv, print_json
from receiver.core.durations import show_duration

POLICIES_EXAMPLES = examples(
    "retrain-receiver policies", "retrain-receiver policies --since 30d -o csv"
)


def _median(policy: Mapping[str, Any]) -> str:
    seconds = policy["median_recovery_seconds"]
    return "" if seconds is None else show_duration(timedelta(seconds=seconds))


POLICY_TABLE = (
    column("POLICY", "name"),
    column("MODE", "mode"),
    column("TARGET", "target"),
    column("MODELS", "models"),
    column("FIRING", "firing"),
    column("RUNS", "runs"),
    column("HELPED", "helped"),
    column("NO EFFECT", "no_effect"),
    column("REJECTED", "rejected"),
    column("FAILED", "failed"),
    Column("MEDIAN RECOVERY", _median),
)

POLICY_CSV = (
    "name",
    "mode",
    "target",
    "models",
    "firing",
    "runs",
    "helped",
    "no_effect",
    "rejected",
    "failed",
    "cancelled",
    "settling",
    "unclear",
    "median_recovery_seconds",
    "settings",
)
"""The API's fields of a policy; an empty table has a heading too."""


def policies(
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Count runs that ended since then (default: 90d ago)."),
    ] = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show the policies, and how often retraining helped.

    A run helped if its model's alerts were resolved after it. It had no effect if it ended well,
    `settle` is over and an alert fires all the same; so has a run that rejected its model.
    """
    query = {} if since is None else {"since": since}
    answer = peer(server, token_file).get("/policies", query)
    if output is Format.JSON:
        print_json(answer)
    elif output is Format.CSV:
        print_csv(POLICY_CSV, answer["policies"])
    else:
        Screen().table(POLICY_TABLE, answer["policies"])
