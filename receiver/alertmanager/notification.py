"""Parses a webhook's body into a `Notification`: at once, or alert by alert if one is broken."""

import json
import re
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from itertools import count, islice
from typing import Annotated, Any, Final, Literal, NoReturn, Self

from pydantic import BaseModel, FailFast, Field, ValidationError, model_validator
from pydantic_core import from_json

from receiver.alertmanager.entries import (
    Entry,
    Texts,
    crowded,
    may_be_over,
    read_alert,
    read_alone,
    without_nul,
)
from receiver.alertmanager.json_split import NotJSONError, elements, members, outline, trimmed
from receiver.alertmanager.tolerant import clean, clean_all, readable, readables
from receiver.core.alerts import Alert, BadNotification, Notification
from receiver.core.policies import shown

MAX_ALERTS = 50_000
"""Users report groups of 20,000, and 10 MiB hold 24,000 of the smallest that Alertmanager sends.
Without a bound the same 10 MiB could hold five million `0`, each an alert with a problem."""

MOST_BROKEN = 1000  # of one body; of further broken alerts we keep nothing but the problem
MAX_MEMBERS = 1000  # of the whole body; version 4 has 13

ALERTMANAGER: Final = "4"
GRAFANA: Final = "1"
"""The version that Grafana's own Alertmanager writes: the same body, with `orgId` and, in each
alert, `values` (Grafana's documentation of webhook contact points)."""

REQUIRED = ("alerts", "groupKey", "status", "version")
OPTIONAL = ("receiver", "externalURL", "truncatedAlerts", "notification_reason", "routeLabels")
QUOTED = re.compile(r"\\([\\.+*?()|\[\]{}^$])")
COUNT = re.compile(rb"[0-9]{1,18}")


class NotificationBody(BaseModel):
    """The webhook's JSON, version 4: the fields that we read."""

    version: Literal["4", "1"]
    group_key: str = Field(alias="groupKey")
    status: str
    alerts: Annotated[list[Entry], FailFast(), Field(max_length=MAX_ALERTS)]
    receiver: str = ""
    external_url: str = Field(default="", alias="externalURL")
    truncated_alerts: int = Field(default=0, alias="truncatedAlerts", strict=True, ge=0, lt=10**18)
    notification_reason: str | None = None
    route_labels: Texts | None = Field(default=None, alias="routeLabels")
    org_id: int | None = Field(default=None, alias="orgId")

    @model_validator(mode="after")
    def _is_grafana_by_more_than_its_version(self) -> Self:
        if self.version != ALERTMANAGER and self.org_id is None:
            raise ValueError("version 1 without orgId")
        return self


def parse_notification(body: bytes) -> Notification:
    """Parse a webhook's body.

    An alert that can't be understood has a `problem`; it stands in its place among the others.
    Raises `BadNotification` if this is no Alertmanager notification of version 4 at all, nor one
    of Grafana's.
    """
    if not crowded(body):
        try:
            return _in_one_go(body)
        except ValidationError:
            pass  # the other way finds out what is wrong, and with which alert
    try:
        return _alert_by_alert(body)
    except NotJSONError as error:
        _reject(f"the body is not JSON: {error}")


def raw_alert(body: bytes, position: int) -> Any | None:
    """One alert of a stored body for people to look at; None if there is none in this place.

    JSON that JSON itself can't hold again (NaN, lone surrogates, too deep) comes as a string.
    """
    return raw_alerts(body, {position}, len(body)).get(position)


def raw_alerts(body: bytes, positions: Collection[int], longest: int) -> dict[int, Any]:
    """The alerts in these places, as far as there are some of at most so many bytes each.

    The body is split once, however many are asked for, and no other alert of it is parsed.
    """
    found: dict[int, Any] = {}
    outlined = outline(body)
    with suppress(NotJSONError, BadNotification):
        alerts = elements(outlined, _cut(body, outlined).get("alerts", slice(0, 0)))
        for position, span in enumerate(islice(alerts, max(positions, default=-1) + 1)):
            if position not in positions or span.stop - span.start > longest:
                continue
            if crowded(outlined[span]):
                found[position] = body[span].decode("utf-8", "replace")
            else:
                found[position] = _for_display(body[span])
    return found


def _in_one_go(body: bytes) -> Notification:
    message = NotificationBody.model_validate_json(body)
    read = partial(read_alert, long=may_be_over(body))
    alerts = tuple(map(read, message.alerts, count()))
    if rb"\u0000" in body:
        alerts = tuple(without_nul(body, alert) for alert in alerts)
    return _notification(message, alerts, body)


def _alert_by_alert(body: bytes) -> Notification:
    outlined = outline(body)
    spans = _cut(body, outlined)
    missing = [name for name in REQUIRED if name not in spans]
    if missing:
        _reject(_what_is_missing(missing))
    version = _text_of("version", body[spans["version"]])
    if version != ALERTMANAGER and (version != GRAFANA or "orgId" not in spans):
        _reject(f"`version` is {shown(version)}, not '4'{_of_grafana(version)}")
    optional = {name: body[span] for name, span in spans.items() if name in OPTIONAL}
    truncated = optional.get("truncatedAlerts", b"")
    labels = optional.get("routeLabels", b"")
    message = NotificationBody.model_construct(
        version=ALERTMANAGER,
        group_key=_text_of("groupKey", body[spans["groupKey"]]),
        status=_text_of("status", body[spans["status"]]),
        receiver=readable(optional.get("receiver", b"")) or "",
        external_url=readable(optional.get("externalURL", b"")) or "",
        truncated_alerts=int(truncated) if COUNT.fullmatch(truncated) else 0,
        notification_reason=readable(optional.get("notification_reason", b"")),
        route_labels=readables(labels, outline(labels)),
        alerts=[],
    )
    return _notification(message, _read_alerts(body, outlined, spans["alerts"]), body)


def _read_alerts(body: bytes, outlined: bytes, span: slice) -> tuple[Alert, ...]:
    if body[span.start : span.start + 1] != b"[":
        _reject("`alerts` is not an array")
    spans = list(islice(elements(outlined, span), MAX_ALERTS + 1))
    if len(spans) > MAX_ALERTS:
        _reject(f"more than {MAX_ALERTS} alerts; set `max_alerts` in the webhook_config")
    alerts: list[Alert] = []
    broken = 0
    for position, alert in enumerate(spans):
        gather = broken < MOST_BROKEN
        alerts.append(read_alone(body[alert], outlined[alert], position, gather=gather))
        broken += alerts[-1].problem is not None
    return tuple(alerts)


def _cut(body: bytes, outlined: bytes) -> dict[str, slice]:
    """Find the members of the whole body; the last of a name wins."""
    span = trimmed(outlined)
    if span.start == span.stop:
        _reject("the body is empty")
    if outlined[span.start : span.start + 1] != b"{":
        start = body[span.start : span.start + 20].decode("utf-8", "replace")
        _reject(f"the body begins with {shown(start)}, not with '{{'")
    spans: dict[str, slice] = {}
    for number, (name, value) in enumerate(members(outlined, span)):
        if number == MAX_MEMBERS:
            _reject(f"it has more than {MAX_MEMBERS} members")
        spans[readable(body[name]) or ""] = value
    return spans


def _notification(
    message: NotificationBody, alerts: tuple[Alert, ...], body: bytes
) -> Notification:
    reason, labels = message.notification_reason, message.route_labels
    return Notification(
        receiver=QUOTED.sub(r"\1", clean(message.receiver)),
        group_key=clean(message.group_key),
        external_url=clean(message.external_url),
        status=clean(message.status),
        truncated_alerts=message.truncated_alerts,
        notification_reason=None if reason is None else clean(reason),
        route_labels=None if labels is None else clean_all(labels),
        alerts=alerts,
        body=body,
    )


def _text_of(name: str, text: bytes) -> str:
    read = readable(text)
    if read is None:
        start = shown(text[:60].decode("utf-8", "replace"))
        _reject(f"`{name}` is {start}, which is not a string")
    return read


def _what_is_missing(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    listed = " and ".join([*filter(None, [", ".join(quoted[:-1])]), quoted[-1]])
    hint = "; remove the custom `payload` from the webhook_config"
    custom = "groupKey" in names or "version" in names
    return f"{listed} {'is' if len(names) == 1 else 'are'} missing{hint if custom else ''}"


def _of_grafana(version: str) -> str:
    if version != GRAFANA:
        return ""
    return "; Grafana's has `orgId` besides: remove the custom payload from its contact point"


def _reject(what: str) -> NoReturn:
    raise BadNotification(f"not an Alertmanager version 4 notification: {what}")


def _for_display(text: bytes) -> Any:
    try:
        value = from_json(text)
        json.dumps(value, allow_nan=False)
    except ValueError:
        return text.decode("utf-8", "replace")
    return value
