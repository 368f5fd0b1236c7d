"""What strangers may write where JSON, text, a number or a time is expected: the corpus."""

import json
from collections.abc import Mapping
from typing import Any

from tests.posts import entry

BROKEN = {
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lone surrogate": rb'"x\ud800y"',
    "reversed surrogates": rb'"\udc00\ud800"',
    "long number": b"1" * 5000,
    "invalid UTF-8": b'"x\xff\xc3"',
    "encoded surrogate": b'"\xed\xa0\x80"',
    "control character": b'"a\x01\x00b"',
    "bad escape": rb'"\x41"',
    "no JSON": b"oops",
    "wrong brackets": b"[1}",
    "string of brackets": rb'"}],[{\\\"\ud800"',
}
"""JSON that is broken, or that not every reader can read."""

LITERALS = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "too large": b"1e999",
    "negative": b"-1",
    "zero": b"0",
    "true": b"true",
    "null": b"null",
    "array": b"[]",
    "object": b"{}",
    "repeated names": b'{"a":"1","a":"2","a":3}',
}
"""JSON of another type than anybody expects."""

TEXTS = {
    "empty": "",
    "space": " \t ",
    "NUL": "a\0b",
    "separated number": "\x1c0.62\x1f",
    "line ends": "a\r\nb\u2028c\u2029d\u0085e",
    "escapes": "\x1b[31m\x1b]0;title\x07\x9b2J",
    "bidi": "a\u202egnp.exe\u2066b\u2069",
    "zero width": "\ufeffa\u200bb\u200d",
    "no character": "\uffff\U0010ffff\ufdd0",
    "markup": "<script>alert(1)</script>'\"><img src=x onerror=alert(1)>",
    "formula": "=cmd|' /C calc'!A0",
    "template": "${{ github.token }} {{ value }} {user_id} %s %(x)s",
    "path": "../../../../etc/passwd",
    "SQL": "'; DROP TABLE decisions; --",
    "model's end": "42/retrain",
    "long": "x" * 100_000,
    "very wide": "\U0001f600" * 5_000,
}
"""Text that is storable, and dangerous where it is shown or used."""

TIMES = {
    "year 0": "0000-01-01T00:00:00Z",
    "year 1": "0001-01-01T00:00:00Z",
    "before year 1": "0001-01-01T00:00:00+14:00",
    "year 9998": "9998-12-31T23:59:59.999999999-23:59",
    "year 9999": "9999-12-31T23:59:59Z",
    "after year 9999": "9999-12-31T23:59:59.999999-14:00",
    "year 10000": "10000-01-01T00:00:00Z",
    "1969": "1969-12-31T23:59:59.999999999Z",
    "leap second": "2026-06-30T23:59:60Z",
    "no such day": "2026-02-30T00:00:00Z",
    "far zone": "2026-11-22T11:00:00+99:99",
    "far future": "2999-01-01T00:00:00Z",
}

CORPUS: dict[str, bytes] = {
    **BROKEN,
    **LITERALS,
    **{name: json.dumps(text).encode() for name, text in (TEXTS | TIMES).items()},
}
"""All of it, as it stands in a body."""

NAMES = {name: text for name, text in CORPUS.items() if text.startswith(b'"')}
"""What can also stand for the name of a member."""

HOLE = "@@"

ALERTS = {
    "alert": HOLE,
    "status": {**entry(), "status": HOLE},
    "labels": {**entry(), "labels": HOLE},
    "alertname": {**entry(), "labels": {"alertname": HOLE, "user_id": "7"}},
    "identity": {**entry(), "labels": {"alertname": "A", "user_id": HOLE}},
    "a label": {**entry(), "labels": {"alertname": "A", "user_id": "7", "pod": HOLE}},
    "annotations": {**entry(), "annotations": HOLE},
    "value": {**entry(), "annotations": {"value": HOLE}},
    "startsAt": {**entry(), "startsAt": HOLE},
    "endsAt": {**entry(status="resolved"), "endsAt": HOLE},
    "startsAt of resolved": {**entry(status="resolved"), "startsAt": HOLE},
    "fingerprint": {**entry(), "fingerprint": HOLE},
    "generatorURL": {**entry(), "generatorURL": HOLE},
    "unknown": {**entry(), "unknown": HOLE},
}
"""Every place of an alert."""


def body_with(notification: Mapping[str, Any] | str, hostile: bytes) -> bytes:
    """The notification with something in its hole that no `json.dumps` would write."""
    return json.dumps(notification).encode().replace(json.dumps(HOLE).encode(), hostile)
