"""Cells of CSV tables; imports nothing, so that the command line can share it."""

import json


def cell(value: object) -> object:
    """Keep a spreadsheet from taking strangers' text for a formula; nested values as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
