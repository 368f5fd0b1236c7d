"""Findings: what will not work, where, what follows from it, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is; the words are SARIF's."""

    ERROR = "error"  # something will not work
    WARNING = "warning"  # it works until something usual happens
    NOTE = "note"  # it works, and could be better


ORDER = tuple(Severity)


class CheckId(StrEnum):
    """What a finding is found by; written into suppressions and read by programs: never rename."""

    UNREADABLE = "unreadable"
    CONFIGURATION = "configuration"
    ALERTMANAGER_UNREADABLE = "alertmanager-unreadable"
    RECEIVER_MISSING = "receiver-missing"
    NO_ALERT_ARRIVES = "no-alert-arrives"
    ALERT_GOES_ELSEWHERE = "alert-goes-elsewhere"
    ALERT_MAY_GO_ELSEWHERE = "alert-may-go-elsewhere"
    ALERT_WITHOUT_POLICY = "alert-without-policy"
    ROUTE_SHADOWED = "route-shadowed"
    POLICY_WITHOUT_RULE = "policy-without-rule"
    OPERATOR_NAMESPACE = "operator-namespace"
    GROUP_INTERVAL_OUTLASTS_DEDUP = "group-interval-outlasts-dedup"
    EXPIRY_BEFORE_REPEAT = "expiry-before-repeat"
    COOLDOWN_BEFORE_REPEAT = "cooldown-before-repeat"
    GROUPS_ALL_MODELS = "groups-all-models"
    MUTED = "muted"
    RESOLVED_NOT_SENT = "resolved-not-sent"
    ALERTS_TRUNCATED = "alerts-truncated"
    WEBHOOK_PAYLOAD = "webhook-payload"
    WEBHOOK_TIMEOUT = "webhook-timeout"
    WEBHOOK_PATH = "webhook-path"
    WEBHOOK_REDIRECTED = "webhook-redirected"
    WEBHOOK_UNAUTHORISED = "webhook-unauthorised"
    IDENTITY_MISSING = "identity-missing"
    IDENTITY_REFUSED = "identity-refused"
    IDENTITY_RELABELLED = "identity-relabelled"
    ALERT_RELABELLED_AWAY = "alert-relabelled-away"
    LABEL_FROM_VALUE = "label-from-value"
    REPLICA_LABEL = "replica-label"
    VALUE_MISSING = "value-missing"
    VALUE_FOR_PEOPLE = "value-for-people"
    SETTLE_TOO_SHORT = "settle-too-short"
    WORKFLOW_WITHOUT_TARGET = "workflow-without-target"
    WORKFLOW_NOT_DISPATCHED = "workflow-not-dispatched"
    WORKFLOW_INPUT_UNDECLARED = "workflow-input-undeclared"
    WORKFLOW_INPUT_REQUIRED = "workflow-input-required"
    WORKFLOW_INPUT_TYPE = "workflow-input-type"
    WORKFLOW_TOO_MANY_INPUTS = "workflow-too-many-inputs"
    WORKFLOW_RUN_NAME = "workflow-run-name"
    WORKFLOW_CANCELS = "workflow-cancels"
    PIPELINE_PARAMETER_UNDECLARED = "pipeline-parameter-undeclared"
    PIPELINE_PARAMETER_NEEDED = "pipeline-parameter-needed"
    PIPELINE_PARAMETER_TYPE = "pipeline-parameter-type"
    PIPELINE_CACHE = "pipeline-cache"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands.

    Attributes:
        file: A path, or the address of what was asked.
        line: From 1; None if the place has no lines (an answer of an API).
        column: From 1.
        where: What is there, in words, if there are no lines.
        source: The text of that line, for people.

    """

    file: str
    line: int | None = None
    column: int = 1
    where: str = ""
    source: str = ""

    def __str__(self) -> str:
        if self.line is None:
            return f"{self.file} ({self.where})" if self.where else self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that will not work.

    Attributes:
        check: The id of what found it; `--explain` knows it.
        said: What is wrong, in a sentence without a full stop.
        consequence: What happens because of it.
        cure: How to mend it.

    """

    check: CheckId
    severity: Severity
    place: Place
    said: str
    consequence: str
    cure: str


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, file by file from top to bottom, the graver first on one line."""

    def key(finding: Finding) -> tuple[str, int, int, int, str]:
        place = finding.place
        return (
            place.file,
            place.line or 0,
            ORDER.index(finding.severity),
            place.column,
            finding.said,
        )

    return sorted(dict.fromkeys(findings), key=key)


def listed(names: Iterable[str], most: int = 3) -> str:
    """Some names for a sentence: `a, b and 4 more`."""
    found = list(dict.fromkeys(names))
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    *first, last = found or [""]
    return f"{', '.join(first)} and {last}" if first else last
