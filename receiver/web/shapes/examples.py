"""One example of each shape that is asked or answered as a whole: one model's small story."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.core.models import UNKNOWN_MODEL
from receiver.web.shapes.announcements import AnnouncementJson, AnnouncementsJson
from receiver.web.shapes.decisions import (
    DecisionJson,
    DecisionsJson,
    GateJson,
    WholeDecisionJson,
)
from receiver.web.shapes.dispatches import (
    AttemptJson,
    DispatchesJson,
    DispatchJson,
    RunEndJson,
    TransitionJson,
    WholeDispatchJson,
)
from receiver.web.shapes.models import (
    ExplanationJson,
    FiringAlertJson,
    GroupJson,
    LatestDispatchJson,
    ModelJson,
    ModelsJson,
    WholeModelJson,
)
from receiver.web.shapes.notifications import BriefDecisionJson, NotificationJson, ReceiptJson
from receiver.web.shapes.policies import (
    BudgetUsageJson,
    OrphanedPauseJson,
    PoliciesJson,
    PolicyJson,
)
from receiver.web.shapes.process import (
    OpenApiJson,
    ProblemJson,
    RejectionJson,
    RejectionsJson,
    ReloadedJson,
)
from receiver.web.shapes.targets import TargetJson, TargetsJson

FIRED = datetime(2026, 11, 22, 9, 12, 30, tzinfo=UTC)
DECIDED = datetime(2026, 11, 22, 9, 14, tzinfo=UTC)
STARTED = DECIDED + timedelta(seconds=2)
ENDED = DECIDED + timedelta(minutes=40)
COOLED = STARTED + timedelta(hours=6)

MODEL = "forecast-eu"
POLICY = "model-quality"
TARGET = "retrain-workflow"
ALERTNAME = "HighModelMAE"
FINGERPRINT = "b4d2f1c07a9e5836"
DISPATCH = "01m813adaxqm62f7v5pt39hrtr"
DECISION = 1795338840000000
CONFIG = "5f2b8c1e9d7a4036b1c2d3e4f5a60718293a4b5c6d7e8f90a1b2c3d4e5f60718"
LABELS = {"user_id": MODEL}
ALERT = {
    "status": "firing",
    "labels": {"alertname": ALERTNAME, "user_id": MODEL, "severity": "warning"},
    "annotations": {"value": "7.25"},
    "startsAt": "2026-11-22T09:12:30Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": FINGERPRINT,
}

NOTIFICATION: NotificationJson = {
    "version": "4",
    "groupKey": '{}:{alertname="HighModelMAE"}',
    "status": "firing",
    "receiver": "retrain",
    "alerts": [ALERT],
}

BRIEF: BriefDecisionJson = {
    "id": DECISION,
    "model": MODEL,
    "alertname": ALERTNAME,
    "reason": "triggered",
    "outcome": "trigger",
    "dispatch_id": DISPATCH,
}

RECEIPT: ReceiptJson = {
    "notification_id": "01m813ad9zr5c1x0g7k2w8e4hb",
    "decisions": [BRIEF],
}

TRIGGERED: DecisionJson = {
    "id": DECISION,
    "decided_at": DECIDED,
    "source": "alertmanager",
    "policy": POLICY,
    "model": MODEL,
    "alertname": ALERTNAME,
    "fingerprint": FINGERPRINT,
    "status": "firing",
    "starts_at": FIRED,
    "labels": {"alertname": ALERTNAME, "user_id": MODEL, "severity": "warning"},
    "value": 7.25,
    "value_is": "when decided",
    "reason": "triggered",
    "outcome": "trigger",
    "detail": "nothing holds it",
    "next_check_at": COOLED,
    "dispatch_id": DISPATCH,
    "notification_id": RECEIPT["notification_id"],
    "config_hash": CONFIG,
    "actor": None,
    "comment": None,
}

GATE: GateJson = {
    "rung": "cooldown",
    "applies": True,
    "detail": "in cooldown for another 5h20m: its run ended at 09:54 UTC",
    "until": "2026-11-22T15:14:02Z",
}

WHOLE_DECISION: WholeDecisionJson = {**TRIGGERED, "gates": [GATE], "alert": ALERT}

RUN_END: RunEndJson = {
    "effect": "recovered",
    "recovered_at": ENDED + timedelta(minutes=11),
    "verdict": "promoted",
    "metrics": {"mae": 3.1},
    "report_detail": "",
}

RUN: DispatchJson = {
    "id": DISPATCH,
    "model": MODEL,
    "policy": POLICY,
    "target": TARGET,
    "kind": "github",
    "state": "succeeded",
    "detail": "",
    "attempt": 1,
    "run_id": "8123",
    "run_url": "https://github.com/acme/models/actions/runs/8123",
    "created_at": DECIDED,
    "due_at": ENDED,
    "sent_at": STARTED,
    "failing_since": None,
    "ended_at": ENDED,
    "decision_id": DECISION,
    "alertname": ALERTNAME,
    "ordered": False,
    "place": {"repository": "acme/models", "workflow": "retrain-model.yaml", "ref": "main"},
    "inputs": {"user_id": MODEL, "drift_score": 7.25, "reason": ALERTNAME},
    **RUN_END,
}

ATTEMPT: AttemptJson = {
    "number": 1,
    "begun_at": STARTED,
    "ended_at": STARTED,
    "failure": None,
    "status_code": 200,
    "detail": "",
}

TRANSITION: TransitionJson = {
    "number": 1,
    "at": DECIDED,
    "state": "pending",
    "detail": "",
    "actor": None,
}

FIRING: FiringAlertJson = {
    "fingerprint": FINGERPRINT,
    "alertname": ALERTNAME,
    "policy": POLICY,
    "labels": {"alertname": ALERTNAME, "user_id": MODEL, "severity": "warning"},
    "value": 7.25,
    "starts_at": FIRED,
    "confirmed_at": DECIDED,
    "confirmed_by": "main",
    "expires_at": DECIDED + timedelta(hours=13),
    "stale_until": None,
}

LATEST: LatestDispatchJson = {
    "id": DISPATCH,
    "state": "succeeded",
    "run_id": "8123",
    "created_at": DECIDED,
    "due_at": ENDED,
    "attempt": 1,
    "sent_at": STARTED,
    "failing_since": None,
    "ended_at": ENDED,
    "detail": "",
    **RUN_END,
}

HELD: ModelJson = {
    "model": MODEL,
    "state": "held",
    "policy": POLICY,
    "labels": LABELS,
    "firing_alerts": [FIRING],
    "firing_count": 1,
    "episode_started_at": DECIDED,
    "cooldown_until": COOLED,
    "observed_until": None,
    "next_check_at": COOLED,
    "paused": {
        "scope": "model",
        "until": DECIDED + timedelta(hours=4),
        "actor": "ops",
        "comment": "the feature store is being moved",
    },
    "approval": None,
    "dispatch": LATEST,
}

EXPLANATION: ExplanationJson = {
    "holds": "cooldown",
    "detail": "in cooldown for another 5h20m: its run ended at 09:54 UTC; tried next at 15:14 UTC",
    "next_check_at": COOLED,
    "gates": [GATE],
}

WHOLE_MODEL: WholeModelJson = {
    **HELD,
    "next_cursor": None,
    "runs": [RUN],
    "explain": EXPLANATION,
    "links": {"Grafana": "https://grafana.example.com/d/models?var-user_id=42"},
}

USAGE: BudgetUsageJson = {
    "limit": "20 runs in 1d in total",
    "scope": "total",
    "counted": "runs",
    "unit": None,
    "used": 3,
    "most": 20,
    "spent": False,
    "frees_at": None,
    "asks": False,
    "detail": "3 of 20 runs in 1d in total are ordered",
}

STANDING: PolicyJson = {
    "name": POLICY,
    "mode": "auto",
    "target": TARGET,
    "settings": {"name": POLICY, "target": TARGET, "cooldown": "6h"},
    "models": 12,
    "firing": 1,
    "budget": [USAGE],
    "runs": 9,
    "helped": 7,
    "no_effect": 1,
    "rejected": 0,
    "failed": 1,
    "cancelled": 0,
    "settling": 0,
    "unclear": 0,
    "unknown": 0,
    "median_recovery_seconds": 660.0,
}

PLACE: TargetJson = {
    "name": TARGET,
    "kind": "github",
    "place": {"repository": "acme/models", "workflow": "retrain-model.yaml", "ref": "main"},
    "policies": [POLICY],
    "state": "failing",
    "failing_since": STARTED,
    "failed_at": ENDED,
    "answered_at": DECIDED - timedelta(days=1),
    "error": "https://api.github.com can't be reached: connection refused",
    "cure": "start https://api.github.com or mend its address in the configuration",
    "waiting": 1,
    "models": [MODEL],
    "in_flight": 1,
    "retry_at": ENDED + timedelta(minutes=5),
    "credential": None,
}

TOLD: AnnouncementJson = {
    "id": "msg_01m813adb2q8y4n6s1t0v9wxyz",
    "subscriber": "slack",
    "kind": "triggered",
    "model": MODEL,
    "policy": POLICY,
    "at": DECIDED,
    "state": "delivered",
    "tries": 1,
    "due_at": DECIDED,
    "ended_at": STARTED,
    "detail": "",
    "status_code": 200,
    "data": {"dispatch_id": DISPATCH, "value": 7.25},
}

REJECTED: RejectionJson = {
    "id": 7,
    "received_at": DECIDED,
    "sender": "alertmanager",
    "status_code": 400,
    "detail": "the body is not JSON",
    "size": 5,
    "body": "hello",
    "encoding": "utf-8",
}

COMMENT = {"comment": "the new features are in"}
NAMED = {**COMMENT, "policy": POLICY, "labels": LABELS}

DECISIONS: DecisionsJson = {"decisions": [TRIGGERED], "next_cursor": str(DECISION)}
DISPATCHES: DispatchesJson = {"dispatches": [RUN], "next_cursor": None}
WHOLE_DISPATCH: WholeDispatchJson = {
    **RUN,
    "attempts": [ATTEMPT],
    "transitions": [TRANSITION],
    "next_cursor": None,
}
STORM: GroupJson = {
    "kind": "storm",
    "policy": POLICY,
    "target": None,
    "count": 60,
    "since": DECIDED,
    "labels": {"alertname": ALERTNAME, "cluster": "eu-1"},
    "examples": [MODEL, "forecast-uk", "forecast-us"],
    "orders": 60,
    "detail": "60 models of policy model-quality are held by a storm: suspect the data",
}
MODELS: ModelsJson = {"groups": [STORM], "models": [HELD], "next_cursor": None}
ORPHANED: OrphanedPauseJson = {
    "policy": "model-drift",
    "since": DECIDED - timedelta(days=2),
    "until": None,
    "actor": "ops",
    "comment": "the data is being repaired",
}
POLICIES: PoliciesJson = {
    "since": DECIDED - timedelta(days=90),
    "policies": [STANDING],
    "orphaned_pauses": [ORPHANED],
}
TARGETS: TargetsJson = {"targets": [PLACE]}
ANNOUNCEMENTS: AnnouncementsJson = {"announcements": [TOLD], "next_cursor": None}
REJECTIONS: RejectionsJson = {"rejections": [REJECTED], "next_cursor": None}
RELOADED: ReloadedJson = {"config_hash": CONFIG, "warnings": [], "needs_restart": ["storage"]}
PROBLEM: ProblemJson = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": f"{UNKNOWN_MODEL}; see GET /models",
}
OPENAPI: OpenApiJson = {
    "openapi": "3.1.0",
    "info": {"title": "retrain-receiver"},
    "tags": [],
    "paths": {},
    "components": {},
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "Announcements": ANNOUNCEMENTS,
    "CommentBody": COMMENT,
    "Decision": TRIGGERED,
    "Decisions": DECISIONS,
    "Dispatches": DISPATCHES,
    "Models": MODELS,
    "NamingBody": NAMED,
    "Notification": NOTIFICATION,
    "OnePolicyBody": {**COMMENT, "policy": POLICY},
    "OpenApi": OPENAPI,
    "PauseBody": {**NAMED, "for": "4h"},
    "PausePolicyBody": {**COMMENT, "policy": POLICY, "for": "4h"},
    "Policies": POLICIES,
    "PolicyBody": {**COMMENT, "policy": POLICY},
    "Problem": PROBLEM,
    "Receipt": RECEIPT,
    "Rejections": REJECTIONS,
    "Reloaded": RELOADED,
    "Targets": TARGETS,
    "WholeDecision": WHOLE_DECISION,
    "WholeDispatch": WHOLE_DISPATCH,
    "WholeModel": WHOLE_MODEL,
}
"""By the name of the schema."""
