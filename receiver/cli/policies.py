"""The command `policies`: modes, how much of the budgets is used, how often retraining helped."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from receiver.cli.client import NOT_FOUND, AskError
from receiver.cli.epilog import examples
from receiver.cli.options import (
    SERVER,
    Format,
    Output,
    ServerUrl,
    TokenFile,
    peer,
)
from receiver.cli.output import Column, Screen, column, print_csv, print_json, shown
from receiver.core.budgets import show_amount
from receiver.core.durations import show_duration

POLICIES_EXAMPLES = examples(
    "retrain-receiver policies",
    "retrain-receiver policies model-quality -o json",
    "retrain-receiver policies --since 30d -o csv",
)


def _only(name: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same answer of one policy. Raises `AskError`."""
    found = [one for one in answer["policies"] if one["name"] == name]
    orphaned = [one for one in answer["orphaned_pauses"] if one["policy"] == name]
    if not found and not orphaned:
        there = ", ".join(shown(one["name"]) for one in answer["policies"]) or "none"
        raise AskError(f"there is no policy {shown(name)}; there are: {there}", NOT_FOUND)
    return {**answer, "policies": found, "orphaned_pauses": orphaned}


def _median(policy: Mapping[str, Any]) -> str:
    seconds = policy["median_recovery_seconds"]
    return "" if seconds is None else show_duration(timedelta(seconds=seconds))


def _budget(policy: Mapping[str, Any]) -> str:
    """The limits that its models share: the spent ones, or else the fullest."""
    limits = policy["budget"]
    spent = [f"used up: {_used(one)}" for one in limits if one["spent"]]
    fullest = sorted(limits, key=lambda one: -one["used"] / one["most"])[:1]
    return "; ".join(spent or map(_used, fullest))


def _used(limit: Mapping[str, Any]) -> str:
    return f"{show_amount(limit['used'])} of {limit['limit']}"


POLICY_TABLE = (
    column("POLICY", "name"),
    column("MODE", "mode"),
    column("TARGET", "target", rank=3),
    column("MODELS", "models"),
    column("FIRING", "firing"),
    column("RUNS", "runs", rank=2),
    column("HELPED", "helped", rank=2),
    column("NO EFFECT", "no_effect", rank=5),
    column("REJECTED", "rejected", rank=6),
    column("FAILED", "failed", rank=4),
    Column("RECOVERY", _median, rank=7),
    Column("BUDGET", _budget, rank=1),
)

POLICY_CSV = (
    "name",
    "mode",
    "target",
    "models",
    "firing",
    "budget",
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
    policy: Annotated[str | None, typer.Argument(metavar="POLICY", help="Only this one.")] = None,
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Count runs that ended since then (default: 90d ago)."),
    ] = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show the policies, what is used of their budgets, and how often retraining helped.

    A run helped if its model's alerts were resolved after it. It had no effect if it ended well,
    `settle` is over and an alert fires all the same; so has a run that rejected its model.
    """
    query = {} if since is None else {"since": since}
    answer = peer(server, token_file).get("/policies", query)
    if policy is not None:
        answer = _only(policy, answer)
    if output is Format.JSON:
        print_json(answer)
    elif output is Format.CSV:
        print_csv(POLICY_CSV, answer["policies"])
    else:
        screen = Screen()
        screen.table(POLICY_TABLE, answer["policies"])
        for pause in answer["orphaned_pauses"]:
            name = shown(pause["policy"])
            screen.line(
                f"policy {name} is paused by {shown(pause['actor'])} but is not in the "
                f"configuration: retrain-receiver resume --policy {name}"
            )
