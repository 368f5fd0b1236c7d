"""Describes the API in OpenAPI 3.1, from the same columns, enums and bounds that it uses."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from receiver import __version__
from receiver.config import Role
from receiver.core.alerts import Source
from receiver.store.views.paging import MOST_ROWS
from receiver.web import announcements, decisions, dispatches, events, models, policies
from receiver.web.decisions import CSV, NDJSON
from receiver.web.operator_acts import LONGEST_KEY
from receiver.web.params import USUAL_ROWS
from receiver.web.schemas import (
    DECISION_WORDS,
    DISPATCH_WORDS,
    SCHEMAS,
    STRING,
    Schema,
    act_schema,
    ref,
)

READ = (Role.READER, Role.OPERATOR)
ACT = (Role.OPERATOR,)

DESCRIPTION = """\
Alertmanager posts notifications to `/webhook`; every alert becomes a decision, and a decision \
`triggered` becomes a dispatch that starts one run. Each operation's security names the roles \
that may use it; a receiver without an `auth` section listens on loopback only and asks for no \
token. Other methods are answered 405; there are no redirects. Times are UTC in RFC 3339."""

PROBLEMS = {
    400: "The request can't be understood.",
    401: "No token, or an unknown one.",
    403: "The token has another role, or a page of another origin sent this.",
    404: "There is no such thing, or it was forgotten.",
    408: "The body did not come in time.",
    409: "Not in the present state; or the `Idempotency-Key` was used for something else.",
    413: "The body is over its bound.",
    415: "The body is compressed.",
    422: "The configuration is broken; nothing was changed.",
    503: "Nothing was stored; try again soon.",
}

JSON = "application/json"

ABOUT_PARAMETERS = {
    "since": ({**STRING, "examples": ["2026-11-22T09:14:00Z", "6h"]}, "From then on."),
    "until": ({**STRING, "examples": ["2026-11-22T09:14:00Z", "1h"]}, "Before then."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": USUAL_ROWS},
        "The length of the page.",
    ),
    "cursor": (STRING, "`next_cursor` of the page before."),
}

KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {**STRING, "minLength": 1, "maxLength": LONGEST_KEY},
    "description": "Within 24 hours the same act of the same caller under the same key is done "
    "once and answered alike.",
}

WEBHOOK_PARAMETERS = [
    {
        "name": "dry_run",
        "in": "query",
        "schema": {"enum": ["true", "false"], "default": "false"},
        "description": "Decide and store nothing. Needs the role operator.",
    },
    {
        "name": "source",
        "in": "query",
        "schema": {"enum": [Source.ALERTMANAGER, Source.POLL], "default": Source.ALERTMANAGER},
        "description": "`poll` is for our own checks. Needs the role operator.",
    },
]


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "retrain-receiver",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                str(status): _answer({"application/problem+json": ref("Problem")}, said)
                for status, said in PROBLEMS.items()
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


def _paths() -> dict[str, Any]:
    decision, model, dispatch = _named("id", "integer"), _named("model"), _named("id")
    return {
        "/webhook": {"post": _webhook()},
        "/decisions": {"get": _list_decisions()},
        "/decisions/{id}": {
            "parameters": [decision],
            "get": _read("One decision, with its gates and the raw alert", "WholeDecision"),
        },
        "/models": {
            "get": _read("How the models stand", "Models", _asked(models.ASKED, {})),
        },
        "/models/{model}": {
            "parameters": [model],
            "get": _read(
                "One model: every rung now, what holds it, the next attempt", "WholeModel"
            ),
        },
        "/models/{model}/retrain": {
            "parameters": [model],
            "post": _act("Order one run; only one in flight holds it", models.RETRAIN_BODY),
        },
        "/models/{model}/pause": {
            "parameters": [model],
            "post": _act("Hold a model back", models.PAUSE_BODY),
        },
        "/models/{model}/resume": {
            "parameters": [model],
            "post": _act("Lift a model's pause", models.RESUME_BODY),
        },
        "/models/{model}/approve": {
            "parameters": [model],
            "post": _act("Say yes to what a rung asks: one run", ("comment",)),
        },
        "/models/{model}/reject": {
            "parameters": [model],
            "post": _act("Say no to it, for this episode", ("comment",)),
        },
        "/pause": {"post": _act("Hold back a policy, or everything", models.PAUSE_MANY_BODY)},
        "/resume": {"post": _act("Lift that, or release a storm", models.RESUME_MANY_BODY)},
        "/dispatches": {
            "get": _read("The dispatches", "Dispatches", _asked(dispatches.ASKED, DISPATCH_WORDS)),
        },
        "/dispatches/{id}": {
            "parameters": [dispatch],
            "get": _read("One dispatch, with every attempt and transition", "WholeDispatch"),
        },
        "/dispatches/{id}/retry": {
            "parameters": [dispatch],
            "post": _act("Look for the run once more, else send again", ("comment",)),
        },
        "/dispatches/{id}/abandon": {
            "parameters": [dispatch],
            "post": _act("Give it up on our side", ("comment",)),
        },
        "/policies": {
            "get": _read(
                "The policies, and how often retraining helped",
                "Policies",
                _asked(policies.ASKED, {}),
            ),
        },
        "/announcements": {
            "get": _read(
                "What subscribers were told, or could not be told",
                "Announcements",
                _asked(announcements.ASKED, announcements.WORDS),
            ),
        },
        "/rejections": {
            "get": _operation(
                "Bodies that we could not accept", ACT, {JSON: ref("Rejections")}, (400, 503)
            )
        },
        **_process_paths(),
    }


def _process_paths() -> dict[str, Any]:
    plain = {"text/plain": STRING}
    reloaded = {JSON: ref("Reloaded")}
    return {
        "/-/healthy": {"get": _operation("Whether the process answers", (), plain)},
        "/-/ready": {
            "get": _operation("Whether notifications can be durably accepted", (), plain, (503,))
        },
        "/-/reload": {
            method: _operation("Load the configuration again", ACT, reloaded, (422, 503))
            for method in ("post", "put")
        },
        "/metrics": {
            "get": {
                **_operation("Metrics in Prometheus' text format", READ, plain, (503,)),
                "description": "Open to everybody with `server.metrics_open`.",
            }
        },
        "/openapi.json": {"get": _operation("This", (), {JSON: {"type": "object"}})},
        "/events": {
            "get": {
                **_operation(
                    "What is decided, as it happens", READ, {events.MEDIA_TYPE: STRING}, (400, 503)
                ),
                "description": events.DESCRIPTION,
                "parameters": [events.LAST_EVENT],
            }
        },
    }


def _webhook() -> dict[str, Any]:
    return {
        **_operation(
            "Take in a notification of Alertmanager",
            (Role.WEBHOOK, Role.OPERATOR),
            {JSON: ref("Receipt")},
            (400, 408, 413, 415, 503),
        ),
        "description": "2xx after the commit, whatever was decided. The role operator is needed "
        "by, and only for, `dry_run` and `source=poll`.",
        "parameters": WEBHOOK_PARAMETERS,
        "requestBody": _body(ref("Notification")),
    }


def _list_decisions() -> dict[str, Any]:
    answers = {JSON: ref("Decisions"), NDJSON: ref("Decision"), CSV: STRING}
    asked = _asked(decisions.ASKED, DECISION_WORDS)
    return {
        **_operation("The audit log, newest first", READ, answers, (400, 503)),
        "description": f"By `Accept`: a page of it; or all that matches, streamed as {NDJSON} "
        f"(one decision a line) or as {CSV}.",
        "parameters": asked,
    }


def _read(summary: str, schema: str, asked: Sequence[Schema] = ()) -> dict[str, Any]:
    problems = (400, 503) if asked else (400, 404, 503)
    described = _operation(summary, READ, {JSON: ref(schema)}, problems)
    return described | ({"parameters": list(asked)} if asked else {})


def _act(summary: str, fields: Iterable[str]) -> dict[str, Any]:
    answers = {JSON: ref("WholeDecision")}
    return {
        **_operation(summary, ACT, answers, (400, 404, 408, 409, 413, 415, 503)),
        "parameters": [KEY],
        "requestBody": _body(act_schema(fields)),
    }


def _operation(
    summary: str, roles: Sequence[Role], answers: dict[str, Schema], problems: Iterable[int] = ()
) -> dict[str, Any]:
    """One method of a path; `roles` may use it, everybody if there are none."""
    refusals = (401, 403) if roles else ()
    return {
        "summary": summary,
        "security": [{scheme: [role]} for role in roles for scheme in ("bearer", "basic")],
        "responses": {
            "200": _answer(answers, HTTPStatus.OK.phrase),
            **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in sorted({*problems, *refusals})
            },
        },
    }


def _answer(media: dict[str, Schema], description: str) -> dict[str, Any]:
    content = {name: {"schema": schema} for name, schema in media.items()}
    return {"description": description, "content": content}


def _body(schema: Schema) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _named(name: str, kind: str = "string") -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _asked(names: Iterable[str], words: Any) -> list[Schema]:
    """Query parameters: filters, which take our words where we have some, and bounds."""
    found: list[Schema] = []
    for name in names:
        filtering = {"enum": [*words[name]]} if name in words else STRING
        schema, said = ABOUT_PARAMETERS.get(name, (filtering, f"Only those of this {name}."))
        found.append({"name": name, "in": "query", "schema": schema, "description": said})
    return found
