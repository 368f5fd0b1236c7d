"""The command `doctor`: checks every part of the way from a metric to a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from receiver.cli import doctor_checks
from receiver.cli.client import FAILED
from receiver.cli.doctor_checks import Check, State
from receiver.cli.doctor_lint import LiveChain
from receiver.cli.epilog import examples
from receiver.cli.options import (
    SERVER,
    Format,
    Output,
    ServerUrl,
    TokenFile,
    labels_of,
    peer,
)
from receiver.cli.output import STYLES, Column, Screen, print_csv, print_json, visible
from receiver.cli.testing import TestLabels, span
from receiver.cli.upstream import (
    ALERTMANAGER,
    PROMETHEUS,
    AlertmanagerToken,
    PrometheusToken,
    PrometheusUrl,
    alertmanager_at,
    prometheus_at,
)

DOCTOR_EXAMPLES = examples(
    "retrain-receiver doctor --prometheus http://prometheus:9090 "
    "--alertmanager http://alertmanager:9093",
    "retrain-receiver doctor --config receiver.yaml --label user_id=user01",
    "retrain-receiver doctor --no-test       send no test alert",
)

MARKS = {State.OK: "✓", State.WARN: "!", State.FAIL: "✗", State.SKIP: "-"}
STYLE_OF = {
    State.OK: STYLES["succeeded"],
    State.WARN: STYLES["held"],
    State.FAIL: STYLES["failed"],
    State.SKIP: STYLES["skip"],
}
TABLE = (
    Column("", lambda row: MARKS[State(row["state"])], lambda row: STYLE_OF[State(row["state"])]),
    Column("WHAT", lambda row: visible(row["what"])),
    Column("FOUND", lambda row: visible(row["found"])),
)


def doctor(
    *,
    prometheus: PrometheusUrl = PROMETHEUS,
    prometheus_token_file: PrometheusToken = None,
    alertmanager: Annotated[
        str,
        typer.Option(
            "--alertmanager", envvar="ALERTMANAGER_URL", metavar="URL", help="Alertmanager."
        ),
    ] = ALERTMANAGER,
    alertmanager_token_file: AlertmanagerToken = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The receiver's file: its policies are compared with the rules, and its sources "
            "and targets asked whether they take our credentials.",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test/--no-test", help="Whether a test alert is sent.")
    ] = True,
    label: TestLabels = None,
    our_receiver: Annotated[
        list[str] | None,
        typer.Option(
            "--receiver",
            metavar="NAME",
            help="Alertmanager's receiver that posts to us, where it hides the addresses.",
        ),
    ] = None,
    wait: Annotated[
        str,
        typer.Option(metavar="TIME", help="How long the test alert may take to arrive."),
    ] = "90s",
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Examine the way from metric to run; say what is wrong and how to mend it.

    One line for each of Prometheus, its targets, models and rules, Alertmanager, the receiver,
    its configuration, sources and targets, and the route: a test alert (retrain_test="true") is
    sent through Alertmanager and must be decided here. It has the labels of a real rule and no
    more, is observed, and never acted on. With --config what `lint` finds is told too.

    ✓ is well, ! deserves a look, ✗ is wrong, - was not examined. Exit code 1 if something is
    wrong.
    """
    patience, labels = span(wait), labels_of(label)
    receiver = peer(server, token_file)
    metrics = prometheus_at(prometheus, prometheus_token_file)
    alerts = alertmanager_at(alertmanager, alertmanager_token_file)
    chain = LiveChain(metrics, alerts, config, frozenset(our_receiver or ()))
    way = doctor_checks.Way(metrics, alerts, receiver, config, chain)
    findings = [*way.examine(labels)]
    if test:
        findings.append(way.examine_route(labels, patience))
    _show(findings, output)
    if any(finding.state is State.FAIL for finding in findings):
        raise typer.Exit(FAILED)


def _show(findings: Sequence[Check], output: Format) -> None:
    rows = [
        {"state": each.state.value, "what": each.what, "found": each.found} for each in findings
    ]
    if output is Format.JSON:
        print_json({"findings": rows})
    elif output is Format.CSV:
        print_csv(("state", "what", "found"), rows)
    else:
        Screen().table(TABLE, rows)
