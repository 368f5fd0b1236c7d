"""Holds every answer of a receiver against the OpenAPI document."""

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from receiver.web.openapi import openapi
from tests.serving import Answer, Peer

DOCUMENT = json.loads(json.dumps(openapi()))

SCHEMAS = {
    # Clients must bear fields that a later release adds; this one answers no others.
    name: schema if name == "Notification" else {"additionalProperties": False, **schema}
    for name, schema in DOCUMENT["components"]["schemas"].items()
}


def problems_of(value: Any, schema: dict[str, Any]) -> list[str]:
    """Where a value differs from a schema of the document."""
    errors = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in errors]


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        {**json.loads(schema), "components": {"schemas": SCHEMAS}},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """What the document says about a request; None if it does not know it."""
    for template, item in DOCUMENT["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template.replace("{model}", ".+"))
        if re.fullmatch(pattern, path.partition("?")[0]) and method.lower() in item:
            operation: dict[str, Any] = item[method.lower()]
            return operation
    return None


def check(method: str, path: str, answer: Answer) -> None:
    """Fail unless the document describes this answer."""
    operation = operation_of(method, path)
    if operation is None:
        assert answer.status in {404, 405}, f"{method} {path} is not described"
        return
    described = operation["responses"].get(str(answer.status))
    assert described is not None, f"{method} {path}: {answer.status} is not described"
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    media_type = answer.headers.get_content_type()
    schema = described["content"][media_type]["schema"]
    if media_type.endswith("json"):
        values = [json.loads(line) for line in answer.text.split("\n") if line]
    else:
        values = [answer.text]
    assert [problems_of(value, schema) for value in values] == [[] for _ in values]


class DescribedPeer(Peer):
    """A receiver each of whose answers must be as the document says."""

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """Ask, and check the answer."""
        answer = super().ask(method, path, **more)
        check(method, path, answer)
        return answer
