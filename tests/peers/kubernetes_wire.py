"""Bodies as clients of Kubernetes send them: JSON, YAML, or a Secret in protobuf (a release)."""

import base64
from collections.abc import Iterator
from typing import Any

import yaml

MAGIC = b"k8s\0"
VARINT, BYTES = 0, 2

# Numbers of fields: k8s.io/apimachinery runtime.Unknown and ObjectMeta, k8s.io/api core Secret.
RAW_OF_UNKNOWN = 2
METADATA, DATA, TYPE = 1, 2, 3
NAME, NAMESPACE, LABELS = 1, 3, 11


def read_body(raw: bytes) -> dict[str, Any]:
    """Read an object."""
    if not raw.startswith(MAGIC):
        # JSON is YAML too, and what is applied on the server's side may be either.
        return dict(yaml.safe_load(raw) or {})
    (packed,) = [value for number, value in _fields(raw[len(MAGIC) :]) if number == RAW_OF_UNKNOWN]
    return _secret(packed)


def _secret(packed: bytes) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {}}
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}}
    for number, value in _fields(packed):
        if number == DATA:
            key, content = (each for _, each in _fields(value))
            made["data"][key.decode()] = base64.b64encode(content).decode()
        elif number == TYPE:
            made["type"] = value.decode()
        elif number == METADATA:
            for of_meta, each in _fields(value):
                if of_meta == LABELS:
                    key, content = (part for _, part in _fields(each))
                    metadata["labels"][key.decode()] = content.decode()
                elif of_meta in {NAME, NAMESPACE}:
                    metadata["name" if of_meta == NAME else "namespace"] = each.decode()
    return made


def _fields(packed: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that hold bytes, by number; others are passed over."""
    at = 0
    while at < len(packed):
        tag, at = _varint(packed, at)
        length, at = _varint(packed, at)
        if tag & 7 == BYTES:
            yield tag >> 3, packed[at : at + length]
            at += length
        elif tag & 7 != VARINT:
            raise ValueError(f"wire type {tag & 7} is none of a Secret's")


def _varint(packed: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = shift = 0
    while True:
        byte = packed[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
