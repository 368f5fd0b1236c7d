"""Runs the command line as `python -m receiver`."""

from receiver.cli import main

main()
