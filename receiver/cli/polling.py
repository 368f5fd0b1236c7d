"""The command `check-drift`: asks Prometheus once and posts what it finds to the receiver."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from receiver.cli.client import FAILED, MOST_ROWS, AskError, ReceiverClient
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
from receiver.cli.output import Screen, column, print_csv, print_json, shown, warn
from receiver.cli.thresholds import DEFAULTS, HELP, Threshold, parse_threshold
from receiver.cli.upstream import (
    PROMETHEUS,
    Prometheus,
    PrometheusToken,
    PrometheusUrl,
    Sample,
    number_or_none,
    prometheus_at,
)
from receiver.core.fingerprints import fingerprint_of
from receiver.core.models import POLLED
from receiver.core.times import parse_time

CHECK_DRIFT_EXAMPLES = examples(
    "retrain-receiver check-drift --prometheus http://prometheus:9090 --threshold mae=0.45",
    "retrain-receiver check-drift --threshold 'HighDrift: max by (user_id) (drift_share) > 0.5'",
    "retrain-receiver check-drift --dry-run      what would be decided; nothing is stored",
)

AT_ONCE = 1000
"""Alerts in one notification; ten thousand models make ten."""

COLUMNS = ("model", "alertname", "status", "value", "reason", "outcome", "dispatch_id", "id")
TABLE = (
    column("MODEL", "model"),
    column("ALERT", "alertname"),
    column("STATUS", "status"),
    column("VALUE", "value"),
    column("REASON", "reason", style_by="outcome"),
    column("DISPATCH", "dispatch_id"),
)


@dataclass(frozen=True, slots=True)
class PolledAlert:
    """An alert of ours: it fires, or it is over."""

    labels: Mapping[str, str]
    value: float | None
    starts_at: datetime
    ends_at: datetime | None = None


def check_drift(
    *,
    prometheus: PrometheusUrl = PROMETHEUS,
    prometheus_token_file: PrometheusToken = None,
    threshold: Annotated[list[str] | None, typer.Option(metavar="THRESHOLD", help=HELP)] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME=VALUE",
            help="A label that every alert carries, for policies that match it; repeat.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be decided; store nothing.")
    ] = False,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Ask Prometheus once which models are bad; the receiver decides about each.

    For where no Alertmanager is, or beside one, as a CronJob or once by hand: what is found goes
    down the same ladder (source `poll`, role operator), and what an earlier check found and this
    one does not is reported resolved; so it is when Alertmanager's own alert ends. A number that
    is NaN says nothing: neither is done.

    Exit code 1 if an alert matches no policy or does not name its model.
    """
    thresholds = [parse_threshold(text) for text in threshold or DEFAULTS]
    extra = labels_of(label)
    asked, receiver = prometheus_at(prometheus, prometheus_token_file), peer(server, token_file)
    measured = [(each, _samples(asked, each)) for each in thresholds]
    known = _ours(receiver, {each.alertname for each in thresholds})
    findings = [*_find(measured, known, extra)]
    decisions = [*_decide(receiver, findings, dry_run=dry_run)]
    _show(decisions, output)
    warn(_summary(measured, findings, dry_run=dry_run))
    _complain(decisions)


def _samples(prometheus: Prometheus, threshold: Threshold) -> list[Sample]:
    """Query the number of each model. No series at all is an error, not health."""
    found = prometheus.samples(threshold.expression)
    if not found:
        raise AskError(
            f"Prometheus has no series for {threshold.expression}, so nothing was decided: is the "
            "model server scraped? see `retrain-receiver doctor`"
        )
    return found


def _ours(receiver: ReceiverClient, alertnames: set[str]) -> dict[str, Mapping[str, Any]]:
    """What earlier checks found and the receiver still takes for firing, by fingerprint."""
    return {
        alert["fingerprint"]: alert
        for model in receiver.page("models", {}, None)["models"]
        for alert in _firing_alerts(receiver, model)
        if POLLED in alert["labels"] and alert["alertname"] in alertnames
    }


def _firing_alerts(
    receiver: ReceiverClient, model: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """All that fire of a model; the list of models shows the oldest."""
    if model.get("firing_count", 0) <= len(model["firing_alerts"]):
        yield from model["firing_alerts"]
        return
    asked = {"limit": str(MOST_ROWS)}
    while True:
        page = receiver.get(f"/models/{quote(model['model'], safe='')}", asked)
        yield from page["firing_alerts"]
        if page["next_cursor"] is None:
            return
        asked["cursor"] = page["next_cursor"]


def _find(
    measured: Iterable[tuple[Threshold, Sequence[Sample]]],
    known: Mapping[str, Mapping[str, Any]],
    extra: Mapping[str, str],
) -> Iterator[PolledAlert]:
    """What fires now, and what was firing and is over. One alert keeps its beginning."""
    over = dict(known)
    now: datetime | None = None
    for threshold, samples in measured:
        for sample in samples:
            now = max(now or sample.at, sample.at)
            labels = {**sample.labels, **extra, "alertname": threshold.alertname, POLLED: "true"}
            fingerprint = fingerprint_of(labels)
            if math.isnan(sample.value):
                over.pop(fingerprint, None)
            elif threshold.crossed(sample.value):
                before = over.pop(fingerprint, None)
                began = parse_time(before["starts_at"]) if before else sample.at
                yield PolledAlert(labels, sample.value, began)
    for alert in over.values():
        began = parse_time(alert["starts_at"])
        # A clock that went back must not make the end come before the beginning.
        ended = max(now or began, began)
        yield PolledAlert(alert["labels"], number_or_none(alert["value"]), began, ended)


def _decide(
    receiver: ReceiverClient, findings: Sequence[PolledAlert], *, dry_run: bool
) -> Iterator[dict[str, Any]]:
    from receiver.alertmanager.composing import (  # noqa: PLC0415  pydantic is slow
        composed_alert,
        composed_notification,
    )

    query = {"source": "poll"} | ({"dry_run": "true"} if dry_run else {})
    for first in range(0, len(findings), AT_ONCE):
        some = findings[first : first + AT_ONCE]
        alerts = [
            composed_alert(each.labels, _annotations(each), each.starts_at, each.ends_at)
            for each in some
        ]
        answer = receiver.notify(composed_notification("check-drift", alerts), query)
        for finding, decision in zip(some, answer["decisions"], strict=True):
            status = "firing" if finding.ends_at is None else "resolved"
            yield {**decision, "status": status, "value": number_or_none(finding.value)}


def _annotations(finding: PolledAlert) -> dict[str, str]:
    return {} if finding.value is None else {"value": repr(finding.value)}


def _show(decisions: Sequence[Mapping[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json({"decisions": decisions})
    elif output is Format.CSV:
        print_csv(COLUMNS, decisions)
    elif decisions:
        Screen().table(TABLE, decisions)


def _summary(
    measured: Sequence[tuple[Threshold, Sequence[Sample]]],
    findings: Sequence[PolledAlert],
    *,
    dry_run: bool,
) -> str:
    numbers = [sample.value for _, samples in measured for sample in samples]
    firing = sum(finding.ends_at is None for finding in findings)
    said = f"{len(numbers)} numbers checked: {firing} bad, {len(findings) - firing} resolved"
    unknown = sum(map(math.isnan, numbers))
    return (
        said
        + (f", {unknown} NaN, about which nothing is known" if unknown else "")
        + ("; a dry run: nothing was stored" if dry_run else "")
    )


def _complain(decisions: Iterable[Mapping[str, Any]]) -> None:
    """Fail if no policy matches what was posted."""
    lost = [each for each in decisions if each["reason"] in {"unmatched", "invalid"}]
    if not lost:
        return
    warn(
        f"{len(lost)} alerts lead to no model: {shown(lost[0]['alertname'])} is "
        f"{shown(lost[0]['reason'])}; see `retrain-receiver decisions --source poll`, and give "
        "the labels that the policies match with --label"
    )
    raise typer.Exit(FAILED)
