"""The shapes of what the rungs below `cooldown` ask."""

from typing import Any

_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_TEXT: dict[str, Any] = {"type": ["string", "null"]}

_ASKED: dict[str, Any] = {
    "rung": {"type": "string"},
    "asked_at": {"type": "string", "format": "date-time"},
    "expires_at": {
        **_TIME,
        "description": "Until then it can be answered, and once approved be used; null: while the "
        "episode lasts.",
    },
    "answer": {"enum": ["approved", "rejected", None]},
    "answered_at": _TIME,
    "actor": _TEXT,
    "comment": _TEXT,
}

APPROVAL: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "What a rung asks about the model, or was answered, in this episode.",
    "properties": _ASKED,
    "required": list(_ASKED),
    "additionalProperties": False,
}
