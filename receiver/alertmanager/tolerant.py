"""Parses broken JSON as far as it goes, into text that UTF-8, JSON and PostgreSQL can store."""

import json
import re
from collections.abc import Mapping
from itertools import islice

from receiver.alertmanager.json_split import NotJSONError, members, trimmed

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
MOST_MEMBERS = 1000
"""Of one broken object; Alertmanager was seen with 320 labels."""


def clean(text: str) -> str:
    """Replace NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:  # nearly always, and ten times as fast to see
        return text
    return UNSTORABLE.sub("\ufffd", text)


def clean_all(texts: Mapping[str, str]) -> dict[str, str]:
    """Replace them in names and values."""
    return {clean(name): clean(text) for name, text in texts.items()}


def readable(text: bytes) -> str | None:
    """Read a JSON string as far as possible; None if it is no string."""
    if text[:1] != b'"':
        return None
    decoded = text.decode("utf-8", "replace")
    try:
        return clean(json.loads(decoded, strict=False))
    except ValueError:  # an escape that does not exist
        return clean(decoded[1:-1])


def readables(text: bytes, outlined: bytes) -> dict[str, str] | None:
    """Read those members of a JSON object that are strings; None if it is no object."""
    if text[:1] != b"{":
        return None
    read = {name: readable(text[span]) for name, span in members_by_name(text, outlined).items()}
    return {name: value for name, value in read.items() if value is not None}


def members_by_name(text: bytes, outlined: bytes) -> dict[str, slice]:
    """Find the values of a JSON object, as far as it can be cut; the last of a name wins."""
    spans: dict[str, slice] = {}
    try:
        for name, value in islice(members(outlined, trimmed(outlined)), MOST_MEMBERS):
            spans[readable(text[name]) or ""] = value
    except NotJSONError:
        pass
    return spans
