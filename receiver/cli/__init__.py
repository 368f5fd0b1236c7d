"""The command line: `retrain-receiver` and its commands."""

import sys
from io import TextIOWrapper


def main() -> None:
    """Run the command."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A locale that lacks a letter must not end a report halfway.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.argv[1:2] == ["serve"]:  # loading the other commands would take a tenth of its start
        from receiver.cli.program import app  # noqa: PLC0415

        app(prog_name="retrain-receiver")
    else:
        from receiver.cli.commands import run  # noqa: PLC0415

        run()
