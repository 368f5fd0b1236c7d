"""All commands: those of the program, and those that ask a running receiver."""

import sys

import typer

from receiver.cli import (
    acting,
    announcements,
    asking,
    dispatches,
    measuring,
    policies,
    polling,
    testing,
)
from receiver.cli import doctor as doctoring
from receiver.cli.client import AskError
from receiver.cli.output import visible
from receiver.cli.program import app

app.command(epilog=asking.DECISIONS_EXAMPLES)(asking.decisions)
app.command(epilog=asking.MODELS_EXAMPLES)(asking.models)
app.command(epilog=asking.EXPLAIN_EXAMPLES)(asking.explain)
app.command(epilog=acting.RETRAIN_EXAMPLES)(acting.retrain)
app.command(epilog=acting.PAUSE_EXAMPLES)(acting.pause)
app.command(epilog=acting.RESUME_EXAMPLES)(acting.resume)
app.command(epilog=acting.APPROVE_EXAMPLES)(acting.approve)
app.command(epilog=acting.REJECT_EXAMPLES)(acting.reject)
app.command(epilog=dispatches.DISPATCHES_EXAMPLES)(dispatches.dispatches)
app.command(epilog=doctoring.DOCTOR_EXAMPLES)(doctoring.doctor)
app.command(epilog=measuring.METRICS_EXAMPLES)(measuring.metrics)
app.command(epilog=polling.CHECK_DRIFT_EXAMPLES)(polling.check_drift)
app.command(epilog=testing.SEND_TEST_EXAMPLES)(testing.send_test)
app.command(epilog=policies.POLICIES_EXAMPLES)(policies.policies)
app.command(epilog=announcements.ANNOUNCEMENTS_EXAMPLES)(announcements.announcements)


def run() -> None:
    """Run any command."""
    try:
        app(prog_name="retrain-receiver")
    except AskError as error:
        typer.echo(visible(str(error)), err=True)
        sys.exit(error.exit_code)
