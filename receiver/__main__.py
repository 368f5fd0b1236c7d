"""Lets `python -m receiver` do what `retrain-receiver` does."""

from receiver.cli import main

main()
