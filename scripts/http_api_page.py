"""Writes docs/http-api.md from the OpenAPI document that the receiver serves."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from receiver.web.openapi import openapi

PAGE = Path(__file__).parents[1] / "docs" / "http-api.md"

BEGINNING = """\
# HTTP API

Made from the OpenAPI document that a receiver serves at `/openapi.json`
(`make docs-pages`). Clients can be generated from it: a test does, and uses one.
Tokens and roles: [auth](policies.md#the-rest); a login: [proxy and SSO](proxy-sso.md).

"""

ACCESS = """
A token goes as `Authorization: Bearer TOKEN`, or as the password of HTTP Basic with any user name.
Refusals are `application/problem+json` with a `detail` of one line, `type` always
`about:blank`; of a wrong request `errors` has an entry for each mistake. Lists have `limit`,
`cursor` and a `next_cursor`, which is null on the last page.

"""


def page() -> str:
    """The whole page."""
    document = openapi()
    parts = [BEGINNING, document["info"]["description"], "\n", ACCESS]
    for tag in document["tags"]:
        parts += [f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n"]
        parts += [f"{line}\n" for line in _operations(document, tag["name"])]
    parts += ["## Shapes\n\nWhat is asked and answered, by the names of the document.\n\n"]
    for name, schema in document["components"]["schemas"].items():
        parts += [f"{line}\n" for line in _shape(name, schema)]
    return "".join(parts).rstrip() + "\n"


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield from _operation(f"{method.upper()} {path}", operation)


def _operation(heading: str, operation: Mapping[str, Any]) -> Iterator[str]:
    roles = list(dict.fromkeys(role for one in operation["security"] for role in _roles(one)))
    who = " or ".join(roles) if roles else "everybody"
    yield f"### {heading}\n"
    yield f"{operation['summary']}. For {who}; `operationId` is `{operation['operationId']}`.\n"
    if said := operation.get("description"):
        yield f"{_text(said)}\n"
    if body := operation.get("requestBody"):
        shapes = {_type(one["schema"]) for one in body["content"].values()}
        yield f"Takes {', '.join(sorted(shapes))}.\n"
    content = operation["responses"]["200"].get("content", {})
    told = [f"{_type(one['schema'])} as `{media}`" for media, one in content.items()]
    codes = ", ".join(code for code in operation["responses"] if code != "200")
    yield f"Answers {', '.join(told) or 'nothing'}; problems: {codes or 'none'}.\n"
    if parameters := operation.get("parameters"):
        yield from _table(
            "parameter",
            (
                (f"`{one['name']}` ({one['in']})", one["schema"], one.get("description", ""))
                for one in parameters
            ),
        )


def _roles(scheme: Mapping[str, list[str]]) -> list[str]:
    return [str(role) for roles in scheme.values() for role in roles]


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### Shape {name}\n"
    if said := schema.get("description"):
        yield f"{_text(said)}\n"
    if words := schema.get("enum"):
        yield f"One of {', '.join(f'`{word}`' for word in words)}.\n"
    if fields := schema.get("properties"):
        needed = set(schema.get("required", ()))
        yield from _table(
            "field",
            (
                (f"`{field}`{'' if field in needed else ' (may be missing)'}", one, _said(one))
                for field, one in fields.items()
            ),
        )


def _table(first: str, rows: Iterator[tuple[str, Mapping[str, Any], str]]) -> Iterator[str]:
    yield f"| {first} | type | meaning |"
    yield "| --- | --- | --- |"
    for name, schema, said in rows:
        yield f"| {name} | {_type(schema)} | {_text(said)} |"
    yield ""


def _said(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words; one that has a name leads to its shape."""
    if reference := schema.get("$ref"):
        name = str(reference).rsplit("/", 1)[1]
        return f"[{name}](#shape-{name.lower()})"
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(one) for one in either)
    if words := schema.get("enum"):
        return ", ".join(f"`{word}`" for word in words)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = str(schema.get("type", "anything"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _text(said: str) -> str:
    return " ".join(said.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
