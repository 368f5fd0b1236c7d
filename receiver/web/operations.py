"""Every operation of the API: its name, who may use it, what it takes and answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from receiver.config import Role
from receiver.core.alerts import Source
from receiver.core.dispatches import DispatchState
from receiver.store.views.paging import MOST_ROWS
from receiver.web import announcements, decisions, dispatches, events, models, policies, probes
from receiver.web.decisions import CSV, NDJSON
from receiver.web.operator_acts import LONGEST_KEY, ON_DISPATCHES, ON_MANY, ON_MODELS, OperatorAct
from receiver.web.params import USUAL_ROWS
from receiver.web.responses import JSON
from receiver.web.shapes.announcements import AnnouncementsJson
from receiver.web.shapes.decisions import DecisionJson, DecisionsJson, WholeDecisionJson
from receiver.web.shapes.dispatches import DispatchesJson, WholeDispatchJson
from receiver.web.shapes.models import ModelsJson, WholeModelJson
from receiver.web.shapes.notifications import NotificationJson, ReceiptJson
from receiver.web.shapes.policies import PoliciesJson
from receiver.web.shapes.process import OpenApiJson, RejectionsJson, ReloadedJson
from receiver.web.shapes.targets import TargetsJson

READ = (Role.READER, Role.OPERATOR)
ACT = (Role.OPERATOR,)

TEXT = "text/plain"

Parameter: TypeAlias = dict[str, Any]
"""A parameter as OpenAPI describes it; its schema may be words of ours."""


class Tag(StrEnum):
    """What an operation is about."""

    NOTIFICATIONS = "notifications"
    DECISIONS = "decisions"
    MODELS = "models"
    DISPATCHES = "dispatches"
    POLICIES = "policies"
    TARGETS = "targets"
    ANNOUNCEMENTS = "announcements"
    PROCESS = "process"


ABOUT_TAGS: Mapping[Tag, str] = {
    Tag.NOTIFICATIONS: "What Alertmanager posts.",
    Tag.DECISIONS: "The audit log.",
    Tag.MODELS: "How models stand, and what an operator can do about them.",
    Tag.DISPATCHES: "The orders to start runs.",
    Tag.POLICIES: "What the configuration says, and what it brought.",
    Tag.TARGETS: "Where runs are started, and whether they answer.",
    Tag.ANNOUNCEMENTS: "What subscribers are told.",
    Tag.PROCESS: "Probes, metrics, configuration, this document.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of a path.

    Attributes:
        id: Generated clients name their functions after it: never rename one.
        roles: Who may use it; everybody if there are none.
        answers: Media type to shape; text without one (None) has no schema but string.
        problems: Status codes besides those of access.
        body: The shape of what it takes.

    """

    id: str
    tag: Tag
    summary: str
    answers: Mapping[str, type | None]
    roles: Sequence[Role] = READ
    problems: Sequence[int] = (400, 503)
    parameters: Sequence[Parameter] = ()
    body: type | None = None
    description: str = ""


ABOUT_FILTERS: Mapping[str, Parameter] = {
    "since": {
        "schema": {"type": "string", "examples": ["2026-11-22T09:14:00Z", "6h"]},
        "description": "From then on.",
    },
    "until": {
        "schema": {"type": "string", "examples": ["2026-11-22T09:14:00Z", "1h"]},
        "description": "Before then.",
    },
    "target": {
        "schema": {"type": "string"},
        "description": "Only what is sent to this target: of models, those of its policies.",
    },
    "q": {
        "schema": {"type": "string"},
        "description": "Only those that have this in their name, whatever the case.",
    },
    "labels": {
        "schema": {"type": "string", "examples": ["region=eu,tier=gold"]},
        "description": "Only those whose identity labels have these values.",
    },
    "sort": {
        "schema": {"type": "string", "enum": ["name", "worst"], "default": "name"},
        "description": "By name, or by state (what needs a human first) and the longest episode.",
    },
    "limit": {
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_ROWS,
            "default": USUAL_ROWS,
        },
        "description": "The most rows of the page. It may have fewer and still a `next_cursor`: a "
        "page ends at 1 MiB.",
    },
    "cursor": {
        "schema": {"type": "string"},
        "description": "`next_cursor` of the page before.",
    },
}


def _queries(names: Iterable[str], words: Mapping[str, type[StrEnum]]) -> list[Parameter]:
    """Query parameters: filters, which take our words where we have some, and bounds."""
    found = []
    for name in names:
        usual = {
            "schema": words.get(name, {"type": "string"}),
            "description": f"Only those of this {name}.",
        }
        found.append({"name": name, "in": "query"} | ABOUT_FILTERS.get(name, usual))
    return found


def _in_path(name: str, kind: str = "string", description: str = "") -> Parameter:
    said = {"description": description} if description else {}
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}} | said


MODEL = _in_path("model", description="Its name; a slash in it may be sent as `%2F` or as it is.")

KEY: Parameter = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    "description": "Within 24 hours the same act of the same caller under the same key is done "
    "once and answered alike.",
}

WEBHOOK_PARAMETERS: Sequence[Parameter] = (
    {
        "name": "dry_run",
        "in": "query",
        "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
        "description": "Decide and store nothing. Needs the role operator.",
    },
    {
        "name": "source",
        "in": "query",
        "schema": {
            "type": "string",
            "enum": [Source.ALERTMANAGER, Source.POLL],
            "default": Source.ALERTMANAGER,
        },
        "description": "`poll` is for our own checks. Needs the role operator.",
    },
)

SUMMARIES: Mapping[str, str] = {
    "retrain": "Order one run; only one in flight holds it",
    "pause": "Hold a model back",
    "resume": "Lift a model's pause",
    "forget": "Forget a model that is no more; the log stays",
    "approve": "Say yes to what a rung asks: one run",
    "reject": "Say no to it, for this episode",
    "retry": "Look for the run once more, else send it again",
    "abandon": "Give it up on our side",
    "pause_many": "Hold back a policy, or everything",
    "resume_many": "Lift that, and nothing else",
    "reject_many": "Say no to what the rungs of a policy ask about all its models",
    "release_many": "Let the models of a storm go; says how many runs that may order",
}


def _act(name: str, tag: Tag, summary: str, act: OperatorAct[Any], *on: Parameter) -> Operation:
    return Operation(
        name,
        tag,
        SUMMARIES[summary],
        {JSON: WholeDecisionJson},
        roles=ACT,
        problems=(400, 404, 408, 409, 413, 415, 503),
        parameters=(*on, KEY),
        body=act.body,
    )


ACTS: Mapping[str, Operation] = {
    **{
        f"/models/{{model}}/{word}": _act(f"{word}_model", Tag.MODELS, word, act, MODEL)
        for word, act in ON_MODELS.items()
    },
    **{
        f"/{word}": _act(f"{word}_many", Tag.POLICIES, f"{word}_many", act)
        for word, act in ON_MANY.items()
    },
    **{
        f"/dispatches/{{id}}/{word}": _act(
            f"{word}_dispatch", Tag.DISPATCHES, word, act, _in_path("id")
        )
        for word, act in ON_DISPATCHES.items()
    },
}

READS: Mapping[str, Operation] = {
    "/decisions": Operation(
        "list_decisions",
        Tag.DECISIONS,
        "The audit log, newest first",
        {JSON: DecisionsJson, NDJSON: DecisionJson, CSV: None},
        parameters=_queries(decisions.ASKED, decisions.WORDS),
        description=f"By `Accept`: a page of it; or all that matches, streamed as {NDJSON} "
        f"(one decision a line) or as {CSV}.",
    ),
    "/decisions/{id}": Operation(
        "get_decision",
        Tag.DECISIONS,
        "One decision, with its gates and the raw alert",
        {JSON: WholeDecisionJson},
        problems=(400, 404, 503),
        parameters=(_in_path("id", "integer"),),
    ),
    "/models": Operation(
        "list_models",
        Tag.MODELS,
        "How the models stand",
        {JSON: ModelsJson},
        parameters=_queries(models.LIST_ASKED, models.WORDS),
    ),
    "/models/{model}": Operation(
        "get_model",
        Tag.MODELS,
        "One model: every rung now, what holds it, the next attempt",
        {JSON: WholeModelJson},
        problems=(400, 404, 503),
        parameters=(MODEL, *_queries(models.ASKED, {})),
        description="The bounds are of its firing alerts, oldest first; usually 100 are shown.",
    ),
    "/dispatches": Operation(
        "list_dispatches",
        Tag.DISPATCHES,
        "The dispatches",
        {JSON: DispatchesJson},
        parameters=_queries(dispatches.ASKED, {"state": DispatchState}),
    ),
    "/dispatches/{id}": Operation(
        "get_dispatch",
        Tag.DISPATCHES,
        "One dispatch, with its attempts and transitions",
        {JSON: WholeDispatchJson},
        problems=(400, 404, 503),
        parameters=(_in_path("id"), *_queries(["cursor"], {})),
    ),
    "/policies": Operation(
        "list_policies",
        Tag.POLICIES,
        "The policies, and how often retraining helped",
        {JSON: PoliciesJson},
        parameters=_queries(policies.ASKED, {}),
    ),
    "/targets": Operation(
        "list_targets",
        Tag.TARGETS,
        "Whether each target answers, and what waits for it",
        {JSON: TargetsJson},
    ),
    "/announcements": Operation(
        "list_announcements",
        Tag.ANNOUNCEMENTS,
        "What subscribers were told, or could not be told",
        {JSON: AnnouncementsJson},
        parameters=_queries(announcements.ASKED, announcements.WORDS),
    ),
    "/rejections": Operation(
        "list_rejections",
        Tag.NOTIFICATIONS,
        "Bodies that we could not accept",
        {JSON: RejectionsJson},
        parameters=_queries(probes.REJECTIONS_ASKED, {}),
        description="The newest first; usually all that are kept, which are 100.",
        roles=ACT,
    ),
    "/events": Operation(
        "follow_events",
        Tag.DECISIONS,
        "What is decided, as it happens",
        {events.MEDIA_TYPE: None},
        parameters=(events.LAST_EVENT,),
        description=events.DESCRIPTION,
    ),
    "/-/healthy": Operation(
        "get_health",
        Tag.PROCESS,
        "Whether the process answers",
        {TEXT: None},
        roles=(),
        problems=(),
    ),
    "/-/ready": Operation(
        "get_readiness",
        Tag.PROCESS,
        "Whether notifications can be durably accepted",
        {TEXT: None},
        roles=(),
        problems=(503,),
    ),
    "/metrics": Operation(
        "get_metrics",
        Tag.PROCESS,
        "Metrics in Prometheus' text format",
        {TEXT: None},
        problems=(503,),
        description="Open to everybody with `server.metrics_open`.",
    ),
    "/openapi.json": Operation(
        "get_openapi",
        Tag.PROCESS,
        "This",
        {JSON: OpenApiJson},
        roles=(),
        problems=(),
    ),
}


def _reload(name: str) -> Operation:
    return Operation(
        name,
        Tag.PROCESS,
        "Load the configuration again",
        {JSON: ReloadedJson},
        roles=ACT,
        problems=(422, 503),
    )


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "/webhook": {
        "post": Operation(
            "post_notification",
            Tag.NOTIFICATIONS,
            "Take in a notification of Alertmanager",
            {JSON: ReceiptJson},
            roles=(Role.WEBHOOK, Role.OPERATOR),
            problems=(400, 408, 413, 415, 503),
            parameters=WEBHOOK_PARAMETERS,
            body=NotificationJson,
            description="2xx after the commit, whatever was decided. The role operator is needed "
            "by, and only for, `dry_run` and `source=poll`.",
        )
    },
    **{path: {"get": operation} for path, operation in READS.items()},
    **{path: {"post": operation} for path, operation in ACTS.items()},
    "/-/reload": {"post": _reload("reload"), "put": _reload("reload_by_put")},
}
"""Path and method to what happens there."""
