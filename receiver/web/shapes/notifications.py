"""The shapes of what Alertmanager posts, and of what it is answered."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from receiver.web.shapes.decisions import DecisionId, OutcomeWord, ReasonWord
from receiver.web.shapes.describing import About


class NotificationJson(TypedDict):
    """Alertmanager's webhook payload, version 4, or Grafana's: version 1 with `orgId`.

    Unknown fields are ignored; an alert that can't be understood is decided `invalid` and its
    neighbours as usual.
    """

    version: Literal["4", "1"]
    groupKey: str
    status: str
    orgId: NotRequired[int]
    receiver: NotRequired[str]
    alerts: Annotated[
        Sequence[dict[str, Any]], About("As Alertmanager documents them; each becomes a decision.")
    ]


class BriefDecisionJson(TypedDict):
    """What became of one alert."""

    id: DecisionId
    model: str | None
    alertname: str
    reason: ReasonWord
    outcome: OutcomeWord
    dispatch_id: str | None


class ReceiptJson(TypedDict):
    """One decision per alert, in the alerts' order, all of them committed."""

    notification_id: str
    decisions: Sequence[BriefDecisionJson]
