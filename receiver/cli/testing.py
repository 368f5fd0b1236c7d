"""The command `send-test`: sends a test alert, which is never acted on, and shows its decision."""

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Annotated, Any

import typer

from receiver.cli.client import FAILED, AskError, ReceiverClient, UsageError
from receiver.cli.epilog import examples
from receiver.cli.options import (
    SERVER,
    Format,
    Output,
    ServerUrl,
    TokenFile,
    labels_of,
    peer,
)
from receiver.cli.output import warn
from receiver.cli.reports import show_decision
from receiver.cli.upstream import Alertmanager, AlertmanagerToken, alertmanager_at
from receiver.core.durations import parse_duration, show_duration
from receiver.core.fingerprints import fingerprint_of
from receiver.core.times import stamp

SEND_TEST_EXAMPLES = examples(
    "retrain-receiver send-test",
    "retrain-receiver send-test --alertmanager http://alertmanager:9093 --label namespace=models",
)

LOOK_EVERY = 0.5
USUAL_LABELS = {
    "alertname": "HighModelMAE",
    "action": "retrain",
    "severity": "warning",
    "user_id": "retrain-test",
}
LOST = frozenset({"unmatched", "invalid"})
"""Decided so, an alert of these labels could never lead to a run."""

AlertmanagerUrl = Annotated[
    str | None,
    typer.Option(
        "--alertmanager",
        envvar="ALERTMANAGER_URL",
        metavar="URL",
        help="Send it through Alertmanager, as a rule's alert would come.",
    ),
]
TestLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help="A label of the test alert, for routes and policies to match; repeat. Usual: "
        + ", ".join(f"{name}={value}" for name, value in USUAL_LABELS.items())
        + ".",
    ),
]
Wait = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="How long Alertmanager may take: longer than its group_wait and group_interval.",
    ),
]


def send_test(
    *,
    alertmanager: AlertmanagerUrl = None,
    alertmanager_token_file: AlertmanagerToken = None,
    label: TestLabels = None,
    wait: Wait = "2m",
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Send a test alert (retrain_test="true") and show what was decided about it.

    It starts nothing: it ends `observed` at the latest. Directly it needs the role operator; with
    --alertmanager the role reader, and it shows that a route leads here.

    Exit code 1 if it does not arrive, or if no policy takes it.
    """
    labels, patience = labels_of_test(labels_of(label)), span(wait)
    receiver = peer(server, token_file)
    if alertmanager is None:
        decision = _send_directly(receiver, labels)
    else:
        told = alertmanager_at(alertmanager, alertmanager_token_file)
        arrived = send_through(told, receiver, labels, patience)
        if arrived.decision is None:
            raise AskError(arrived.said)
        decision = arrived.decision
        warn(arrived.said)
    show_decision(decision, output)
    if decision["reason"] in LOST:
        warn("a real alert of these labels would lead to nothing: mend `policies`, or --label")
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a test alert that was sent through Alertmanager.

    Attributes:
        decision: What the receiver decided about it; None if it did not come.
        said: What happened, in one sentence.

    """

    decision: dict[str, Any] | None
    said: str


def labels_of_test(given: Mapping[str, str]) -> dict[str, str]:
    """The labels of one test: no earlier test's, so that Alertmanager takes it for new."""
    return {**USUAL_LABELS, **given, **marks_of_test()}


def marks_of_test() -> dict[str, str]:
    """What makes an alert a test that is never acted on, and no earlier test."""
    return {"retrain_test": "true", "retrain_test_id": uuid.uuid4().hex}


def span(wait: str) -> timedelta:
    """Read how long to wait. A usage error that says how to write it."""
    try:
        return parse_duration(wait)
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None


def send_through(
    alertmanager: Alertmanager,
    receiver: ReceiverClient,
    labels: Mapping[str, str],
    wait: timedelta,
) -> Delivered:
    """Tell Alertmanager the alert, and wait until the receiver has decided about it."""
    query = {"fingerprint": fingerprint_of(labels), "limit": "1"}
    began, now = monotonic(), _now()
    # If we are killed, it ends by itself.
    alertmanager.tell([_told(labels, now, now + wait + timedelta(minutes=1))])
    try:
        while True:
            found = receiver.get("/decisions", query)["decisions"]
            took = timedelta(seconds=monotonic() - began)
            if found:
                decision = receiver.get(f"/decisions/{found[0]['id']}")
                return Delivered(decision, f"it arrived after {show_duration(took)}")
            if took > wait:
                return Delivered(None, _lost(labels, receiver, wait))
            threading.Event().wait(LOOK_EVERY)
    finally:
        alertmanager.tell([_told(labels, now, _now())])


def _send_directly(receiver: ReceiverClient, labels: Mapping[str, str]) -> dict[str, Any]:
    from receiver.alertmanager.composing import (  # noqa: PLC0415  pydantic is slow
        composed_alert,
        composed_notification,
    )

    alert = composed_alert(labels, _annotations(), _now())
    body = composed_notification("send-test", [alert])
    (decision,) = receiver.notify(body, {"source": "poll"})["decisions"]
    whole: dict[str, Any] = receiver.get(f"/decisions/{decision['id']}")
    return whole


def _told(labels: Mapping[str, str], starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    return {
        "labels": dict(labels),
        "annotations": _annotations(),
        "startsAt": stamp(starts_at),
        "endsAt": stamp(ends_at),
    }


def _annotations() -> dict[str, str]:
    return {"summary": "A test of the way to retrain-receiver: nothing is wrong.", "value": "1"}


def _lost(labels: Mapping[str, str], receiver: ReceiverClient, wait: timedelta) -> str:
    shown = " ".join(f"{key}={text}" for key, text in labels.items() if key != "retrain_test_id")
    return (
        f"the test alert did not reach {receiver.url} within {show_duration(wait)}: no route "
        "leads here, Alertmanager waits longer (group_wait, group_interval: --wait), or it can't "
        f"deliver (its log says why); `amtool config routes test {shown}` must name a receiver "
        f"with webhook_configs: [{{url: {receiver.url}/webhook}}]"
    )


def _now() -> datetime:
    # We stand where Prometheus does, which has a wall clock.
    return datetime.now(UTC)  # noqa: TID251
