"""Registers all commands; loaded only for those that ask a running receiver."""

import sys

import typer

from receiver.cli import (
    announcements,
    backtesting,
    completion,
    dispatches,
    metrics,
    operator_acts,
    policies,
    polling,
    queries,
    targets,
    testing,
)
from receiver.cli import doctor as doctoring
from receiver.cli import lint as linting
from receiver.cli.client import AskError
from receiver.cli.output import visible
from receiver.cli.program import app

app.command(epilog=queries.DECISIONS_EXAMPLES)(queries.decisions)
app.command(epilog=queries.MODELS_EXAMPLES)(queries.models)
app.command(epilog=queries.EXPLAIN_EXAMPLES)(queries.explain)
app.command(epilog=operator_acts.RETRAIN_EXAMPLES)(operator_acts.retrain)
app.command(epilog=operator_acts.PAUSE_EXAMPLES)(operator_acts.pause)
app.command(epilog=operator_acts.RESUME_EXAMPLES)(operator_acts.resume)
app.command(epilog=operator_acts.RELEASE_EXAMPLES)(operator_acts.release)
app.command(epilog=operator_acts.FORGET_EXAMPLES)(operator_acts.forget)
app.command(epilog=operator_acts.APPROVE_EXAMPLES)(operator_acts.approve)
app.command(epilog=operator_acts.REJECT_EXAMPLES)(operator_acts.reject)
app.command(epilog=dispatches.DISPATCHES_EXAMPLES)(dispatches.dispatches)
app.command(epilog=doctoring.DOCTOR_EXAMPLES)(doctoring.doctor)
app.command(epilog=linting.LINT_EXAMPLES)(linting.lint)
app.command(epilog=metrics.METRICS_EXAMPLES)(metrics.metrics)
app.command(epilog=polling.CHECK_DRIFT_EXAMPLES)(polling.check_drift)
app.command(epilog=testing.SEND_TEST_EXAMPLES)(testing.send_test)
app.command(epilog=policies.POLICIES_EXAMPLES)(policies.policies)
app.command(epilog=targets.TARGETS_EXAMPLES)(targets.targets)
app.command(epilog=completion.COMPLETION_EXAMPLES)(completion.completion)
app.command(epilog=backtesting.BACKTEST_EXAMPLES)(backtesting.backtest)
app.command(epilog=announcements.ANNOUNCEMENTS_EXAMPLES)(announcements.announcements)


def run() -> None:
    """Run any command."""
    completion.prepare()
    try:
        app(prog_name="retrain-receiver")
    except AskError as error:
        typer.echo(visible(str(error)), err=True)
        sys.exit(error.exit_code)
