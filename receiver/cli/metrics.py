"""The command `metrics`: each model's MAE, R² and predictions, read from Prometheus."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from receiver.cli.client import FAILED, NOT_FOUND, AskError
from receiver.cli.epilog import examples
from receiver.cli.options import Format, Output
from receiver.cli.output import Column, Screen, clock, print_csv, print_json, visible
from receiver.cli.upstream import (
    PROMETHEUS,
    Prometheus,
    PrometheusToken,
    PrometheusUrl,
    number_or_none,
    prometheus_at,
)
from receiver.core.times import stamp

METRICS_EXAMPLES = examples(
    "retrain-receiver metrics --prometheus http://127.0.0.1:9090",
    "retrain-receiver metrics user01 -o json",
)

BY = "by (namespace, user_id)"
"""As rules/model-quality.yaml looks at a model: all pods that serve it, the worst one counts."""

MAE = f"max {BY} (model_mae_score)"
R2 = f"min {BY} (model_r2_score)"
PREDICTIONS = "sum by (namespace, user_id, status) (model_prediction_total)"
EVALUATED = f"max {BY} (model_last_eval_timestamp_seconds)"
FIRING = 'group by (namespace, user_id, alertname) (ALERTS{alertstate="firing", user_id!=""})'

COLUMNS = ("namespace", "user_id", "mae", "r2", "predictions", "evaluated_at", "firing")


@dataclass
class Measured:
    """What Prometheus knows of one model."""

    mae: float | None = None
    r2: float | None = None
    predictions: dict[str, int] = field(default_factory=dict)
    evaluated_at: datetime | None = None
    firing: list[str] = field(default_factory=list)


def metrics(
    user_id: Annotated[
        str | None, typer.Argument(metavar="USER_ID", help="Only this model.")
    ] = None,
    *,
    prometheus: PrometheusUrl = PROMETHEUS,
    prometheus_token_file: PrometheusToken = None,
    output: Output = Format.TABLE,
) -> None:
    """Show each model's MAE, R² and predictions, as Prometheus sees them now.

    Of several pods that serve a model the worst one counts, as in rules/model-quality.yaml.
    """
    asked = prometheus_at(prometheus, prometheus_token_file)
    found = measure(asked)
    if not found:
        raise AskError(
            f"Prometheus at {asked.url} has no model_mae_score or model_r2_score: is the model "
            "server scraped? see `retrain-receiver doctor`",
            FAILED,
        )
    rows = [_row(*each) for each in sorted(found.items()) if user_id in {None, each[0][1]}]
    if not rows:
        raise AskError(f"Prometheus has no metrics of {user_id}", NOT_FOUND)
    if output is Format.JSON:
        print_json({"models": rows})
    elif output is Format.CSV:
        print_csv(COLUMNS, rows)
    else:
        Screen().table(_table(found), rows)


def measure(prometheus: Prometheus) -> dict[tuple[str, str], Measured]:
    """What is known of each model, by namespace and user_id. Raises `AskError`."""
    found: dict[tuple[str, str], Measured] = defaultdict(Measured)
    for sample in prometheus.samples(MAE):
        found[_model(sample.labels)].mae = sample.value
    for sample in prometheus.samples(R2):
        found[_model(sample.labels)].r2 = sample.value
    if not found:
        return found
    for sample in prometheus.samples(PREDICTIONS):
        status = sample.labels.get("status", "")
        found[_model(sample.labels)].predictions[status] = int(sample.value)
    for sample in prometheus.samples(EVALUATED):
        if number_or_none(sample.value) is not None:
            found[_model(sample.labels)].evaluated_at = datetime.fromtimestamp(sample.value, UTC)
    for sample in prometheus.samples(FIRING):
        found[_model(sample.labels)].firing.append(sample.labels.get("alertname", ""))
    return found


def _model(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("namespace", ""), labels.get("user_id", "")


def _row(model: tuple[str, str], measured: Measured) -> dict[str, Any]:
    return {
        "namespace": model[0],
        "user_id": model[1],
        "mae": number_or_none(measured.mae),
        "r2": number_or_none(measured.r2),
        "predictions": dict(sorted(measured.predictions.items())),
        "evaluated_at": stamp(measured.evaluated_at),
        "firing": sorted(measured.firing),
    }


def _table(found: Mapping[tuple[str, str], Measured]) -> tuple[Column, ...]:
    def number(name: str) -> Column:
        def text(row: Mapping[str, Any]) -> str:
            # NaN is a finding of its own, which JSON can't show.
            value = getattr(found[row["namespace"], row["user_id"]], name)
            return "" if value is None else f"{value:.4f}".replace("nan", "NaN")

        return Column({"mae": "MAE", "r2": "R²"}[name], text, _alarm)

    return (
        Column("NAMESPACE", lambda row: visible(row["namespace"])),
        Column("USER_ID", lambda row: visible(row["user_id"])),
        number("mae"),
        number("r2"),
        Column("PREDICTIONS", _predictions),
        Column("EVALUATED (UTC)", lambda row: clock(row["evaluated_at"])),
        Column("FIRING", lambda row: visible(", ".join(row["firing"])), _alarm),
    )


def _predictions(row: Mapping[str, Any]) -> str:
    return visible(", ".join(f"{count} {status}" for status, count in row["predictions"].items()))


def _alarm(row: Mapping[str, Any]) -> str:
    return "red" if row["firing"] else ""
