"""The command `targets`: whether each target answers, since when it does not, who waits for it."""

from collections.abc import Mapping
from typing import Any

from receiver.cli.columns import Column, column, moment, shown
from receiver.cli.epilog import examples
from receiver.cli.options import SERVER, Format, Output, ServerUrl, TokenFile, peer
from receiver.cli.output import Screen, print_csv, print_json

TARGETS_EXAMPLES = examples(
    "retrain-receiver targets", "retrain-receiver targets -o json | jq '.targets[].state'"
)


def _policies(row: Mapping[str, Any]) -> str:
    return shown(", ".join(row["policies"]))


TARGET_TABLE = (
    column("TARGET", "name"),
    column("STATE", "state", style_by="state"),
    column("WAITING", "waiting"),
    moment("SINCE (UTC)", "failing_since"),
    column("KIND", "kind", rank=3),
    Column("POLICIES", _policies, rank=4),
    column("ERROR", "error", rank=1, cuts=True),
)

TARGET_CSV = (
    "name",
    "kind",
    "policies",
    "state",
    "failing_since",
    "failed_at",
    "answered_at",
    "error",
    "cure",
    "waiting",
    "models",
    "in_flight",
    "retry_at",
    "credential",
)


def targets(
    *,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Show whether each target answers, since when it does not, and what would help.

    ok: it answered when it was last asked. failing: it did not, and models wait for it or have
    runs there that can't be followed. unknown: nothing was asked of it yet, or nothing waits for
    it since it failed.
    """
    answer = peer(server, token_file).get("/targets")
    if output is Format.JSON:
        print_json(answer)
    elif output is Format.CSV:
        print_csv(TARGET_CSV, answer["targets"])
    else:
        screen = Screen()
        screen.table(TARGET_TABLE, answer["targets"])
        for row in answer["targets"]:
            for what in ("cure", "credential"):
                if row[what]:
                    screen.line(f"{shown(row['name'])}: {what}: {shown(row[what])}")
