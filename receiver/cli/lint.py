"""The command `lint`: reads the whole chain as it is and says what will not work."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from receiver.cli.client import FAILED
from receiver.cli.epilog import examples
from receiver.cli.upstream import AlertmanagerToken, PrometheusToken

LINT_EXAMPLES = examples(
    "retrain-receiver lint --config receiver.yaml --alertmanager alertmanager.yml "
    "--rules rules/*.yaml",
    "retrain-receiver lint --alertmanager http://alertmanager:9093 --receiver retrain "
    "--prometheus http://prometheus:9090",
    "retrain-receiver lint --workflow .github/workflows/retrain-model.yaml -o sarif",
    "retrain-receiver lint --explain no-alert-arrives",
)


class LintFormat(StrEnum):
    """How findings are written."""

    TEXT = "text"  # for people
    JSON = "json"
    SARIF = "sarif"  # 2.1.0, for code scanning


def lint(
    more_rules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="More of --rules, as a shell's * gives them."),
    ] = None,
    *,
    config: Annotated[
        Path, typer.Option("--config", help="The receiver's file.", metavar="FILE")
    ] = Path("receiver.yaml"),
    alertmanager: Annotated[
        str | None,
        typer.Option("--alertmanager", metavar="URL|FILE", help="Alertmanager, or its file."),
    ] = None,
    alertmanager_token_file: AlertmanagerToken = None,
    prometheus: Annotated[
        str | None,
        typer.Option(
            "--prometheus",
            metavar="URL|FILE",
            help="Prometheus, or its file with the files that it names under rule_files.",
        ),
    ] = None,
    prometheus_token_file: PrometheusToken = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rules",
            metavar="FILE",
            help="Rule files or PrometheusRules: a file, a folder or a quoted pattern; may be "
            "given several times.",
        ),
    ] = None,
    workflow: Annotated[
        list[Path] | None,
        typer.Option("--workflow", metavar="FILE", help="The workflow that a target starts."),
    ] = None,
    kfp_package: Annotated[
        list[Path] | None,
        typer.Option("--kfp-package", metavar="FILE", help="The compiled pipeline of a target."),
    ] = None,
    receiver: Annotated[
        list[str] | None,
        typer.Option(
            "--receiver",
            metavar="NAME",
            help="Alertmanager's receiver that posts to us; without it the one whose address ends "
            "in /webhook, or what `sources` names.",
        ),
    ] = None,
    output: Annotated[
        LintFormat, typer.Option("--output", "-o", help="How to write what is found.")
    ] = LintFormat.TEXT,
    explain: Annotated[
        str | None,
        typer.Option(metavar="CHECK", help="Tell about one check, with examples, and end."),
    ] = None,
) -> None:
    """Say what will not work, before it costs a night: place, consequence and cure.

    Reads the receiver's file and whatever else is given, and compares them: which rules' alerts
    reach us, whether Alertmanager's times fit ours, whether the workflow takes what we send.
    Nothing is sent and nothing is changed.

    Exit code 1 if anything is wrong, 0 if there are warnings and notes only.
    """
    if more_rules and not rules:
        raise typer.BadParameter("say what the files are: --config FILE, --rules FILE")
    from receiver.cli import linting  # noqa: PLC0415  pydantic and YAML are slow to load

    if explain is not None:
        typer.echo(linting.explained(explain))
        return
    findings = linting.findings(
        config=config,
        alertmanager=linting.alertmanager_of(alertmanager, alertmanager_token_file),
        prometheus=linting.prometheus_of(prometheus, prometheus_token_file),
        rules=[*(rules or ()), *(more_rules or ())],
        workflows=workflow or (),
        packages=kfp_package or (),
        receivers=frozenset(receiver or ()),
    )
    linting.write(findings, output.value)
    if linting.is_wrong(findings):
        raise typer.Exit(FAILED)
