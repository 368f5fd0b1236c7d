"""CloudEvents 1.0 in JSON: the envelope in which others are told or asked something."""

from collections.abc import Mapping
from datetime import datetime

from receiver.core.times import stamp

TYPE = "io.retrain-receiver.{}.v1"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def cloud_event(
    *,
    event_id: str,
    source: str,
    kind: str,
    subject: str,
    at: datetime,
    data: Mapping[str, object],
) -> dict[str, object]:
    """An event; one that is sent again has the same id."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": TYPE.format(kind),
        "subject": subject,
        "time": stamp(at),
        "datacontenttype": "application/json",
        "data": dict(data),
    }
