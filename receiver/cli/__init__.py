"""The command line."""

from receiver.cli.commands import app, main

__all__ = ["app", "main"]
