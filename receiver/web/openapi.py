"""Makes the OpenAPI 3.1 document from the operations and the shapes."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import to_jsonable_python

from receiver import __version__
from receiver.web.operations import ABOUT_TAGS, OPERATIONS, Operation, Parameter
from receiver.web.responses import JSON
from receiver.web.shapes.examples import EXAMPLES
from receiver.web.shapes.process import ProblemJson

Schema: TypeAlias = dict[str, Any]

PROBLEM = "application/problem+json"

DESCRIPTION = """\
Alertmanager posts notifications to `/webhook`; every alert becomes a decision, and a decision \
`triggered` becomes a dispatch that starts one run. Each operation's security names the roles \
that may use it; a receiver without an `auth` section listens on loopback only and asks for no \
token. Other methods are answered 405; there are no redirects. Times are UTC in RFC 3339.

A reader's token may be limited to labels. It is shown the models with these identity labels, \
their dispatches and decisions, as if there were no others; what tells of all models is 403.

A later release may add fields to answers, and words to those of a field: clients ignore fields \
that they don't know. What is asked is read strictly: unknown parameters, and unknown fields of \
an act's body, are refused; of a notification they are ignored."""

PROBLEMS = {
    400: ("BadRequest", "The request can't be understood."),
    401: ("Unauthorized", "No token, or an unknown one."),
    403: (
        "Forbidden",
        "The token has another role, or is limited to some models; or another origin's page asks.",
    ),
    404: ("NotFound", "There is no such thing, or it was forgotten."),
    408: ("RequestTimeout", "The body did not come in time."),
    409: (
        "Conflict",
        "Not in the present state; or the `Idempotency-Key` was used for something else.",
    ),
    413: ("ContentTooLarge", "The body is over its bound."),
    415: ("UnsupportedMediaType", "The body is compressed."),
    422: ("UnprocessableContent", "The configuration is broken; nothing was changed."),
    503: ("ServiceUnavailable", "Nothing was stored; try again soon."),
}

NAMES = {
    "Counted": "BudgetCounted",
    "Kind": "AnnouncementKind",
    "Mode": "PolicyMode",
    "Scope": "BudgetScope",
}
"""Words whose own name says too little beside all the others."""


class Components(GenerateJsonSchema):
    """Names schemas as the API does, and leaves out titles that only say the name again."""

    def normalize_name(self, name: str) -> str:
        """The name of a shape or of words."""
        plain = name.removesuffix("Json")
        return super().normalize_name(NAMES.get(plain, plain))

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Fields need no title."""
        return False


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    refs, schemas = _components()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "retrain-receiver",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag, "description": said} for tag, said in ABOUT_TAGS.items()],
        "paths": {
            path: {method: _described(one, refs) for method, one in methods.items()}
            for path, methods in OPERATIONS.items()
        },
        "components": {
            "schemas": schemas,
            "responses": {
                name: {
                    "description": said,
                    "content": {PROBLEM: {"schema": refs[ProblemJson]}},
                }
                for name, said in PROBLEMS.values()
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Any user name; the token is the password.",
                },
            },
        },
    }


def _components() -> tuple[dict[type, Schema], Schema]:
    """A reference to each shape that an operation names, and the schemas of them all."""
    asked = {one.body for one in _operations() if one.body is not None}
    told = {shape for one in _operations() for shape in one.answers.values() if shape is not None}
    words = {
        parameter["schema"]
        for one in _operations()
        for parameter in one.parameters
        if isinstance(parameter["schema"], type)
    }
    modes: list[tuple[JsonSchemaMode, set[type]]] = [
        ("validation", asked),
        ("serialization", told | words | {ProblemJson}),
    ]
    refs, document = TypeAdapter.json_schemas(
        [(shape, mode, TypeAdapter(shape)) for mode, shapes in modes for shape in shapes],
        schema_generator=Components,
        ref_template="#/components/schemas/{model}",
    )
    schemas = {name: _finished(name, schema) for name, schema in sorted(document["$defs"].items())}
    return {shape: ref for (shape, _mode), ref in refs.items()}, schemas


def _finished(name: str, schema: Schema) -> Schema:
    """With its example, and without a title: it is known by its name."""
    finished = {key: value for key, value in schema.items() if key != "title"}
    if name in EXAMPLES:
        finished["examples"] = [to_jsonable_python(EXAMPLES[name])]
    return finished


def _operations() -> Iterable[Operation]:
    return (one for methods in OPERATIONS.values() for one in methods.values())


def _described(operation: Operation, refs: dict[type, Schema]) -> Schema:
    refusals = (401, 403) if operation.roles else ()
    described: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [
            {scheme: [role]} for role in operation.roles for scheme in ("bearer", "basic")
        ],
        "responses": {
            "200": {
                "description": HTTPStatus.OK.phrase,
                "content": {
                    media_type: {"schema": {"type": "string"} if shape is None else refs[shape]}
                    for media_type, shape in operation.answers.items()
                },
            },
            **{
                str(status): {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}
                for status in sorted({*operation.problems, *refusals})
            },
        },
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [_parameter(one, refs) for one in operation.parameters]
    if operation.body is not None:
        content = {JSON: {"schema": refs[operation.body]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(parameter: Parameter, refs: dict[type, Schema]) -> Schema:
    schema = parameter["schema"]
    return {**parameter, "schema": refs[schema] if isinstance(schema, type) else schema}
