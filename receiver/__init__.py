"""Decide, per model, whether to retrain; start exactly one run; keep every decision."""

__version__ = "0.2.0"
