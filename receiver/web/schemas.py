"""The shapes of our answers, derived from the tables, columns and enums that make them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import Boolean, Column, Float, Integer, Table
from sqlalchemy.types import BigInteger

from receiver.core.decisions import Outcome, Reason
from receiver.core.dispatches import DispatchState, Failure
from receiver.core.models import ModelState, PauseScope
from receiver.core.targets import TargetKind
from receiver.store.column_types import Instant, Json
from receiver.store.tables import attempts, decisions, dispatches, transitions
from receiver.web import decisions as decisions_route
from receiver.web import dispatches as dispatches_route
from receiver.web.params import ActBody
from receiver.web.restraint_schemas import APPROVAL
from receiver.web.run_schemas import ANNOUNCEMENT, POLICY, RUN_END

Schema: TypeAlias = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_STRING: Schema = {"type": ["string", "null"]}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
LABELS: Schema = {"type": "object", "additionalProperties": STRING}
CURSOR: Schema = {
    "type": ["string", "null"],
    "description": "The parameter `cursor` of the next page; null on the last one.",
}

DECISION_WORDS = decisions_route.WORDS
DISPATCH_WORDS: Mapping[str, type[StrEnum]] = {
    "state": DispatchState,
    "kind": TargetKind,
    "failure": Failure,
}

DECISION_ID: Schema = {
    **INTEGER,
    "description": "Grows with time: the moment in microseconds, but larger than all before it.",
}
INPUTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
JSON_COLUMNS: Mapping[str, Schema] = {"labels": LABELS, "place": LABELS, "inputs": INPUTS}

GATE: Schema = {
    "type": "object",
    "description": "What one rung of the ladder saw; besides these, the facts it looked at.",
    "properties": {
        "rung": {"enum": [*Reason]},
        "applies": {"type": "boolean"},
        "detail": STRING,
        "until": MAYBE_TIME,
    },
    "required": ["rung", "applies", "detail", "until"],
    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
}


def ref(name: str) -> Schema:
    """Point at a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def listing(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def whole(description: str, properties: Mapping[str, Schema], **more: Any) -> Schema:
    """An object of ours: these fields, all of them, and no others."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _columns(
    table: Table, names: Iterable[str], words: Mapping[str, type[StrEnum]]
) -> dict[str, Schema]:
    return {name: _column(table.c[name], words.get(name)) for name in names}


def _column(column: Column[Any], words: type[StrEnum] | None) -> Schema:
    if words is not None:
        return {"enum": [*words, *([None] if column.nullable else [])]}
    schema = JSON_COLUMNS[column.name] if isinstance(column.type, Json) else _plain(column)
    return {**schema, "type": [schema["type"], "null"]} if column.nullable else schema


def _plain(column: Column[Any]) -> Schema:
    kinds: tuple[tuple[type, Schema], ...] = (
        (Instant, TIME),
        (Boolean, {"type": "boolean"}),
        (Float, {"type": "number"}),
        (Integer, INTEGER),
        (BigInteger, INTEGER),
    )
    return next((schema for kind, schema in kinds if isinstance(column.type, kind)), STRING)


def _others(table: Table) -> list[str]:
    return [column.name for column in table.c if column.name != "dispatch_id"]


DECISION = _columns(decisions, decisions_route.COLUMNS, DECISION_WORDS) | {"id": DECISION_ID}
DISPATCH = _columns(dispatches, dispatches_route.COLUMNS, DISPATCH_WORDS) | RUN_END

FIRING_ALERT = whole(
    "An alert of the model that fires.",
    {
        "fingerprint": STRING,
        "alertname": STRING,
        "policy": STRING,
        "labels": LABELS,
        "value": {"type": ["number", "null"]},
        "starts_at": TIME,
        "confirmed_at": TIME,
        "expires_at": TIME,
        "stale_until": MAYBE_TIME,
    },
)

MODEL: dict[str, Schema] = {
    "model": STRING,
    "state": {"enum": [*ModelState], "description": "The first of them that applies."},
    "policy": MAYBE_STRING,
    "labels": LABELS,
    "firing_alerts": listing(FIRING_ALERT),
    **dict.fromkeys(("episode_started_at", "cooldown_until", "observed_until"), MAYBE_TIME),
    "next_check_at": {
        **MAYBE_TIME,
        "description": "When the timer decides its alerts again; null if only an event can.",
    },
    "paused": whole(
        "The pause in force that lasts longest.",
        {
            "scope": {"enum": [*PauseScope]},
            "until": {**MAYBE_TIME, "description": "Null: until `resume`."},
            "actor": STRING,
            "comment": STRING,
        },
        type=["object", "null"],
    ),
    "approval": APPROVAL,
    "dispatch": whole(
        "The latest dispatch: the only one that can be in flight.",
        {
            "id": STRING,
            "state": {"enum": [*DispatchState]},
            "run_id": MAYBE_STRING,
            "sent_at": MAYBE_TIME,
            "ended_at": MAYBE_TIME,
            "detail": STRING,
            **RUN_END,
        },
        type=["object", "null"],
    ),
}

EXPLANATION = whole(
    "What an alert of the model would meet now.",
    {
        "holds": {
            "enum": [*Reason, None],
            "description": "The first rung that applies; null if nothing holds the model.",
        },
        "detail": {**STRING, "description": "One sentence: what holds it, and the next attempt."},
        "next_check_at": MAYBE_TIME,
        "gates": listing(ref("Gate")),
    },
)

BRIEF_DECISION = whole(
    "What became of one alert.",
    {
        "id": DECISION_ID,
        "model": MAYBE_STRING,
        "alertname": STRING,
        "reason": {"enum": [*Reason]},
        "outcome": {"enum": [*Outcome]},
        "dispatch_id": MAYBE_STRING,
    },
)

NOTIFICATION: Schema = {
    "type": "object",
    "description": "Alertmanager's webhook payload, version 4. Unknown fields are ignored; an "
    "alert that can't be understood is decided `invalid` and its neighbours as usual.",
    "properties": {
        "version": {"const": "4"},
        "groupKey": STRING,
        "status": STRING,
        "receiver": STRING,
        "alerts": listing({"type": "object"}),
    },
    "required": ["version", "groupKey", "status", "alerts"],
}

REJECTION = whole(
    "A body that we could not accept.",
    {
        "id": INTEGER,
        "received_at": TIME,
        "sender": {**STRING, "description": "The name of the token that it came with."},
        "status_code": INTEGER,
        "detail": STRING,
        "size": INTEGER,
        "body": {**STRING, "description": "Its beginning."},
        "encoding": {"enum": ["utf-8", "base64"]},
    },
)

PROBLEM = whole(
    "RFC 9457, in one line and without secrets.",
    {"title": STRING, "status": INTEGER, "detail": STRING},
)

RELOADED = whole(
    "The configuration that is in force now.",
    {
        "config_hash": STRING,
        "warnings": listing(STRING),
        "needs_restart": {**listing(STRING), "description": "Sections that wait for a restart."},
    },
)


def act_schema(fields: Iterable[str]) -> Schema:
    """The body of an act that may set these fields."""
    model = ActBody.model_json_schema(by_alias=True)
    properties = {name: dict(model["properties"][name]) for name in fields}
    if "for" in properties:
        properties["for"] = {"type": ["string", "null"], "examples": ["4h", "1h30m"]}
    return {
        "type": "object",
        "properties": properties,
        "required": model["required"],
        "additionalProperties": False,
    }


def page(name: str, of: str) -> Schema:
    """A page of a list."""
    return whole(
        "A page, and where the next one begins.", {name: listing(ref(of)), "next_cursor": CURSOR}
    )


SCHEMAS: dict[str, Schema] = {
    "Decision": whole("An entry of the audit log.", DECISION),
    "WholeDecision": whole(
        "A decision with the rungs up to the one that decided, and the alert as it came.",
        DECISION
        | {
            "gates": listing(ref("Gate")),
            "alert": {"description": "Null for an operator's act, and once forgotten."},
        },
    ),
    "Decisions": page("decisions", "Decision"),
    "Gate": GATE,
    "Receipt": whole(
        "One decision per alert, in the alerts' order, all of them committed.",
        {"notification_id": STRING, "decisions": listing(BRIEF_DECISION)},
    ),
    "Notification": NOTIFICATION,
    "Model": whole("How a model stands.", MODEL),
    "WholeModel": whole(
        "How a model stands, its last runs, and what holds it.",
        MODEL | {"runs": listing(ref("Dispatch")), "explain": ref("Explanation")},
    ),
    "Models": page("models", "Model"),
    "Explanation": EXPLANATION,
    "Dispatch": whole("A stored order to start one run.", DISPATCH),
    "WholeDispatch": whole(
        "A dispatch with every attempt and transition.",
        DISPATCH
        | {"attempts": listing(ref("Attempt")), "transitions": listing(ref("Transition"))},
    ),
    "Dispatches": page("dispatches", "Dispatch"),
    "Attempt": whole("One try.", _columns(attempts, _others(attempts), DISPATCH_WORDS)),
    "Transition": whole(
        "The state that a dispatch entered.",
        _columns(transitions, _others(transitions), DISPATCH_WORDS),
    ),
    "Announcement": whole("One thing told to one subscriber.", ANNOUNCEMENT),
    "Announcements": page("announcements", "Announcement"),
    "Policy": whole("A policy, and what its runs brought.", POLICY),
    "Policies": whole("Of the file.", {"since": TIME, "policies": listing(ref("Policy"))}),
    "Rejections": whole("The newest.", {"rejections": listing(REJECTION)}),
    "Reloaded": RELOADED,
    "Problem": PROBLEM,
}
