"""Measures: ratios taken side by side in one run, because machines differ."""
