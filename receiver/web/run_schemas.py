"""The shapes of what became of runs, what policies brought, and what was announced."""

from typing import Any

from receiver.core.announcements import AnnouncementState, Kind
from receiver.core.budgets import Counted, Scope
from receiver.core.policies import Mode
from receiver.core.reports import Verdict
from receiver.core.run_ends import Effect

RUN_END: dict[str, Any] = {
    "effect": {
        "enum": [*Effect, None],
        "description": "What the run brought, as far as can be told now; null before its end.",
    },
    "recovered_at": {"type": ["string", "null"], "format": "date-time"},
    "verdict": {"enum": [*Verdict, None], "description": "The run's own."},
    "metrics": {
        "type": ["object", "null"],
        "additionalProperties": {"type": "number"},
        "description": "Numbers that the run reported.",
    },
    "report_detail": {"type": ["string", "null"], "description": "Why its report can't be told."},
}

COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}

USAGE: dict[str, Any] = {
    "limit": {"type": "string", "description": "In words, for example `20 runs in 1d in total`."},
    "scope": {"enum": [Scope.POLICY, Scope.TOTAL]},
    "counted": {"enum": [*Counted]},
    "unit": {"type": ["string", "null"], "description": "Of a cost."},
    "used": {"type": "number", "minimum": 0},
    "most": {"type": "number"},
    "spent": {"type": "boolean", "description": "Whether one more run does not fit now."},
    "frees_at": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "From when one more fits; null if now, or if only a run's end can tell.",
    },
    "asks": {"type": "boolean", "description": "Whether a human may approve a run beyond it."},
    "detail": {"type": "string", "description": "The same in words."},
}

POLICY: dict[str, Any] = {
    "name": {"type": "string"},
    "mode": {"enum": [*Mode]},
    "target": {"type": "string"},
    "settings": {"type": "object", "description": "As in the file, defaults filled in."},
    "models": {**COUNT, "description": "Models that it named last."},
    "firing": {**COUNT, "description": "Models with an alert that fires and that it decides."},
    "budget": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": USAGE,
            "required": [*USAGE],
            "additionalProperties": False,
        },
        "description": "How much is used of the limits that its models share.",
    },
    "runs": {**COUNT, "description": "Its runs that ended since `since`."},
    "helped": {**COUNT, "description": "Runs after which the model recovered."},
    "no_effect": {**COUNT, "description": "Runs that ended well and helped nobody."},
    "rejected": {**COUNT, "description": "Those of them that said so themselves."},
    "failed": COUNT,
    "cancelled": COUNT,
    "settling": {**COUNT, "description": "Runs of which it is too early to tell."},
    "unclear": {**COUNT, "description": "Runs at whose end nothing fired."},
    "median_recovery_seconds": {
        "type": ["number", "null"],
        "description": "From a run's end until its model's last alert was resolved.",
    },
}

TIME = {"type": "string", "format": "date-time"}

ANNOUNCEMENT: dict[str, Any] = {
    "id": {"type": "string", "description": "The subscriber sees it as webhook-id."},
    "subscriber": {"type": "string"},
    "kind": {"enum": [*Kind]},
    "model": {"type": "string"},
    "policy": {"type": ["string", "null"]},
    "at": {**TIME, "description": "When it happened."},
    "state": {"enum": [*AnnouncementState]},
    "tries": COUNT,
    "due_at": {**TIME, "description": "When a pending one is tried next."},
    "ended_at": {**TIME, "type": ["string", "null"], "description": "Delivered, or given up."},
    "detail": {"type": "string", "description": "Why the last try failed."},
    "status_code": {"type": ["integer", "null"]},
    "data": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    },
}
